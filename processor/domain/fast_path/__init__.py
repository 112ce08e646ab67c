"""Fast path for common challenge logs and events; used when a C compiler was there at installation.

Common logs are of a member that lives, ask for no answer and move no points; repeated ones too.
Common events are those on which nothing acts but their conditions, their limit, the challenges that
they feed, and the wallet that their points go into. The compiled code folds them for a fraction of
what they cost in Python, byte for byte the same. Python folds everything else, and everything where
the fast path is missing: the rules are in ``aggregates`` and ``handlers``.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import contract
from processor.domain.inputs import Place, Record
from processor.domain.rules import Challenge, Streak
from processor.domain.working_set import WorkingSet
from schemas.records import ChallengeLog


class Common(Protocol):
    """A record that may be common, and the keys of the entries that tell whether it is."""

    @property
    def record(self) -> Record:
        """As it came; a log that an event feeds has none."""
        ...

    @property
    def keys(self) -> Sequence[bytes]: ...


class Completed(NamedTuple):
    """A challenge that an event completed, and whose."""

    challenge: Challenge
    project: str
    member_id: str
    timestamp: int
    """Of the event's record."""
    progress_id: str
    at: datetime


class Hits(NamedTuple):
    """Streaks that an event hits, and whose; ``voidable`` where it has a key to name it by."""

    streaks: Sequence[Streak]
    project: str
    member_id: str
    timestamp: int
    """Of the event's record."""
    at: datetime
    voidable: bool


class Python(Protocol):
    """What Python does of an event that the fast path folds; all of it can be taken back."""

    def feed(self, record: Record, place: int) -> None:
        """Fold a log that an event feeds: by the event's record, and the log's place among those
        that it feeds."""
        ...

    def give(self, completed: Completed) -> None:
        """Give the points of a challenge that was completed."""
        ...

    def hit(self, hits: Hits) -> Sequence[str]:
        """Count an event for streaks; return the keys of the periods that it hit."""
        ...


class FastPath(Protocol):
    """Folds the common records of one chunk."""

    def read(self, topic: str, record: Record) -> Common | None:
        """Return a record that may be common, as far as that shows before the store is read."""
        ...

    def feed(
        self, record: ChallengeLog, project: str, member_id: str, timestamp: int
    ) -> Common | None:
        """Return a log that an event of ``timestamp`` feeds, where it may be common. Whoever folds
        it has seen that its member lives and that it is not ahead, and can take it back."""
        ...

    def step(self, common: Common, sequence: int, python: Python | None = None) -> bool:
        """Fold a record whose entries were read; False, with nothing changed, if it is not common.

        An event needs Python. Without it, a log that gives points is not common.
        """
        ...


class NoFastPath:
    """Leaves every record to Python."""

    def read(self, topic: str, record: Record) -> None:
        """Take no record."""

    def feed(self, record: ChallengeLog, project: str, member_id: str, timestamp: int) -> None:
        """Take no log."""

    def step(self, common: Common, sequence: int, python: Python | None = None) -> bool:  # noqa: ARG002
        """Take no record."""
        return False


MakeFastPath = Callable[[Place, Definitions, WorkingSet, Effects], FastPath]
"""Makes the fast path of one chunk."""


def in_python(
    place: Place,  # noqa: ARG001
    definitions: Definitions,  # noqa: ARG001
    entries: WorkingSet,  # noqa: ARG001
    effects: Effects,  # noqa: ARG001
) -> FastPath:
    """Have all records folded in Python."""
    return NoFastPath()


try:
    from processor.domain.fast_path import challenge_logs
except ImportError:
    COMPILED: MakeFastPath | None = None
    UNUSED: str | None = "no C compiler was there at installation"
else:
    _of_logs = contract.differences(contract.KNOWN)
    _of_events = contract.differences(contract.KNOWN_OF_EVENTS)

    def _compiled(
        place: Place, definitions: Definitions, entries: WorkingSet, effects: Effects
    ) -> FastPath:
        return challenge_logs.CompiledFold(place, definitions, entries, effects, not _of_events)

    COMPILED = None if _of_logs else _compiled
    _differences = _of_logs + _of_events
    UNUSED = f"it does not know these fields: {', '.join(_differences)}" if _differences else None
"""``COMPILED`` is None where the fast path is not used; ``UNUSED`` says why, also where it folds no
events."""

fastest: MakeFastPath = COMPILED or in_python
