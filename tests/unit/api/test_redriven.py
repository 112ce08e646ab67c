"""Which dead letters were redriven: positions by filter."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from api.dead_letters import redriven
from api.dead_letters.reading import found_in
from api.dead_letters.redriven import Filter, Found, Redriven
from api.dead_letters.redriving import Gathered, Taken
from schemas.dead_letter import DeadLetter
from schemas.places import place
from schemas.topics import MIB

ALL = Filter()
UNKNOWN = Filter("unknown_challenge")
ACME = Filter(None, "acme")
UNKNOWN_OF_ACME = Filter("unknown_challenge", "acme")


def letter(offset: int, reason: str, project: str | None) -> Found:
    content = DeadLetter(
        reason=reason, message="", project=project, topic="challenge-logs", partition=0, offset=0,
        key=None, value=None, headers=[], attempts=1, at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip
    return Found(0, offset, 0, b"", content)


def after(*runs: tuple[Filter, int]) -> Redriven:
    """Positions as runs of these filters, each up to an offset, leave them."""
    return Redriven({Redriven.key(f, 0).decode(): str(offset).encode() for f, offset in runs})


@pytest.mark.parametrize("value", [b"", b"[" * 5000, b'{"a":' * 5000, b'{"a":"\xff"}', None])
def test_what_is_no_workers_letter_is_passed_over(value: bytes | None) -> None:
    record = SimpleNamespace(partition=0, offset=3, timestamp=0, value=value)
    assert found_in(record).letter is None


def test_nothing_was_redriven_at_first() -> None:
    assert not after().includes(letter(0, "invalid", "acme"))
    assert after().start(ALL, 0) == 0


@pytest.mark.parametrize(
    ("run", "reason", "project", "expected"),
    [
        (ALL, "invalid", "acme", True),
        (ALL, "malformed", None, True),
        (UNKNOWN, "unknown_challenge", "acme", True),
        (UNKNOWN, "invalid", "acme", False),
        (ACME, "invalid", "acme", True),
        (ACME, "invalid", "other", False),
        (ACME, "malformed", None, False),
        (UNKNOWN_OF_ACME, "unknown_challenge", "acme", True),
        (UNKNOWN_OF_ACME, "unknown_challenge", "other", False),
    ],
)
def test_a_run_includes_what_its_filter_matches(
    run: Filter, reason: str, project: str | None, expected: bool
) -> None:
    assert after((run, 10)).includes(letter(9, reason, project)) is expected
    assert not after((run, 10)).includes(letter(10, reason, project))


def test_a_run_begins_where_a_wider_one_ended_but_not_where_a_narrower_one_did() -> None:
    assert after((ALL, 7), (UNKNOWN, 3)).start(UNKNOWN, 0) == 7
    assert after((UNKNOWN, 7)).start(ALL, 0) == 0
    assert after((UNKNOWN, 7)).start(UNKNOWN_OF_ACME, 0) == 7


def test_positions_of_imports_are_none_of_its_business() -> None:
    assert Redriven({"import/abc": b"{}"}).start(ALL, 0) == 0


def failing(*places: tuple[int, int, bytes]) -> Redriven:
    """Positions after a run of all letters up to 10 of partition 0, of which some failed."""
    failed = {Redriven.failed_key(part, offset).decode(): value for part, offset, value in places}
    return Redriven({Redriven.key(ALL, 0).decode(): b"10", **failed})


def kept(reason: str, project: str | None) -> bytes:
    found = letter(0, reason, project).letter
    assert found is not None
    return Redriven.kind_value(found)


def test_what_could_not_be_sent_was_not_redriven_and_holds_up_no_later_run() -> None:
    failed = failing((0, 4, kept("invalid", None)))
    assert not failed.includes(letter(4, "invalid", None))
    assert failed.includes(letter(5, "invalid", None))
    assert failed.start(ALL, 0) == failed.start(UNKNOWN, 0) == failed.start(ACME, 0) == 10
    assert failed.start(ALL, 1) == 0


def test_of_what_could_not_be_sent_only_what_is_meant_is_looked_at_again() -> None:
    failed = failing(
        (0, 7, kept("unknown_challenge", "acme")),
        (0, 4, kept("invalid", "other")),
        (0, 10, kept("unknown_challenge", "acme")),  # not passed yet: the run comes to it
        (1, 0, kept("unknown_challenge", "acme")),
    )
    assert failed.failed_before(ALL) == [(0, 4), (0, 7)]
    assert failed.failed_before(ACME) == failed.failed_before(UNKNOWN_OF_ACME) == [(0, 7)]
    assert failed.failed_before(Filter("invalid", "acme")) == []


def test_what_failed_before_its_kind_was_kept_may_be_anybodys() -> None:
    assert failing((0, 4, b"1")).failed_before(UNKNOWN_OF_ACME) == [(0, 4)]


def test_a_transaction_is_full_by_the_originals_that_were_fetched_for_it() -> None:
    found = letter(0, "too_large", "acme")._replace(raw=b"x" * 500)
    gathered = Gathered()
    full = []
    for _ in range(3):
        gathered.add(Taken(found, b"x" * 3 * MIB))
        full.append(gathered.is_full)
    assert full == [False, False, True]


def test_a_transaction_is_full_by_the_number_of_its_letters() -> None:
    gathered = Gathered()
    for _ in range(999):
        gathered.add(Taken(letter(0, "too_large", "acme"), why="is not there"))
    assert not gathered.is_full
    gathered.add(Taken(letter(0, "invalid", "acme")))
    assert gathered.is_full


def test_what_was_chosen_was_redriven_by_itself() -> None:
    chosen = Redriven({Redriven.chosen_key(0, 4).decode(): b"1"})
    assert chosen.includes(letter(4, "invalid", "acme"))
    assert not chosen.includes(letter(3, "invalid", "acme"))
    assert not chosen.includes(letter(5, "invalid", "acme"))
    assert chosen.start(ALL, 0) == 0


def test_what_was_passed_of_a_project_leaves_other_projects_runs_out() -> None:
    runs = after((ALL, 2), (UNKNOWN, 5), (UNKNOWN_OF_ACME, 9), (Filter(None, "other"), 7))
    assert set(runs.passed("acme")) == {
        (None, 2), ("unknown_challenge", 5), ("unknown_challenge", 9),
    }  # fmt: skip


def choosing(*runs: tuple[Filter, int], chosen: dict[tuple[int, int], bytes]) -> Redriven:
    """Positions after runs, and after letters that were chosen."""
    positions = {Redriven.key(f, 0).decode(): str(offset).encode() for f, offset in runs}
    marks = {Redriven.chosen_key(*where).decode(): value for where, value in chosen.items()}
    return Redriven(positions | marks)


OF_ACME = kept("invalid", "acme")


def test_marks_that_say_nothing_more_are_needless() -> None:
    chosen = {
        (0, 1): OF_ACME,  # left its topic
        (0, 4): OF_ACME,  # passed
        (0, 5): b"1",  # passed perhaps: what filters ask was not kept
        (0, 6): kept("invalid", "other"),
        (0, 9): OF_ACME,
        (1, 4): OF_ACME,
    }
    known = choosing((ACME, 8), chosen=chosen)
    assert set(known.needless({0: 2, 1: 0})) == {
        Redriven.chosen_key(0, 1), Redriven.chosen_key(0, 4),
    }  # fmt: skip
    assert known.includes(letter(4, "invalid", "acme"))
    without = choosing((ACME, 8), chosen={(0, 9): OF_ACME})
    assert without.includes(letter(4, "invalid", "acme"))


def test_what_could_not_be_sent_is_needless_once_it_left_its_topic() -> None:
    failed = failing((0, 4, OF_ACME), (0, 7, OF_ACME), (1, 2, OF_ACME))
    assert set(failed.needless({0: 5, 1: 0})) == {Redriven.failed_key(0, 4)}


def test_a_project_sees_its_own_marks_and_has_so_many_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {(0, 1): OF_ACME, (0, 2): kept("invalid", "other"), (0, 3): b"1"}
    known = choosing(chosen=chosen)
    assert set(known.chosen_places("acme")) == {place(0, 1), place(0, 3)}
    monkeypatch.setattr(redriven, "MOST_CHOSEN", 3)
    assert (known.may_choose("acme"), known.may_choose("new")) == (1, 2)
    passed = choosing((ACME, 8), chosen=chosen)
    assert passed.may_choose("acme") == 2
    failed = failing((0, 4, OF_ACME), (0, 7, kept("invalid", "other")))
    assert failed.failed_places("acme") == [place(0, 4)]
