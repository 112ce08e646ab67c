"""The trace of one record: which rules it was held against, in their order, and what came of it.

Nobody decides by it. It is there only where the record's sender asked for one.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from schemas.amounts import format_amount
from schemas.dry_runs import CHALLENGE_NOT_LIVE, Kind, Outcome, TraceComparison, TraceStep

MAX_BYTES = 512 * 1024
"""Of the JSON of a trace; it ends before the first step that does not fit any more."""

_JSON = msgspec.json.Encoder(decimal_format="number")

_NOT_LIVE = frozenset({"not_live", CHALLENGE_NOT_LIVE})


class Trace:
    """Collects the steps of one record."""

    def __init__(self) -> None:
        self._steps: list[bytes] = []
        self._bytes = 0
        self._is_full = False
        self._by_end_user = False

    def for_end_user(self) -> None:
        """Leave out, from now on, what is no end user's to know: conditions, versions, and what is
        not live."""
        self._by_end_user = True

    def add(
        self,
        kind: Kind,
        id_: str,
        version: int,
        outcome: Outcome,
        *,
        why: str | None = None,
        conditions: Sequence[TraceComparison] = (),
        before: Raw | UnsetType = UNSET,
        after: Raw | UnsetType = UNSET,
    ) -> None:
        """Note that a rule was looked at; see ``TraceStep``."""
        if self._is_full or (self._by_end_user and (outcome in _NOT_LIVE or why in _NOT_LIVE)):
            return
        shown = UNSET if self._by_end_user or not conditions else list(conditions)
        of = UNSET if self._by_end_user else version
        because = UNSET if why is None else why
        step = TraceStep(kind, id_, of, outcome, because, shown, before, after)
        self._is_full = not (
            self._append(step)
            or (shown and self._append(msgspec.structs.replace(step, conditions=UNSET)))
        )

    def repeat(self) -> None:
        """Note that the record is a repeat: of such nothing else is said."""
        self._steps.clear()
        self._bytes = 0
        self._is_full = False
        self._append(TraceStep("duplicate"))

    def _append(self, step: TraceStep) -> bool:
        """Add a step where there is room for it; tell whether there was."""
        step_json = _JSON.encode(step)
        if self._bytes + len(step_json) >= MAX_BYTES:
            return False
        self._bytes += len(step_json) + 1
        self._steps.append(step_json)
        return True

    def json(self) -> bytes:
        """Return the steps as a JSON list."""
        return b"[%s]" % b",".join(self._steps)


def amount(nanos: int) -> Raw:
    """Return an amount's JSON."""
    return Raw(format_amount(nanos).encode())


def whole(number: int) -> Raw:
    """Return a whole number's JSON."""
    return Raw(b"%d" % number)
