"""Fast path for common challenge logs; used when a C compiler was present at installation.

Common logs are of a member that lives, ask for no answer and move no points; repeated ones too.
``challenge_logs.pyx`` folds such a log for a fifth of what it costs in Python, byte for byte the
same. Python folds everything else, and everything where the fast path is missing: the rules are in
``aggregates`` and ``handlers``.
"""

from collections.abc import Callable
from typing import Protocol

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path.contract import differences
from processor.domain.inputs import Place, Record
from processor.domain.working_set import WorkingSet
from schemas.records import ChallengeLog


class FastLog(Protocol):
    """A log that the fast path may take, and the keys of the entries that tell whether it does."""

    @property
    def record(self) -> Record:
        """As it came; a log that an event feeds has none."""
        ...

    @property
    def member_key(self) -> bytes: ...
    @property
    def log_key(self) -> bytes: ...
    @property
    def progress_key(self) -> bytes: ...


class FastPath(Protocol):
    """Folds the common logs of one chunk."""

    def read(self, record: Record) -> FastLog | None:
        """Return a log that may be common, as far as that shows before the store is read."""
        ...

    def feed(
        self, record: ChallengeLog, project: str, member_id: str, timestamp: int
    ) -> FastLog | None:
        """Return a log that an event of ``timestamp`` feeds, where it may be common. Whoever folds
        it has seen that its member lives and that it is not ahead, and can take it back."""
        ...

    def step(self, log: FastLog, sequence: int) -> bool:
        """Fold a log whose entries were read; False, with nothing changed, if it is not common."""
        ...


class NoFastPath:
    """Leaves every log to Python."""

    def read(self, record: Record) -> None:
        """Take no log."""

    def feed(self, record: ChallengeLog, project: str, member_id: str, timestamp: int) -> None:
        """Take no log."""

    def step(self, log: FastLog, sequence: int) -> bool:  # noqa: ARG002
        """Take no log."""
        return False


MakeFastPath = Callable[[Place, Definitions, WorkingSet, Effects], FastPath]
"""Makes the fast path of one chunk."""


def in_python(
    place: Place,  # noqa: ARG001
    definitions: Definitions,  # noqa: ARG001
    entries: WorkingSet,  # noqa: ARG001
    effects: Effects,  # noqa: ARG001
) -> FastPath:
    """Have all logs folded in Python."""
    return NoFastPath()


try:
    from processor.domain.fast_path import challenge_logs
except ImportError:
    COMPILED: MakeFastPath | None = None
    UNUSED: str | None = "no C compiler was there at installation"
else:

    def _compiled(
        place: Place, definitions: Definitions, entries: WorkingSet, effects: Effects
    ) -> FastPath:
        return challenge_logs.CompiledLogs(
            place,
            definitions,
            entries.load,
            entries.widen,
            entries.change,
            entries.entries,
            entries.changed,
            effects,
        )

    _differences = differences()
    COMPILED = None if _differences else _compiled
    UNUSED = f"it does not know these fields: {', '.join(_differences)}" if _differences else None
"""``COMPILED`` is None where the fast path is not used; ``UNUSED`` says why."""

fastest: MakeFastPath = COMPILED or in_python
