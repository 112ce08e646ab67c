"""Batches: which records they take, how far they move, and the text that goes to PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.batch import Batch, CheckpointKey
from projections.catalogue import PROJECTIONS
from projections.copy_text import chunks
from projections.projection import Value
from projections.sources import UndecodableOutput, read_definition
from schemas import outputs
from schemas.places import place
from schemas.topics import PROGRESS_EVENTS
from tests.unit.projections.events import log_recorded, member_of

TABLES = ("challenge_logs", "challenge_progress")


@dataclass(frozen=True)
class Record:
    """A record as a client gives it."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def _logs(*offsets: int) -> list[Record]:
    return [Record(n, outputs.encode(log_recorded(member_of(n), n, sequence=n))) for n in offsets]


def _batch() -> Batch:
    return Batch({table: PROJECTIONS[table] for table in TABLES})


def test_a_batch_moves_each_read_model_to_the_position_past_the_markers() -> None:
    batch = _batch()
    batch.take(PROGRESS_EVENTS, 2, _logs(5, 6), dict.fromkeys(TABLES, 5), 8)
    assert batch.moves == {CheckpointKey(table, PROGRESS_EVENTS, 2): (5, 8) for table in TABLES}
    assert [len(batch.changes[table]) for table in TABLES] == [2, 2]


def test_a_row_has_the_place_of_its_output_and_a_later_one_a_greater() -> None:
    batch = _batch()
    batch.take(PROGRESS_EVENTS, 2, _logs(5, 6), dict.fromkeys(TABLES, 5), 8)
    for table in TABLES:
        places = [row[-1] for row in batch.changes[table].rows()]
        assert places == [place(2, 5), place(2, 6)] == [(2 << 48) + 5, (2 << 48) + 6]
    assert place(0, 2**48 - 1) < place(1, 0)
    assert place(2**15 - 1, 2**48 - 1) < 2**63, "it fits into a bigint"


def test_markers_alone_move_the_checkpoint() -> None:
    batch = _batch()
    batch.take(PROGRESS_EVENTS, 0, [], dict.fromkeys(TABLES, 5), 6)
    assert batch.moves == {CheckpointKey(table, PROGRESS_EVENTS, 0): (5, 6) for table in TABLES}
    assert not any(batch.changes.values())


def test_nothing_new_moves_nothing() -> None:
    batch = _batch()
    batch.take(PROGRESS_EVENTS, 0, [], dict.fromkeys(TABLES, 5), 5)
    assert batch.moves == {}


def test_a_read_model_takes_only_what_it_has_not_got() -> None:
    batch = _batch()
    offsets = {"challenge_logs": 0, "challenge_progress": 2}
    batch.take(PROGRESS_EVENTS, 0, _logs(0, 1, 2, 3), offsets, 4)
    assert [len(batch.changes[table]) for table in TABLES] == [4, 2]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b'{"id":1}',
        outputs.encode(log_recorded(member_of(1), 1)).replace(b".v1", b".v2"),
        outputs.encode(log_recorded(member_of(1), 1, sequence=3)).replace(b"0003", b"x003"),
    ],
)
def test_an_output_that_cannot_be_read_is_named_with_its_place(value: bytes | None) -> None:
    with pytest.raises(UndecodableOutput, match="progress-events, partition 3, offset 9:"):
        _batch().take(PROGRESS_EVENTS, 3, [Record(9, value)], dict.fromkeys(TABLES, 0), 10)


@pytest.mark.parametrize(
    ("key", "value", "timestamp"),
    [
        (None, b"{}", 0),
        (b"\xff/challenge/x", b"{}", 0),
        (b"acme/challenge", b"{}", 0),
        (b"acme/nothing/x", b"{}", 0),
        (b"acme/project/acme", b"", 0),
        (b"acme/project/acme", b"[]", 0),
        (b"acme/project/acme", b"[" * 10_000, 0),
        (b"acme/project/acme", b'{"id":"other"}', 0),
        (b"acme/project/acme", b'{"id":"acme","timezone":"Nowhere"}', 0),
        (b"acme/project/acme", b'{"id":"acme"}', 10**17),
    ],
)
def test_a_definition_that_is_none_is_skipped(
    key: bytes | None, value: bytes, timestamp: int
) -> None:
    assert read_definition(Record(1, value, key, timestamp)) is None


@pytest.mark.parametrize(
    ("headers", "actor"),
    [
        ([], None),
        ([("x-actor", "Zoë".encode())], "Zoë"),
        ([("other", b"a"), ("x-actor", b"b"), ("x-actor", b"c")], "b"),
        ([("x-actor", b"a" * 128)], "a" * 128),
        ([("x-actor", b"a" * 129)], None),
        ([("x-actor", None)], None),
        ([("x-actor", b"")], None),
        ([("x-actor", b"a\x00")], None),
        ([("x-actor", b"\xff")], None),
    ],
)
def test_a_definition_says_who_wrote_it_where_its_record_names_somebody(
    headers: list[tuple[str, bytes | None]], actor: str | None
) -> None:
    for value in (b'{"id":"acme"}', None):
        change = read_definition(Record(1, value, b"acme/project/acme", 0, headers))
        assert change is not None
        assert change.actor == actor


def _decoded(text: bytes) -> list[list[str | None]]:
    """Read COPY text as PostgreSQL does."""
    letters = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    rows = []
    for line in text.decode().split("\n")[:-1]:
        values: list[str | None] = []
        for field in line.split("\t"):
            if field == "\\N":
                values.append(None)
                continue
            parts = iter(field)
            values.append("".join(letters[next(parts)] if c == "\\" else c for c in parts))
        rows.append(values)
    return rows


Texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")) | st.text(
    "\\\t\n\rN,{}"
)


@given(st.lists(st.tuples(Texts | st.none(), Texts, st.none() | Texts), min_size=1))
def test_any_text_is_the_same_after_copy(rows: list[tuple[str | None, ...]]) -> None:
    assert _decoded(b"".join(chunks(rows))) == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (Decimal("0.000000001"), "1E-9"),
        (datetime(2026, 11, 21, tzinfo=UTC), "2026-11-21T00:00:00+00:00"),
        ([], "{}"),
        (["a,b", 'c"d', "e\\f"], '{"a,b","c\\\\"d","e\\\\\\\\f"}'),
    ],
)
def test_values_are_written_as_postgresql_reads_them(value: Value, text: str) -> None:
    assert b"".join(chunks([(value,)])).decode() == text + "\n"
