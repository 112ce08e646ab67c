"""A member in a pathway, and at each of its activities. State, initial, evolve, decide.

Amounts are nanos (``schemas.amounts``), percentages too. What was completed stays completed,
whatever comes late, but for voids (``activity_history``); what is measured goes on being measured.
"""

from collections.abc import Collection
from datetime import datetime

import msgspec

from processor.domain.aggregates import milestone as milestone_of
from processor.domain.rules import Activity, Milestone, Pathway
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


class CheckInPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
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


class ActivityState(msgspec.Struct, frozen=True, array_like=True, gc=False):
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
    place: CheckInPlace | None = None
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


class SeenMarker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An activity log's identifier is used up."""


class ActivityReport(msgspec.Struct, frozen=True, gc=False):
    """One activity log: when, under which identifier, and what it says."""

    at: datetime
    identifier: str
    recorded_at: datetime
    score: int | None = None
    value: int | None = None
    progress: int | None = None
    place: CheckInPlace | None = None
    url: str | None = None


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What a member newly reached in a pathway: milestones by rising target, with what value."""

    reached: tuple[Milestone, ...]
    value: int


def initial() -> Enrolment:
    """Return the enrolment of a member who has done nothing in the pathway."""
    return Enrolment()


def evolve(
    before: ActivityState | None, report: ActivityReport, activity: Activity
) -> ActivityState:
    """Return what a member did at an activity with one more log."""
    measured = None if before is None else before.measured
    if report.value is not None:
        measured = _measure(measured, report)
    score = None if before is None else before.score
    if report.score is not None:
        score = report.score if score is None else max(score, report.score)
    after = ActivityState(
        state=IN_PROGRESS,
        progress=0,
        started_at=report.at if before is None else min(before.started_at, report.at),
        touched_at=report.at if before is None else max(before.touched_at, report.at),
        completed_at=None if before is None else before.completed_at,
        created_at=report.recorded_at if before is None else before.created_at,
        updated_at=report.recorded_at,
        score=score,
        measured=measured,
        place=report.place or (None if before is None else before.place),
        url=report.url or (None if before is None else before.url),
    )
    if after.completed_at is not None or _is_done(activity, after):
        return _completed(after, report.at)
    progress = _progress(activity, after, report)
    if activity.formula is None and before is not None:
        progress = max(progress, before.progress)
    return msgspec.structs.replace(after, progress=progress)


def enrol(before: Enrolment, *, enrolled: bool, at: datetime) -> Enrolment:
    """Return the enrolment begun or ended; itself where that is how it was."""
    if before.enrolled == enrolled:
        return before
    return msgspec.structs.replace(
        before,
        enrolled=enrolled,
        enrolled_at=at if enrolled else before.enrolled_at,
        version=before.version + 1,
    )


def progressed(before: Enrolment, activity: Activity, *, completes: bool) -> Enrolment:
    """Return the enrolment after something was done at an activity."""
    completed = (*before.completed, activity.id) if completes else before.completed
    return msgspec.structs.replace(before, version=before.version + 1, completed=completed)


def reverted(before: Enrolment, activity: Activity, *, falls: bool) -> Enrolment:
    """Return the enrolment after a log of an activity was voided; ``falls`` tells whether that is
    not completed any more."""
    completed = before.completed
    if falls:
        completed = tuple(each for each in completed if each != activity.id)
    return msgspec.structs.replace(before, version=before.version + 1, completed=completed)


def lost(enrolment: Enrolment, pathway: Pathway) -> tuple[Milestone, ...]:
    """Return the milestones that were given and are not reached any more."""
    value, _ = required(pathway, enrolment)
    return tuple(
        milestone
        for milestone in pathway.milestones
        if milestone.id in enrolment.given and milestone.target > value * SCALE
    )


def revoked(before: Enrolment, milestones: Collection[str]) -> Enrolment:
    """Return the enrolment after the rewards of these milestones were revoked."""
    left = tuple(each for each in before.given if each not in milestones)
    return msgspec.structs.replace(before, given=left)


def decide(enrolment: Enrolment, pathway: Pathway) -> Decided:
    """Return the milestones that an enrolled member's completed activities newly reach."""
    value, _ = required(pathway, enrolment)
    if not enrolment.enrolled:
        return Decided((), value)
    reached = milestone_of.reached(pathway.milestones, value * SCALE, enrolment.given)
    return Decided(reached, value)


def given(before: Enrolment, decided: Decided) -> Enrolment:
    """Return the enrolment with what was decided given; itself where that is nothing."""
    if not decided.reached:
        return before
    ids = tuple(milestone.id for milestone in decided.reached)
    return msgspec.structs.replace(before, given=(*before.given, *ids))


def reviewed(before: ActivityState, *, approved: bool, at: datetime) -> ActivityState:
    """Return an activity after its upload was judged; completed stays completed."""
    if before.completed_at is not None or not approved:
        return before
    return msgspec.structs.replace(_completed(before, at), touched_at=at, updated_at=at)


def current(activity: Activity, state: ActivityState) -> int:
    """Return what a data activity's formula makes of its values, in nanos; halves round up."""
    measured = state.measured
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


def _completed(state: ActivityState, at: datetime) -> ActivityState:
    completed_at = state.completed_at or at
    return msgspec.structs.replace(
        state, state=COMPLETED, progress=_FULL, completed_at=completed_at
    )


def _is_done(activity: Activity, state: ActivityState) -> bool:
    if activity.formula is not None:
        return state.measured is not None and current(activity, state) >= activity.target
    if activity.fulfilment == types.COMPLETE:
        return (state.score or 0) >= activity.pass_score
    if activity.fulfilment == types.UPLOAD:
        return state.url is not None
    return activity.fulfilment in _DONE_AT_ONCE


def _progress(activity: Activity, state: ActivityState, report: ActivityReport) -> int:
    """Return how far something is that is not done: whole percents of a target, else as sent."""
    if activity.formula is not None:
        return min(max(current(activity, state) * 100 // activity.target, 0), 99) * SCALE
    return min(max(report.progress or 0, 0), 99 * SCALE)


def _measure(before: Measured | None, report: ActivityReport) -> Measured:
    value = report.value or 0
    if before is None:
        return Measured(value, 1, value, value, report.at, report.identifier)
    newer = (report.at, report.identifier) > (before.latest_at, before.latest_identifier)
    return Measured(
        before.total + value,
        before.count + 1,
        max(before.highest, value),
        value if newer else before.latest,
        report.at if newer else before.latest_at,
        report.identifier if newer else before.latest_identifier,
    )
