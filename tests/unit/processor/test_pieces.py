"""What cannot be folded ends up alone, whatever it does; what stands around it is folded."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from processor.domain.fold import Part
from processor.journal import NOTE_BYTES, Journal, Note
from processor.pieces import DIED, FIRST_PIECE, MAX_PIECE, Pace, Pieces, Rest, size
from schemas.replies import CORRELATION_ID

TOPIC, OTHER = "challenge-logs", "events"
Place = tuple[str, int]


class Death(BaseException):
    """The process ends; nobody catches that."""


def part(*offsets: int, topic: str = TOPIC) -> Part:
    records: list[Any] = [
        SimpleNamespace(offset=offset, headers=[(CORRELATION_ID, b"asked-%d" % offset)])
        for offset in offsets
    ]
    return Part(topic, records)


def places(piece: list[Part]) -> list[Place]:
    return [(topic, record.offset) for topic, records in piece for record in records]


class Partition:
    """A partition of some records, and what folding each does to whoever folds it."""

    def __init__(self, directory: Path, *parts: Part) -> None:
        self.directory = directory
        self.parts = list(parts)
        self.folded: dict[str, int] = {}
        self.order: list[tuple[Place, str]] = []
        """The records in the order in which they were folded, with the error if poison."""
        self.attempts = 0
        self.lives = 0
        self.does: dict[Place, Callable[[], None]] = {}
        self.survives_fold: Callable[[], None] = lambda: None

    def live(self) -> None:
        """Be a worker that folds everything, or dies."""
        self.lives += 1
        pieces = Pieces(Journal(self.directory, 0), self.folded)
        rest = Rest(self.parts)
        rest.pass_folded(self.folded)
        while piece := rest.first(pieces.limit):
            self.attempts += 1
            poison = self._fold(pieces, piece)
            if poison is None:
                continue
            pieces.folded()
            self.survives_fold()
            self._written(piece, poison)
            pieces.done(piece)
            rest.pass_over(size(piece))

    def _fold(self, pieces: Pieces, piece: list[Part]) -> Mapping[Place, str] | None:
        pieces.begin(piece)
        poison = dict(pieces.poisoned(piece))
        failed: list[Exception] = []
        try:
            for place in places(piece):
                if place in self.does and place not in poison:
                    self.does[place]()
        except Exception as error:  # noqa: BLE001  # whatever it is
            failed.append(error)
        if not failed:
            return poison
        pieces.folded()
        if not pieces.failed(piece, failed[0]):
            raise Death
        return None

    def _written(self, piece: list[Part], poison: Mapping[Place, str]) -> None:
        for topic, records in piece:
            self.folded[topic] = records[-1].offset + 1
        self.order += [(place, poison.get(place, "")) for place in places(piece)]

    def live_until_done(self) -> None:
        """Start again after each death."""
        while True:
            try:
                self.live()
            except Death:
                continue
            return


def fail(error: BaseException) -> Callable[[], None]:
    def do() -> None:
        raise error

    return do


def whole(*parts: Part, **poison: str) -> list[tuple[Place, str]]:
    """All records in their order; ``o5`` names the error of the one with offset 5."""
    return [(place, poison.get(f"o{place[1]}", "")) for place in places(list(parts))]


@pytest.mark.parametrize("error", [RuntimeError(), RecursionError(), KeyError("x")])
def test_a_record_that_fails_becomes_poison_and_all_others_are_folded(
    tmp_path: Path, error: Exception
) -> None:
    records = part(*range(5_000))
    partition = Partition(tmp_path, records)
    partition.does[TOPIC, 3_210] = fail(error)
    partition.live()
    assert partition.order == whole(records, o3210=type(error).__name__)
    assert partition.attempts < 40  # not one by one


def test_several_that_fail_are_each_found(tmp_path: Path) -> None:
    parts = part(*range(100)), part(*range(500, 600), topic=OTHER)
    partition = Partition(tmp_path, *parts)
    for place in ((TOPIC, 0), (TOPIC, 1), (TOPIC, 99), (OTHER, 550)):
        partition.does[place] = fail(ValueError())
    partition.live()
    wrong = {f"o{n}": "ValueError" for n in (0, 1, 99, 550)}
    assert partition.order == whole(*parts, **wrong)


def test_what_fails_once_is_no_poison(tmp_path: Path) -> None:
    records = part(7)
    partition = Partition(tmp_path, records)

    def once() -> None:
        del partition.does[TOPIC, 7]
        raise MemoryError

    partition.does[TOPIC, 7] = once
    partition.live()
    assert partition.order == whole(records)
    assert partition.attempts == 2


def test_a_record_at_which_the_process_dies_becomes_poison(tmp_path: Path) -> None:
    records = part(*range(1_000))
    partition = Partition(tmp_path, records)
    partition.does[TOPIC, 777] = fail(Death())
    partition.live_until_done()
    assert partition.order == whole(records, o777=DIED)
    assert partition.lives == 6  # twice all, once in growing pieces, twice alone, and the last


def test_memory_that_others_have_makes_nothing_poison(tmp_path: Path) -> None:
    records = part(*range(20))
    partition = Partition(tmp_path, records)
    partition.does = {(TOPIC, offset): fail(MemoryError()) for offset in range(20)}
    with pytest.raises(Death):
        partition.live()
    partition.does = {}
    partition.live()
    assert partition.order == whole(records)


def test_a_record_that_no_process_has_memory_for_becomes_poison(tmp_path: Path) -> None:
    records = part(*range(100))
    partition = Partition(tmp_path, records)
    partition.does[TOPIC, 77] = fail(MemoryError())
    partition.live_until_done()
    assert partition.order == whole(records, o77=DIED)
    assert partition.lives == 3


def test_a_killed_worker_makes_nothing_poison(tmp_path: Path) -> None:
    """SIGKILL comes at any moment, again and again; not in one record's fold alone each time."""
    records = part(*range(300))
    partition = Partition(tmp_path, records)
    for life in range(12):
        at = (TOPIC, 20 * life + 10)
        partition.does = {at: fail(Death())}
        with pytest.raises(Death):
            partition.live()
    partition.does = {}
    partition.live()
    assert partition.order == whole(records)


