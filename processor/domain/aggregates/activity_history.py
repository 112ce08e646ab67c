"""What is kept of a member's logs at an activity, so that one can be taken back. State, initial,
evolve.

The state at an activity says what all its logs came to, which one log cannot be taken out of: its
value may have been the greatest, or the latest. So the logs themselves are kept beside it, in the
order in which they were folded, as far as ``LATEST`` and ``GREATEST`` go; what is not kept is in
``History.base``, folded. Taking one back is folding the others once more.

Each log is written to ``Recent``, a small entry; when that is full, it goes into ``History``, a
large one, which so is written seldom.
"""

from collections.abc import Sequence
from datetime import datetime
from heapq import nlargest

import msgspec

from processor.domain.aggregates import pathway as pathway_of
from processor.domain.aggregates.pathway import ActivityReport, ActivityState, CheckInPlace
from processor.domain.rules import Activity

LATEST = GREATEST = 1_000
"""So many logs are kept, of the latest and of those with the greatest values."""
FULL = 32
"""So many logs make ``Recent`` full."""
MAX_BYTES = 512 * 1024
"""What the kept logs may take, about; beyond, those that were folded first are not kept. A thousand
logs with identifiers of 400 bytes fit; control characters take six bytes each in JSON."""
SLACK, SLACK_BYTES = 512, 128 * 1024
"""So much more may lie there: what is beyond the bounds is looked for once in many logs."""
_ROW_BYTES = 80

_APPROVAL = ""
"""Stands for the identifier where an upload was approved: no log has this one."""


class More(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What most logs do not say."""

    score: int | None = None
    progress: int | None = None
    place: CheckInPlace | None = None
    url: str | None = None


class KeptLog(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one log said; amounts in nanos."""

    identifier: str
    at: datetime
    value: int | None = None
    more: More | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        more = self.more
        if more is None:
            return _ROW_BYTES + len(self.identifier.encode())
        place = more.place
        named = "" if place is None else f"{place.event_id}{place.guid}"
        return 2 * _ROW_BYTES + len(f"{self.identifier}{more.url}{named}".encode())


class Recent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The logs that were folded last, fewer than ``FULL``."""

    logs: tuple[KeptLog, ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        return sum(log.size for log in self.logs)


class History(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The logs before those of ``Recent``, and what all others before them came to; those that a
    version folded which kept none are among these. ``size`` is about what the logs take, in bytes.
    """

    base: ActivityState | None = None
    logs: tuple[KeptLog, ...] = ()
    size: int = 0


def initial(before: ActivityState | None) -> History:
    """Return the history of an activity whose logs are kept from now on."""
    return History(before)


def kept(report: ActivityReport) -> KeptLog:
    """Return what is kept of a log."""
    more = None
    if report.place is not None or report.url is not None:
        more = More(report.score, report.progress, report.place, report.url)
    elif report.score is not None or report.progress is not None:
        more = More(report.score, report.progress)
    return KeptLog(report.identifier, report.at, report.value, more)


def approval(at: datetime) -> KeptLog:
    """Return what is kept of an upload's approval."""
    return KeptLog(_APPROVAL, at)


def evolve(before: History, recent: Recent, activity: Activity) -> History:
    """Return the history with the recent logs in it; cut where it has become too large."""
    after = History(before.base, (*before.logs, *recent.logs), before.size + recent.size)
    too_many = len(after.logs) > LATEST + GREATEST + SLACK
    return cut(after, activity) if too_many or after.size > MAX_BYTES + SLACK_BYTES else after


def cut(before: History, activity: Activity) -> History:
    """Return the history with what is beyond its bounds folded."""
    logs = before.logs
    wanted = _wanted(logs)
    size = sum(logs[place].size for place in wanted)
    for place in sorted(wanted):
        if size <= MAX_BYTES:
            break
        size -= logs[place].size
        wanted.remove(place)
    if len(wanted) == len(logs):
        return before
    folded = [log for place, log in enumerate(logs) if place not in wanted]
    return History(
        fold(before.base, folded, activity),
        tuple(log for place, log in enumerate(logs) if place in wanted),
        size,
    )


def of_logs(base: ActivityState | None, logs: Sequence[KeptLog]) -> History:
    """Return the history that has these logs."""
    return History(base, tuple(logs), sum(log.size for log in logs))


def find(logs: Sequence[KeptLog], identifier: str) -> KeptLog | None:
    """Return the log with an identifier; None where it is not kept."""
    return next((log for log in logs if log.identifier == identifier), None)


def fold(
    base: ActivityState | None, logs: Sequence[KeptLog], activity: Activity
) -> ActivityState | None:
    """Return what logs come to, after others; None where there is none at all."""
    state = base
    for log in logs:
        if log.identifier != _APPROVAL:
            state = pathway_of.evolve(state, _report(log), activity)
        elif state is not None and state.url is not None:
            state = pathway_of.reviewed(state, approved=True, at=log.at)
    return state


def without(
    before: ActivityState, rest: ActivityState | None, recorded_at: datetime
) -> ActivityState:
    """Return an activity as its other logs make it. It stays begun, also where none is left."""
    if rest is None:
        rest = ActivityState(
            state=pathway_of.IN_PROGRESS,
            progress=0,
            started_at=before.started_at,
            touched_at=before.started_at,
            completed_at=None,
            created_at=before.created_at,
            updated_at=recorded_at,
        )
    return msgspec.structs.replace(
        rest,
        started_at=before.started_at,
        created_at=before.created_at,
        updated_at=recorded_at,
    )


def _report(log: KeptLog) -> ActivityReport:
    more = log.more or More()
    return ActivityReport(
        at=log.at,
        identifier=log.identifier,
        recorded_at=log.at,
        score=more.score,
        value=log.value,
        progress=more.progress,
        place=more.place,
        url=more.url,
    )


def _wanted(logs: Sequence[KeptLog]) -> set[int]:
    """Return the places of the latest logs and of those with the greatest values."""
    places = range(len(logs))
    if len(logs) <= min(LATEST, GREATEST):
        return set(places)
    latest = nlargest(LATEST, places, key=lambda n: (logs[n].at, logs[n].identifier))
    greatest = nlargest(
        GREATEST,
        (place for place in places if _value(logs[place]) is not None),
        key=lambda n: (_value(logs[n]), n),
    )
    return {*latest, *greatest}


def _value(log: KeptLog) -> int | None:
    if log.value is not None or log.more is None:
        return log.value
    return log.more.progress if log.more.score is None else log.more.score
