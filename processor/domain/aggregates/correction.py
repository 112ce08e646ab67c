"""What a recalculation makes of a progress: state, initial, evolve, decide.

What it came to holds for a place in the fold before this one, its cut. What was folded since stays:
it was folded under the definitions that are in force.
"""

from datetime import datetime

import msgspec

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates.challenge import COMPLETED, FAILED, IN_PROGRESS, Log, Progress
from processor.domain.aggregates.period import is_key
from processor.domain.inputs import Refused, not_ahead
from processor.domain.rules import Challenge
from schemas.dead_letter import Reason
from schemas.records import CorrectProgress


class Corrected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a correction did, for its first answer: the shown value in nanos before and after, the
    number of rewards, and the points that were to be more."""

    before: int
    after: int
    completed: bool
    rewards: int
    more_points: int


class Correction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A correction as it is folded.

    ``difference`` is in nanos, and so is ``apart``: what was kept apart since the cut. ``timezone``
    is the member's for the challenge, ``present`` what time it is, ``lives`` whether its challenge
    and member do.
    """

    command: CorrectProgress
    difference: int
    apart: int
    timezone: str
    present: datetime
    recorded_at: datetime
    lives: bool


def initial(challenge: Challenge, correction: Correction) -> Progress:
    """Return the progress that a correction begins; its difference is not yet in it."""
    command = correction.command
    moments = [command.started_at, command.completed_at, *(each.at for each in command.reached)]
    started_at = min(filter(None, moments), default=correction.present)
    log = Log(started_at, 0, correction.recorded_at)
    return challenge_of.initial(challenge, log, correction.timezone)


def evolve(before: Progress, challenge: Challenge, correction: Correction) -> Progress:
    """Return the progress with a correction.

    What the recalculation came to is so, whoever lives by now. What else the new sum reaches, live
    logs have reached since, and it counts from now.
    """
    command, period_key = correction.command, correction.command.period_key
    taken_over = _taken_over(before, challenge, correction)
    known = _as_found(taken_over, challenge, correction)
    total = before.total + _change(before, taken_over, correction)
    if correction.lives:
        after = challenge_of.moved(
            known, total, challenge, at=correction.present, recorded_at=correction.recorded_at
        )
        started_at = known.started_at  # the moment is the command's, which is no log
        after = msgspec.structs.replace(after, started_at=started_at)
    else:
        after = msgspec.structs.replace(known, total=total, updated_at=correction.recorded_at)
    if command.reopens:
        after = challenge_of.reopened(after, challenge, period_key, correction.present)
    return _in_time(after, challenge, correction)


def decide(challenge: Challenge, progress: Progress | None, command: CorrectProgress) -> None:
    """Check that a progress can be brought to what a correction says.

    Raises:
        Refused: it has none, and none can begin under that key.
    """
    if progress is None and not is_key(challenge.period, command.period_key):
        raise Refused(Reason.INVALID, f"is no {challenge.period} period", "periodKey")


def check_moments(command: CorrectProgress, present: datetime) -> None:
    """Check that what a correction says was not to come.

    Raises:
        Refused: a moment lies too far ahead.
    """
    for field, moment in (("startedAt", command.started_at), ("completedAt", command.completed_at)):
        if moment is not None:
            not_ahead(present, field, moment)
    for reached in command.reached:
        not_ahead(present, "reached.at", reached.at)
    for more in command.points:
        not_ahead(present, "points.at", more.at)


def _change(before: Progress, after: Progress, correction: Correction) -> int:
    """Return what the exact sum moves by; where the method is another one, what was folded since
    the cut counts by that."""
    change = correction.difference
    if before.method != after.method:
        change += correction.apart
    return change if correction.command.exact else max(change, 0)


def _taken_over(before: Progress, challenge: Challenge, correction: Correction) -> Progress:
    """Return the progress by the method, period and zone of its challenge; where its key is none of
    such a period, by its own: nothing else would know its end."""
    if not is_key(challenge.period, correction.command.period_key):
        return before
    return msgspec.structs.replace(
        before,
        method=challenge.method,
        period=challenge.period,
        timezone=correction.timezone,
    )


def _as_found(before: Progress, challenge: Challenge, correction: Correction) -> Progress:
    """Return the progress with what the recalculation found: completed and reached stay so."""
    command = correction.command
    completed = command.completed_at is not None and before.status != COMPLETED
    found = {each.milestone_id for each in command.reached}.difference(before.reached)
    reached = tuple(each.id for each in challenge.milestones if each.id in found)
    started_at = command.started_at or before.started_at
    return msgspec.structs.replace(
        before,
        status=COMPLETED if completed else before.status,
        started_at=min(before.started_at, started_at),
        completed_at=command.completed_at if completed else before.completed_at,
        failed_at=None if completed else before.failed_at,
        reached=(*before.reached, *reached) if reached else before.reached,
    )


def _in_time(after: Progress, challenge: Challenge, correction: Correction) -> Progress:
    """Return a progress that failed, in progress again where its end is still to come by now."""
    if after.status != FAILED:
        return after
    end = challenge_of.ends(after, challenge, correction.command.period_key)
    if end is not None and end <= correction.present:
        return after
    return msgspec.structs.replace(after, status=IN_PROGRESS, failed_at=None)
