"""Progress in a challenge, one a member and period. State, initial, evolve, decide.

Amounts are nanos (``schemas.amounts``). The rules are those of
``schemas/README.md#challenge-logs``.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from functools import lru_cache

import msgspec

from processor.domain.aggregates import milestone as milestone_of
from processor.domain.aggregates.period import period_end
from processor.domain.aggregates.void import share
from processor.domain.rules import Challenge, Milestone
from schemas import dry_runs
from schemas.amounts import SCALE, parse_amount
from schemas.ids import uuid_bytes, uuid_text

IN_PROGRESS = "in_progress"
COMPLETED = "completed"
FAILED = "failed"


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in one period.

    ``total`` is the exact sum, negative corrections included; what is shown is never below 0.
    Method, period and time zone are those it began with, whatever the challenge says now.
    ``reopened`` is how often it fell short again, by voids, after it was completed.
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
    reopened: int = 0

    @property
    def shown(self) -> int:
        """The value that a member sees, in nanos."""
        return max(self.total, 0)


class Apart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much more a progress would have moved by its challenge's method than by its own, in all
    the time that the two differed. It only runs on: what matters is by how much it changed."""

    nanos: int = 0


class ProgressSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A progress as it was after one log; what never changes is in the progress itself."""

    total: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    failed_at: datetime | None
    updated_at: datetime


COUNTED, UNCOUNTED, FED = 1, 2, 4
"""What a log did: it was aggregated, or not; and whether an event fed it."""


class RecordedLog(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A challenge log as it was recorded: enough to give its first answer again, and to void it.

    ``value`` is the text of its amount. ``reached`` are milestones' ids, each with ``@`` and the
    version of its reward where that was granted again. ``did`` is ``COUNTED`` or ``UNCOUNTED``,
    with ``FED`` where it is; 0 where a version wrote it that did not say. ``of`` is the ``mark`` of
    its challenge and member, which are in no other way to be found by its id.
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
    did: int = 0
    of: str = ""

    @property
    def achieved(self) -> list[tuple[str, int]]:
        """The milestones that it reached, and the version of each one's reward by then."""
        parts = (each.partition("@") for each in self.reached)
        return [(id_, int(version or 1)) for id_, _, version in parts]

    @property
    def counted(self) -> bool:
        """Whether it was aggregated."""
        return bool(self.did & COUNTED)

    @property
    def fed(self) -> bool:
        """Whether an event fed it."""
        return bool(self.did & FED)


def mark(challenge_id: str, member_id: str) -> str:
    """Return the mark of a log of a challenge and member: the challenge's 16 bytes, then eight of
    the member's, each in base64 without padding."""
    return mark_of_challenge(challenge_id) + _short_of_member(member_id)


def marked(of: str, member_id: str) -> str | None:
    """Return the id of the challenge in a mark; None where it is another member's."""
    if of[_OF_CHALLENGE:] != _short_of_member(member_id):
        return None
    return uuid_text(urlsafe_b64decode(f"{of[:_OF_CHALLENGE]}=="))


_OF_CHALLENGE = 22
"""Characters of a challenge in a mark."""


@lru_cache(maxsize=4096)
def mark_of_challenge(challenge_id: str) -> str:
    """Return what the mark of a log has of its challenge."""
    return urlsafe_b64encode(uuid_bytes(challenge_id)).decode().rstrip("=")


@lru_cache(maxsize=65536)
def _short_of_member(member_id: str) -> str:
    return urlsafe_b64encode(uuid_bytes(member_id)[:8]).decode().rstrip("=")


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


def uncounted_because(
    challenge: Challenge, activity_id: str, *, log_lives: bool, member_lives: bool
) -> str:
    """Return why a log is not aggregated, which it is not: the first reason that holds."""
    if not log_lives:
        return dry_runs.LOG_NOT_LIVE
    if not challenge.live:
        return dry_runs.CHALLENGE_NOT_LIVE
    if not member_lives:
        return dry_runs.MEMBER_NOT_LIVE
    if challenge.activity_ids is not None and activity_id not in challenge.activity_ids:
        return dry_runs.ACTIVITY_NOT_LISTED
    return dry_runs.OUTSIDE_DATES


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
    total = before.total + added(log.nanos, before.method)
    return moved(before, total, challenge, at=log.at, recorded_at=log.recorded_at)


