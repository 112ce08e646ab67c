"""Which dead letters were sent back to where they came from: each once.

It is known by positions, one per filter and partition of `dead-letters`: all of it, one reason, one
project, or one reason of one project. A letter was redriven when it was chosen by itself, or lies
before the position of any filter that it matches and is not among those that could not be sent:
each of these has a record of its own, with what filters ask of it, until a later run sends it. A
run begins where its filter has come to, and fetches what failed before it one by one. So `--reason
unknown_challenge` leaves the others where they are, and a later run without a filter sends those,
and only those. All this is committed in the transaction that sends the records: killed anywhere, or
run twice, nothing is sent twice and nothing is left out. Marks of single letters are removed by the
next run once they say nothing more: the letter has left its topic, or a filter has passed it. A
project has `MOST_CHOSEN` marks of chosen letters at most. An original that is refused again comes
back as a new letter, with `attempts` one higher, behind all positions; it can be redriven again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.places import place

MOST_CHOSEN = 5_000
"""How many letters of a project may be sent one by one before a filter passes them: each is a
record that every redrive reads, and some 100 bytes of every API process."""


class Kind(NamedTuple):
    """What filters look at in a letter; a letter without a project is nobody's."""

    reason: str
    project: str | None


class Filter(NamedTuple):
    """Which letters are meant; None means any."""

    reason: str | None = None
    project: str | None = None

    def matches(self, letter: DeadLetter | Kind) -> bool:
        """Tell whether a letter is meant."""
        return self.reason in (None, letter.reason) and self.project in (None, letter.project)


class Found(NamedTuple):
    """A dead letter and where it lies on `dead-letters`; `timestamp` (ms) is when it was written.

    `letter` is None where the record there is no dead letter; `raw` is what it is.
    """

    partition: int
    offset: int
    timestamp: int
    raw: bytes
    letter: DeadLetter | None


class Redriven:
    """How far each filter's redrives have got: next offset by filter and partition; which letters
    before it could not be sent; and which were sent one by one."""

    def __init__(self, positions: Mapping[str, bytes]) -> None:
        self._next: dict[tuple[Filter, int], int] = {}
        self._failed: dict[int, dict[int, Kind | None]] = defaultdict(dict)
        self._chosen: dict[tuple[int, int], Kind | None] = {}
        for key, value in positions.items():
            kind, _, rest = key.partition("/")
            if kind == "redrive":
                reason, project, partition = msgspec.json.decode(
                    rest, type=tuple[str | None, str | None, int]
                )
                self._next[Filter(reason, project), partition] = int(value)
            elif kind == "redrive-failed":
                number, _, offset = rest.partition("/")
                self._failed[int(number)][int(offset)] = _kind(value)
            elif kind == "redrive-chosen":
                number, _, offset = rest.partition("/")
                self._chosen[int(number), int(offset)] = _kind(value)

    @staticmethod
    def key(wanted: Filter, partition: int) -> bytes:
        """Return the key that a position is kept under."""
        return b"redrive/" + msgspec.json.encode((wanted.reason, wanted.project, partition))

    @staticmethod
    def failed_key(partition: int, offset: int) -> bytes:
        """Return the key under which it is kept that a letter could not be sent."""
        return f"redrive-failed/{partition}/{offset}".encode()

    @staticmethod
    def kind_value(letter: DeadLetter) -> bytes:
        """Return what is kept of a single letter: what filters ask of it."""
        return msgspec.json.encode((letter.reason, letter.project))

    @staticmethod
    def chosen_key(partition: int, offset: int) -> bytes:
        """Return the key under which it is kept that a letter was sent by itself."""
        return f"redrive-chosen/{partition}/{offset}".encode()

    def failed(self, found: Found) -> bool:
        """Tell whether an earlier run could not send a letter."""
        return found.offset in self._failed.get(found.partition, ())

    def position(self, wanted: Filter, partition: int) -> int:
        """Return the offset that runs with this very filter have come to."""
        return self._next.get((wanted, partition), 0)

    def start(self, wanted: Filter, partition: int) -> int:
        """Return the offset of a partition that runs which take these letters have come to: before
        it, there are left only those that could not be sent."""
        wider = {
            Filter(reason, project)
            for reason in (None, wanted.reason)
            for project in (None, wanted.project)
        }
        return max(self.position(each, partition) for each in wider)

    def failed_before(self, wanted: Filter) -> Sequence[tuple[int, int]]:
        """Return partition and offset of the letters before `start` that could not be sent and may
        be meant, those that came first first."""
        found = []
        for number, offsets in self._failed.items():
            start = self.start(wanted, number)
            found += [
                (offset, number)
                for offset, kind in offsets.items()
                if offset < start and (kind is None or wanted.matches(kind))
            ]
        return [(number, offset) for offset, number in sorted(found)]

    def includes(self, found: Found) -> bool:
        """Tell whether a letter was redriven, by whatever filter."""
        letter = found.letter
        if (found.partition, found.offset) in self._chosen:
            return True
        if letter is None or self.failed(found):
            return False
        return found.offset < self.start(Filter(letter.reason, letter.project), found.partition)

    def passed(self, project: str) -> Sequence[tuple[str | None, int]]:
        """Return what the runs that took letters of a project have passed: the reason that they
        were for (None: any), and the place of the first letter that they have not come to."""
        return [
            (wanted.reason, place(partition, offset))
            for (wanted, partition), offset in self._next.items()
            if wanted.project in (None, project)
        ]

    def failed_places(self, project: str) -> Sequence[int]:
        """Return the places of a project's letters that could not be sent."""
        return [
            place(number, offset)
            for number, offsets in self._failed.items()
            for offset, kind in offsets.items()
            if kind is None or kind.project in (None, project)
        ]

    def chosen_places(self, project: str) -> Sequence[int]:
        """Return the places of a project's letters that were sent one by one."""
        return [place(*each) for each in self._chosen_of(project)]

    def may_choose(self, project: str) -> int:
        """Return how many more letters of a project may be sent one by one."""
        kept = sum(
            kind is None or not self.passed_by(kind, *each)
            for each in self._chosen_of(project)
            for kind in [self._chosen[each]]
        )
        return max(0, MOST_CHOSEN - kept)

    def _chosen_of(self, project: str) -> Sequence[tuple[int, int]]:
        return [
            each
            for each, kind in self._chosen.items()
            if kind is None or kind.project in (None, project)
        ]

    def passed_by(self, kind: Kind, partition: int, offset: int) -> bool:
        """Tell whether some run of a filter that a letter matches has come past it."""
        return offset < self.start(Filter(kind.reason, kind.project), partition)

    def needless(self, begins: Mapping[int, int]) -> Sequence[bytes]:
        """Return the keys of marks that say nothing more.

        Args:
            begins: by partition of `dead-letters`, the offset of the first letter that is there.
        """
        chosen = [
            self.chosen_key(number, offset)
            for (number, offset), kind in self._chosen.items()
            if offset < begins.get(number, 0)
            or (kind is not None and self.passed_by(kind, number, offset))
        ]
        failed = [
            self.failed_key(number, offset)
            for number, offsets in self._failed.items()
            for offset in offsets
            if offset < begins.get(number, 0)
        ]
        return chosen + failed


def _kind(value: bytes) -> Kind | None:
    """Return what is kept of a single letter; None where nothing is, as before 0.5.0."""
    known = msgspec.json.decode(value, type=tuple[str, str | None] | int)
    return None if isinstance(known, int) else Kind(*known)