def test_dying_while_the_broker_is_waited_for_says_nothing_of_the_records(tmp_path: Path) -> None:
    records = part(5)
    partition = Partition(tmp_path, records)
    partition.survives_fold = fail(Death())
    for _ in range(10):
        with pytest.raises(Death):
            partition.live()
    partition.survives_fold = lambda: None
    partition.live()
    assert partition.order == whole(records)


def test_another_record_in_front_is_not_taken_for_the_one_that_killed(tmp_path: Path) -> None:
    """After a restart commands may have come in front of it."""
    killer = part(5)
    partition = Partition(tmp_path, killer)
    partition.does[TOPIC, 5] = fail(Death())
    for _ in range(2):
        with pytest.raises(Death):
            partition.live()
    command = part(0, topic="member-commands")
    partition.parts.insert(0, command)
    partition.live()
    assert partition.order == whole(command, killer, o5=DIED)


def test_pieces_grow_again_after_trouble(tmp_path: Path) -> None:
    pieces = Pieces(Journal(tmp_path, 0), {})
    pieces.took_too_long([part(*range(400))])
    assert pieces.limit == 100
    pieces.done([part(*range(50))])
    assert pieces.limit == 100  # fewer than were allowed: it says nothing
    pieces.done([part(*range(100))])
    assert pieces.limit == 200
    pieces.done([part(*range(200))], roomy=False)
    assert pieces.limit == 200
    pieces.cut(30)
    assert pieces.limit == 30
    while pieces.limit < MAX_PIECE:
        pieces.done([part(*range(pieces.limit))])


def test_no_fold_takes_long_once_one_did() -> None:
    pace = Pace()
    pace.folded(FIRST_PIECE, 4.0)
    assert pace.limit == FIRST_PIECE // 4
    pace.folded(FIRST_PIECE // 4, 0.6)
    pace.folded(10, 0.001)
    assert pace.limit == FIRST_PIECE // 4
    while pace.limit < MAX_PIECE:
        before = pace.limit
        pace.folded(before, 0.1)
        assert pace.limit == min(2 * before, MAX_PIECE)
    pace.folded(1, 30.0)
    assert pace.limit == 1


def test_poison_is_logged_with_the_id_of_who_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces(Journal(tmp_path, 0), {})
    for _ in range(2):
        assert pieces.failed([part(5)], ValueError())
    ids = {getattr(record, "correlation_id", None) for record in caplog.records}
    assert ids == {b"asked-5"}


def test_a_dead_letter_that_cannot_be_made_is_nothing_to_try_again(tmp_path: Path) -> None:
    pieces = Pieces(Journal(tmp_path, 0), {})
    piece = [part(5)]
    assert pieces.failed(piece, ValueError())
    assert pieces.failed(piece, ValueError())
    assert pieces.poisoned(piece) == {(TOPIC, 5): "ValueError"}
    assert not pieces.failed(piece, ValueError())


def test_the_rest_is_taken_in_order_and_passed_over_by_number_and_by_offset() -> None:
    rest = Rest([part(1, 2, 3), part(), part(7, 9, topic=OTHER), part(4, 8)])
    assert places(rest.first(2)) == [(TOPIC, 1), (TOPIC, 2)]
    rest.pass_over(2)
    assert places(rest.first(99)) == [(TOPIC, 3), (OTHER, 7), (OTHER, 9), (TOPIC, 4), (TOPIC, 8)]
    assert places(rest.first(2)) == [(TOPIC, 3), (OTHER, 7)]
    rest.pass_folded({TOPIC: 5, OTHER: 8})
    assert places(rest.first(99)) == [(OTHER, 9), (TOPIC, 4), (TOPIC, 8)]
    rest.pass_folded({TOPIC: 5, OTHER: 10})
    assert places(rest.first(99)) == [(TOPIC, 8)]
    rest.pass_over(1)
    assert rest.first(99) == []


def test_a_note_that_is_torn_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 3)
    assert journal.last() is None
    journal.write(Note(TOPIC, 2**62, MAX_PIECE, 2, careful=MAX_PIECE, singly=True))
    journal.write(Note(TOPIC, 5, 1))
    journal.close()
    assert Journal(tmp_path, 3).last() == Note(TOPIC, 5, 1)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size == NOTE_BYTES
    file.write_bytes(file.read_bytes()[:20])
    assert Journal(tmp_path, 3).last() is None


_DIES = """
import os, sys
from pathlib import Path
from processor.journal import Journal, Note
Journal(Path(sys.argv[1]), 0).write(Note("events", 7, 1))
os._exit(9)
"""


def test_a_note_outlives_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DIES, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert Journal(tmp_path, 0).last() == Note("events", 7, 1)
