"""In what pieces a partition's records are folded: as many at a time as go well.

A piece is one transaction. It is made smaller where it led to more than a transaction takes, where
its transaction outlived its time, and where anything about it failed; and it grows again. So a
record that cannot be folded ends up alone, in some ten steps, and what stands around it is folded
meanwhile. A record that fails alone twice in a row is poison; one for which there was no memory,
when two processes in a row ended with it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from processor import metrics
from processor.domain.fold import Part
from processor.journal import Journal, Note
from schemas.replies import correlation_id_of

logger = logging.getLogger(__name__)

MAX_PIECE = 12_000
"""Records. What waits while a transaction is under way is folded together, and is about as much."""
SHRINK = 4
FIRST_PIECE = 1_000
"""Of a worker that does not know yet how long its folds take."""
FOLD_SECONDS = 1.0
"""A fold holds up the transactions of all other partitions."""
DEATHS = 2
"""So often in a row the process may die in a piece."""
DIED = "ProcessDied"
"""The error of a record at which the process died: there was nobody to see a better one."""


class Rest:
    """What is left of a chunk's records, in the order of folding."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._part = 0
        self._record = 0

    def first(self, limit: int) -> list[Part]:
        """Return the next records, at most so many; none where nothing is left."""
        taken: list[Part] = []
        begin = self._record
        for topic, records in self._parts[self._part :]:
            if limit <= 0:
                break
            some = records[begin : begin + limit] if begin or len(records) > limit else records
            if some:
                taken.append(Part(topic, some))
            limit -= len(some)
            begin = 0
        return taken

    def pass_over(self, count: int) -> None:
        """Take the next records for done."""
        while count > 0 and self._part < len(self._parts):
            here = len(self._parts[self._part].records) - self._record
            if count < here:
                self._record += count
                return
            count -= here
            self._part, self._record = self._part + 1, 0

    def pass_folded(self, folded: Mapping[str, int]) -> None:
        """Take the next records for done as far as they were folded (by topic, exclusive)."""
        while self._part < len(self._parts):
            topic, records = self._parts[self._part]
            reached = folded.get(topic, 0)
            while self._record < len(records):
                if records[self._record].offset >= reached:
                    return
                self._record += 1
            self._part, self._record = self._part + 1, 0


class Pace:
    """How many records of any partition can be folded in time. All partitions share it: the first
    fold of each must not take long either."""

    def __init__(self) -> None:
        self.limit = FIRST_PIECE

    def folded(self, count: int, seconds: float) -> None:
        """Learn from a fold."""
        if seconds > FOLD_SECONDS:
            self.limit = max(1, int(count * FOLD_SECONDS / seconds))
        elif count >= self.limit and seconds * 2 < FOLD_SECONDS:
            self.limit = min(2 * self.limit, MAX_PIECE)