def added(nanos: int, method: str) -> int:
    """Return what a log with such an amount adds by a method."""
    return nanos if method == "sum" else SCALE


def moved(
    before: Progress, total: int, challenge: Challenge, *, at: datetime, recorded_at: datetime
) -> Progress:
    """Return the progress with another exact sum, and what that reaches by something of ``at``."""
    status = before.status
    completed_at, failed_at = before.completed_at, before.failed_at
    if status != COMPLETED and total >= challenge.target:
        status, completed_at, failed_at = COMPLETED, at, None
    reached = before.reached
    for milestone in milestone_of.reached(challenge.milestones, total, reached):
        reached = (*reached, milestone.id)
    return Progress(
        total,
        status,
        before.method,
        before.period,
        before.timezone,
        min(before.started_at, at),
        completed_at,
        failed_at,
        before.created_at,
        recorded_at,
        reached,
        before.reopened,
    )


def decide(before: Progress, after: Progress, challenge: Challenge) -> Decided:
    """Return what the step from ``before`` to ``after`` is to announce."""
    completed = after.status == COMPLETED and before.status != COMPLETED
    if after.reached is before.reached:
        return Decided(completed, ()) if completed else NOTHING
    new = after.reached[len(before.reached) :]
    return Decided(completed, tuple(m for m in challenge.milestones if m.id in new))


def ends(progress: Progress, challenge: Challenge | None, period_key: str) -> datetime | None:
    """Return when a progress can no longer be completed in time; None: never.

    Of a challenge that is gone only the period's end is known.
    """
    end = period_end(progress.period, progress.timezone, period_key)
    own = None if challenge is None else challenge.ends_at
    if own is None or (end is not None and end <= own):
        return end
    return own


def ended(before: Progress, challenge: Challenge, end: datetime, recorded_at: datetime) -> Progress:
    """Return a progress in progress as its end finds it: failed, or completed where the target was
    lowered to what it has; itself where that was settled before."""
    if before.status != IN_PROGRESS:
        return before
    if before.total < challenge.target:
        return msgspec.structs.replace(before, status=FAILED, failed_at=end, updated_at=recorded_at)
    return msgspec.structs.replace(
        before, status=COMPLETED, completed_at=end, updated_at=recorded_at
    )


def corrected(before: Progress, change: int, at: datetime) -> Progress:
    """Return a progress whose exact sum a void moves by ``change``; nothing follows of it yet."""
    return msgspec.structs.replace(before, total=before.total + change, updated_at=at)


def reopened(before: Progress, challenge: Challenge, period_key: str, at: datetime) -> Progress:
    """Return a completed progress that a void at ``at`` made fall short of the target that is in
    force: in progress again, or failed where its time is over. Itself where it does not."""
    if before.status != COMPLETED or before.total >= challenge.target:
        return before
    end = ends(before, challenge, period_key)
    over = end is not None and end <= at
    return msgspec.structs.replace(
        before,
        status=FAILED if over else IN_PROGRESS,
        completed_at=None,
        failed_at=end if over else None,
        reopened=before.reopened + 1,
    )


def taken(log: RecordedLog, method: str, portion: int) -> int:
    """Return what a log that counted is less when so much of it is voided."""
    return taken_of(parse_amount(log.value or "0") if method == "sum" else SCALE, method, portion)


def taken_of(added: int, method: str, portion: int) -> int:
    """Return what ``added``, that a log moved its progress by, is less when so much of it is
    voided: of a value, or of the one where logs are counted, which goes with the whole."""
    if method == "sum":
        return share(added, portion)
    return added if portion == SCALE else 0


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
