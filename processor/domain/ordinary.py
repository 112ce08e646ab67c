"""The ordinary challenge log: taken by compiled code where it could be built, else by nobody.

Most logs are ordinary: of a member that lives, not seen before, asking for no answer, moving no
points. ``compiled/logs.pyx`` folds such a log for a fifth of what it costs in Python, byte for byte
the same. Everything else, and everything where no C compiler was at hand, is folded by
``processor.domain.handlers.challenge_logs``, which is where the rules are to be read.
"""

from collections.abc import Callable
from typing import Protocol

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.inputs import Place, Record
from processor.domain.working_set import WorkingSet


class OrdinaryLog(Protocol):
    """A log that may be ordinary, and the keys of the entries that tell whether it is."""

    @property
    def record(self) -> Record: ...
    @property
    def member_key(self) -> bytes: ...
    @property
    def log_key(self) -> bytes: ...
    @property
    def progress_key(self) -> bytes: ...


class OrdinaryLogs(Protocol):
    """Steps through the ordinary logs of one chunk."""

    def read(self, record: Record) -> OrdinaryLog | None:
        """Return a log as far as it can be told to be ordinary before the store is read."""
        ...

    def step(self, log: OrdinaryLog, sequence: int) -> bool:
        """Fold a log whose entries were read; False, with nothing changed, if it is no such log."""
        ...


class NoOrdinaryLogs:
    """Calls no log ordinary."""

    def read(self, record: Record) -> None:
        """Leave the log to Python."""

    def step(self, log: OrdinaryLog, sequence: int) -> bool:  # noqa: ARG002
        """Leave the log to Python."""
        return False


Make = Callable[[Place, Definitions, WorkingSet, Effects], OrdinaryLogs]


def in_python(
    place: Place,  # noqa: ARG001
    definitions: Definitions,  # noqa: ARG001
    entries: WorkingSet,  # noqa: ARG001
    effects: Effects,  # noqa: ARG001
) -> OrdinaryLogs:
    """Have all logs folded in Python."""
    return NoOrdinaryLogs()


try:
    from processor.domain.compiled import logs
except ImportError:
    COMPILED: Make | None = None
else:

    def _compiled(
        place: Place, definitions: Definitions, entries: WorkingSet, effects: Effects
    ) -> OrdinaryLogs:
        return logs.CompiledLogs(
            place,
            definitions,
            entries.load,
            entries.widen,
            entries.entries,
            entries.changed,
            effects,
        )

    COMPILED = _compiled

fastest: Make = COMPILED or in_python