class Pieces:
    """How large one partition's pieces are, and which of its records are poison."""

    def __init__(self, journal: Journal, folded: Mapping[str, int]) -> None:
        """``folded``: by topic, the offset up to which (exclusive) the partition was folded."""
        self.poison: dict[tuple[str, int], str] = {}
        self._journal = journal
        self._fits = MAX_PIECE
        self._careful = 0
        self._singly = False
        self._failed_alone: tuple[str, int] | None = None
        self._suspect: Note | None = None
        self._note: Note | None = None
        last = journal.last()
        if last is not None:
            self._learn(last, finished=folded.get(last.topic, 0) > last.offset)

    def _learn(self, last: Note, *, finished: bool) -> None:
        """Go on from what the process before this one was about when it ended."""
        self._careful = max(0, last.careful - last.count) if finished else last.careful
        self._singly = last.singly and self._careful > 0
        if self._careful:
            self._fits = 1
        if finished or not last.folding:
            return
        last.died += 1
        self._suspect = last
        if last.count == 1:
            if last.died >= DEATHS:
                self._condemn((last.topic, last.offset), DIED, None)
        elif last.careful:
            self._careful, self._singly, self._fits = last.count, True, 1
        elif last.died >= DEATHS:
            self._careful, self._fits = last.count, 1

    @property
    def limit(self) -> int:
        """How many records the next piece may have."""
        if self._singly or (self._suspect is not None and self._suspect.count == 1):
            return 1
        return self._fits

    def begin(self, piece: Sequence[Part]) -> None:
        """Note that a piece is going to be folded."""
        topic, offset, count = piece[0].topic, piece[0].records[0].offset, size(piece)
        note = Note(topic, offset, count, careful=self._careful, singly=self._singly)
        before = self._suspect
        if before is not None and (before.topic, before.offset) == (topic, offset):
            alone_again = (before.count == 1) == (count == 1)
            note.died = before.died if alone_again else 0
        self._note = note
        self._journal.write(note)

    def folded(self) -> None:
        """Note that the process survived the fold of the piece."""
        if self._note is not None:
            self._note.folding = False
            self._journal.write(self._note)

    def done(self, piece: Sequence[Part], *, roomy: bool = True) -> None:
        """Take a piece for written; ``roomy`` where twice as much would have fitted."""
        count = size(piece)
        if count == self._fits and roomy:
            self._fits = min(2 * self._fits, MAX_PIECE)
        if self._careful:
            self._careful = max(0, self._careful - count)
            self._singly = self._singly and self._careful > 0
        self._failed_alone = None
        for topic, records in piece:
            suspect = self._suspect
            if suspect and suspect.topic == topic and suspect.offset <= records[-1].offset:
                self._suspect = None
            if self.poison:
                for record in records:
                    self.poison.pop((topic, record.offset), None)

    def cut(self, count: int) -> None:
        """Make pieces of so many records: they led to as much as a transaction takes."""
        self._fits = max(1, count)

    def took_too_long(self, piece: Sequence[Part]) -> None:
        """Make smaller pieces: the transaction outlived its time, which is no record's fault."""
        self._fits = max(1, size(piece) // SHRINK)

    def failed(self, piece: Sequence[Part], error: BaseException) -> bool:
        """Make smaller pieces after a failure, or condemn a record that failed alone again; False
        where the process is to end, for neither can be done, or not yet."""
        topic, offset, count = piece[0].topic, piece[0].records[0].offset, size(piece)
        if (topic, offset) in self.poison and count == 1:
            return False
        metrics.PIECES_FAILED.inc()
        logger.error(
            "%s, offset %d: %d records could not be folded, trying again with fewer",
            topic,
            offset,
            count,
            exc_info=error,
            extra={"correlation_id": _asked_by(piece) if count == 1 else None},
        )
        if count > 1:
            self._fits = max(1, count // SHRINK)
        elif self._failed_alone != (topic, offset):
            self._failed_alone = topic, offset
        elif isinstance(error, MemoryError):
            return self._ask_next_process()
        else:
            self._condemn((topic, offset), type(error).__name__, _asked_by(piece))
        return True

    def _ask_next_process(self) -> bool:
        """Note that this one dies in the fold of its piece: something else may have the memory, and
        would make every record poison."""
        if self._note is not None:
            self._note.folding = True
            self._journal.write(self._note)
        return False

    def poisoned(self, piece: Sequence[Part]) -> Mapping[tuple[str, int], str]:
        """Return what is poison of a piece, and of which error."""
        if not self.poison:
            return self.poison
        places = ((topic, record.offset) for topic, records in piece for record in records)
        return {place: self.poison[place] for place in places if place in self.poison}

    def _condemn(self, place: tuple[str, int], error: str, asked_by: bytes | None) -> None:
        topic, offset = place
        logger.error(
            "%s, offset %d: the record could not be folded twice in a row (%s); it becomes a dead "
            "letter `poison`",
            topic,
            offset,
            error,
            extra={"correlation_id": asked_by},
        )
        self.poison[place] = error


def _asked_by(piece: Sequence[Part]) -> bytes | None:
    """Return the correlation id of a piece's first record, for the log."""
    return correlation_id_of(piece[0].records[0].headers)


def size(piece: Iterable[Part]) -> int:
    """Return how many records a piece has."""
    return sum(len(part.records) for part in piece)
