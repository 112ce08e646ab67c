"""Progress in a challenge, one a member and period. State, initial, evolve, decide.

Amounts are nanos (``schemas.amounts``). The rules are those of
``schemas/README.md#challenge-logs``.
"""

from datetime import datetime

import msgspec

from processor.domain.aggregates import milestone as milestone_of
from processor.domain.aggregates.period import period_end
from processor.domain.rules import Challenge, Milestone
from schemas.amounts import SCALE

IN_PROGRESS = "in_progress"
COMPLETED = "completed"
FAILED = "failed"


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in one period.

    ``total`` is the exact sum, negative corrections included; what is shown is never below 0.
    Method, period and time zone are those it began with, whatever the challenge says now.
    """

    total: int
    status: str
    method: str
    period: str
    timezone: str
    started_at: datetime
    completed_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    reached: tuple[str, ...] = ()

    @property
    def shown(self) -> int:
        """The value that a member sees, in nanos."""
        return max(self.total, 0)


class ProgressSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A progress as it was after one log; what never changes is in the progress itself."""

    total: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    failed_at: datetime | None
    updated_at: datetime


class RecordedLog(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A challenge log as it was recorded: enough to give its first answer again.

    ``value`` is the text of its amount.
    """

    created_at: datetime
    activity_at: datetime
    activity_id: str
    status: str
    value: str | None
    period_key: str
    snapshot: ProgressSnapshot | None
    reached: tuple[str, ...]
    next: str | None


class Log(msgspec.Struct, frozen=True, gc=False):
    """A challenge log that counts: when it happened, its nanos, when it was recorded."""

    at: datetime
    nanos: int
    recorded_at: datetime


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What a counted log led to; ``reached`` by rising target."""

    completed: bool
    reached: tuple[Milestone, ...]


NOTHING = Decided(completed=False, reached=())


def counts(challenge: Challenge, activity_id: str, at: datetime) -> bool:
    """Tell whether a log of a live member is aggregated at all."""
    return (
        challenge.live
        and (challenge.activity_ids is None or activity_id in challenge.activity_ids)
        and (challenge.starts_at is None or challenge.starts_at <= at)
        and (challenge.ends_at is None or at < challenge.ends_at)
    )


def initial(challenge: Challenge, log: Log, timezone: str) -> Progress:
    """Return the progress that a first counted log begins; the log itself is not yet in it."""
    return Progress(
        total=0,
        status=IN_PROGRESS,
        method=challenge.method,
        period=challenge.period,
        timezone=timezone,
        started_at=log.at,
        completed_at=None,
        failed_at=None,
        created_at=log.recorded_at,
        updated_at=log.recorded_at,
    )


def evolve(before: Progress, log: Log, challenge: Challenge) -> Progress:
    """Return the progress with one more log counted.

    Completed stays completed, reached stays reached; a late log can turn failed to completed.
    """
    total = before.total + (log.nanos if before.method == "sum" else SCALE)
    status = before.status
    completed_at, failed_at = before.completed_at, before.failed_at
    if status != COMPLETED and total >= challenge.target:
        status, completed_at, failed_at = COMPLETED, log.at, None
    reached = before.reached
    for milestone in milestone_of.reached(challenge.milestones, total, reached):
        reached = (*reached, milestone.id)
    return Progress(
        total,
        status,
        before.method,
        before.period,
        before.timezone,
        min(before.started_at, log.at),
        completed_at,
        failed_at,
        before.created_at,
        log.recorded_at,
        reached,
    )


def decide(before: Progress, after: Progress, challenge: Challenge) -> Decided:
    """Return what the step from ``before`` to ``after`` is to announce."""
    completed = after.status == COMPLETED and before.status != COMPLETED
    if after.reached is before.reached:
        return Decided(completed, ()) if completed else NOTHING
    new = after.reached[len(before.reached) :]
    return Decided(completed, tuple(m for m in challenge.milestones if m.id in new))


def ends(progress: Progress, challenge: Challenge, period_key: str) -> datetime | None:
    """Return when a progress can no longer be completed in time; None: never."""
    end = period_end(progress.period, progress.timezone, period_key)
    if challenge.ends_at is None or (end is not None and end <= challenge.ends_at):
        return end
    return challenge.ends_at


def failed(
    before: Progress, challenge: Challenge, end: datetime, recorded_at: datetime
) -> Progress:
    """Return the progress as its end finds it; itself where it is not short of the target."""
    if before.status != IN_PROGRESS or before.total >= challenge.target:
        return before
    return msgspec.structs.replace(before, status=FAILED, failed_at=end, updated_at=recorded_at)


def next_milestone(progress: Progress | None, challenge: Challenge) -> Milestone | None:
    """Return the lowest live milestone that is not reached yet."""
    return milestone_of.upcoming(challenge.milestones, progress.reached if progress else ())


def snapshot(progress: Progress) -> ProgressSnapshot:
    """Return the part of a progress that its next log may change."""
    return ProgressSnapshot(
        progress.total,
        progress.status,
        progress.started_at,
        progress.completed_at,
        progress.failed_at,
        progress.updated_at,
    )


def restore(now: Progress, then: ProgressSnapshot) -> Progress:
    """Return the progress as it was when ``then`` was taken."""
    return msgspec.structs.replace(
        now,
        total=then.total,
        status=then.status,
        started_at=then.started_at,
        completed_at=then.completed_at,
        failed_at=then.failed_at,
        updated_at=then.updated_at,
    )
