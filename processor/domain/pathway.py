"""A pathway: what a member did at each of its activities. State, initial, evolve.

Amounts are nanos (``schemas.amounts``), percentages too. What was completed stays completed,
whatever comes late; what is measured goes on being measured.
"""

from datetime import datetime

import msgspec

from processor.domain.rules import Activity, Pathway
from schemas import activity_types as types
from schemas.amounts import SCALE

IN_PROGRESS = "in progress"
COMPLETED = "completed"

_FULL = 100 * SCALE
_DONE_AT_ONCE = frozenset(
    {
        types.VIEW,
        types.VISIT,
        types.CHECK_IN,
        types.QR_CODE,
        types.HONOR,
        types.ENROLLMENT,
    }
)

UPLOADS = frozenset({types.UPLOAD, types.UPLOAD_REVIEW})


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a member checked in; ``distance`` in metres, -1 where it is not known."""

    event_id: str | None
    virtual: bool
    guid: str | None
    distance: float


class Measured(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The values of a data activity, as far as its formulas need them."""

    total: int
    count: int
    highest: int
    latest: int
    latest_at: datetime
    latest_identifier: str


class Worked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member did at one activity."""

    state: str
    progress: int
    started_at: datetime
    touched_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    score: int | None = None
    measured: Measured | None = None
    place: Place | None = None
    url: str | None = None

    @property
    def timestamp(self) -> datetime:
        """When it was completed, else when it was last worked at."""
        return self.completed_at or self.touched_at


class Enrolment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A member in a pathway. What is done before the enrolment is kept, and shows with it.

    ``completed`` names activities; what was done at each is an entry of its own.
    """

    enrolled: bool = False
    enrolled_at: datetime | None = None
    version: int = 0
    completed: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An activity log's identifier is used up."""


class Done(msgspec.Struct, frozen=True, gc=False):
    """One activity log: when, under which identifier, and what it says."""

    at: datetime
    identifier: str
    recorded_at: datetime
    score: int | None = None
    value: int | None = None
    progress: int | None = None
    place: Place | None = None
    url: str | None = None


def evolve(before: Worked | None, activity: Activity, done: Done) -> Worked:
    """Return what a member did at an activity with one more log."""
    measured = None if before is None else before.measured
    if done.value is not None:
        measured = _measure(measured, done)
    score = None if before is None else before.score
    if done.score is not None:
        score = done.score if score is None else max(score, done.score)
    after = Worked(
        state=IN_PROGRESS,
        progress=0,
        started_at=done.at if before is None else min(before.started_at, done.at),
        touched_at=done.at if before is None else max(before.touched_at, done.at),
        completed_at=None if before is None else before.completed_at,
        created_at=done.recorded_at if before is None else before.created_at,
        updated_at=done.recorded_at,
        score=score,
        measured=measured,
        place=done.place or (None if before is None else before.place),
        url=done.url or (None if before is None else before.url),
    )
    if after.completed_at is not None or _is_done(activity, after):
        return _completed(after, done.at)
    progress = _progress(activity, after, done)
    if activity.formula is None and before is not None:
        progress = max(progress, before.progress)
    return msgspec.structs.replace(after, progress=progress)


def reviewed(before: Worked, *, approved: bool, at: datetime) -> Worked:
    """Return an activity after its upload was judged; completed stays completed."""
    if before.completed_at is not None or not approved:
        return before
    return msgspec.structs.replace(_completed(before, at), touched_at=at, updated_at=at)


def current(activity: Activity, worked: Worked) -> int:
    """Return what a data activity's formula makes of its values, in nanos; halves round up."""
    measured = worked.measured
    if measured is None:
        return 0
    match activity.formula:
        case "sum":
            return measured.total
        case "average":
            return (2 * measured.total + measured.count) // (2 * measured.count)
        case "max":
            return measured.highest
        case _:
            return measured.latest


def required(pathway: Pathway, enrolment: Enrolment) -> tuple[int, int]:
    """Return how many required activities are completed, and how many there are."""
    wanted = {activity.id for activity in pathway.activities.values() if activity.required}
    return len(wanted.intersection(enrolment.completed)), len(wanted)


def _completed(worked: Worked, at: datetime) -> Worked:
    completed_at = worked.completed_at or at
    return msgspec.structs.replace(
        worked, state=COMPLETED, progress=_FULL, completed_at=completed_at
    )


def _is_done(activity: Activity, worked: Worked) -> bool:
    if activity.formula is not None:
        return worked.measured is not None and current(activity, worked) >= activity.target
    if activity.fulfilment == types.COMPLETE:
        return (worked.score or 0) >= activity.pass_score
    if activity.fulfilment == types.UPLOAD:
        return worked.url is not None
    return activity.fulfilment in _DONE_AT_ONCE


def _progress(activity: Activity, worked: Worked, done: Done) -> int:
    """Return how far something is that is not done: whole percents of a target, else as sent."""
    if activity.formula is not None:
        return min(max(current(activity, worked) * 100 // activity.target, 0), 99) * SCALE
    return min(max(done.progress or 0, 0), 99 * SCALE)


def _measure(before: Measured | None, done: Done) -> Measured:
    value = done.value or 0
    if before is None:
        return Measured(value, 1, value, value, done.at, done.identifier)
    newer = (done.at, done.identifier) > (before.latest_at, before.latest_identifier)
    return Measured(
        before.total + value,
        before.count + 1,
        max(before.highest, value),
        value if newer else before.latest,
        done.at if newer else before.latest_at,
        done.identifier if newer else before.latest_identifier,
    )
