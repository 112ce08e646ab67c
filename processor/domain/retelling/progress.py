"""What moved a progress, told again from what the read models keep of its logs, their voids, and
corrections by recalculations.

The tables have what each log said and the progress after it, not whether it counted: that is judged
once more, by the rules of the version that it was folded under. Amounts are nanos.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import NamedTuple

import msgspec

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates.member import LIVE
from processor.domain.rules import Challenge
from schemas.amounts import DECIMALS, SCALE
from schemas.dry_runs import MEMBER_NOT_LIVE

OTHER_PERIOD = "other_period"
VOID = "void"

_EXACT = Context(prec=1000)
"""A sum can have more digits than an amount."""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge log as it was recorded, with the progress that it belongs to as it was after it.

    ``version`` is that of the challenge; ``fed`` tells whether an event fed it, whose log
    ``unique_identifier`` then names. ``rewards`` are the ids of those that it reached.
    """

    id: str
    unique_identifier: str
    activity_at: datetime
    activity_id: str
    activity_value: Decimal | None
    status: str
    created_at: datetime
    progress_id: str | None
    period_key: str | None
    method: str | None
    progress_value: Decimal | None
    progress_status: str | None
    progress_updated_at: datetime | None
    rewards: Sequence[str]
    version: int
    sequence: int
    voided_portion: Decimal = Decimal(0)
    fed: bool = False


class Voided(msgspec.Struct, frozen=True, kw_only=True):
    """A void that took a portion of a log: the log's own, or that of the event that fed it."""

    void_id: str
    log_id: str
    portion: Decimal
    at: datetime
    sequence: int


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """A correction of a progress, which moved it by ``difference``; ``method`` is that which the
    progress goes by since, ``version`` the challenge's."""

    id: str
    recalculation_id: str
    difference: Decimal
    method: str
    at: datetime
    version: int
    sequence: int


class Statuses:
    """What a member's status was: live, but for what is told of it."""

    def __init__(self, changes: Iterable[tuple[int, int, str]] = ()) -> None:
        """``changes`` are places in the order, versions of the member's record, and the status
        since then."""
        by_version = sorted(changes, key=lambda change: change[1])
        self._sequences = [sequence for sequence, _, _ in by_version]
        self._statuses = [status for _, _, status in by_version]

    def at(self, sequence: int) -> str:
        """Return the status with which the input of a place was folded."""
        place = bisect_right(self._sequences, sequence)
        return self._statuses[place - 1] if place else LIVE


class Crossing(NamedTuple):
    """When a milestone was reached, and with what value."""

    at: datetime
    value: Decimal


Moving = Logged | Voided | Corrected
"""What moves a progress."""


class Step(msgspec.Struct, frozen=True):
    """What one input did to a progress: it moved by ``added``, and was shown as ``after``."""

    of: Moving
    added: int
    after: int


class Judge:
    """Judges whether logs of one member and challenge counted.

    Args:
        versions: the challenge by the versions that the logs were folded under.
        statuses: the member's.
    """

    def __init__(self, versions: Mapping[int, Challenge], statuses: Statuses) -> None:
        self._versions = versions
        self._statuses = statuses

    def uncounted_because(self, log: Logged) -> str | None:
        """Tell why a log was not aggregated; None where it was."""
        rule = self._versions.get(log.version)
        why = None if rule is None else self._unfit(rule, log)
        if why is None and log.progress_updated_at != log.created_at:
            # It left no trace, and of what the rule asks only the member can have been otherwise:
            # paused by an input that was folded together with it.
            return MEMBER_NOT_LIVE
        return why

    def _unfit(self, rule: Challenge, log: Logged) -> str | None:
        """Tell why a log does not fit a challenge as it was; None where it does."""
        lives, member_lives = log.status == LIVE, self._statuses.at(log.sequence) == LIVE
        if lives and member_lives and challenge_of.counts(rule, log.activity_id, log.activity_at):
            return None
        return challenge_of.uncounted_because(
            rule, log.activity_id, log_lives=lives, member_lives=member_lives
        )

    def why_not(self, log: Logged, period_key: str) -> str | None:
        """Tell why a log is nothing to the progress of a period; None where it is something."""
        why = self.uncounted_because(log)
        if why is not None:
            return why
        if log.period_key != period_key:
            return OTHER_PERIOD
        return VOID if log.voided_portion == 1 else None


@dataclass
class _Together:
    """What one input did to a progress."""

    logs: list[Logged] = field(default_factory=list)
    voids: list[Voided] = field(default_factory=list)
    corrections: list[Corrected] = field(default_factory=list)


def retell(
    logs: Sequence[Logged], voids: Sequence[Voided], corrections: Sequence[Corrected] = ()
) -> list[Step]:
    """Return what moved one progress, in the order folded.

    Args:
        logs: those that counted in it.
        voids: of these logs; others are left out.
        corrections: of the progress.
    """
    moving = {log.id: log for log in logs}
    by_sequence: dict[int, _Together] = defaultdict(_Together)
    for log in logs:
        by_sequence[log.sequence].logs.append(log)
    for void in voids:
        if void.log_id in moving:
            by_sequence[void.sequence].voids.append(void)
    for correction in corrections:
        by_sequence[correction.sequence].corrections.append(correction)
    steps: list[Step] = []
    total, portions, method = 0, dict.fromkeys(moving, 0), None
    for _, together in sorted(by_sequence.items()):
        for log in _in_order(together.logs, total):
            added = value_of(log)
            total += added
            steps.append(Step(log, added, max(total, 0)))
        for void in together.voids:
            log, before = moving[void.log_id], portions[void.log_id]
            after = portions[void.log_id] = before + exact_nanos(void.portion)
            change = _taken(log, before, method) - _taken(log, after, method)
            total += change
            if change:
                steps.append(Step(void, change, max(total, 0)))
        for correction in together.corrections:
            added, method = exact_nanos(correction.difference), correction.method
            total += added
            steps.append(Step(correction, added, max(total, 0)))
    return steps


def value_of(log: Logged, method: str | None = None) -> int:
    """Return what a log that counts adds: its value, or one; by another method where one is
    named."""
    by = method or log.method
    return exact_nanos(log.activity_value or Decimal(0)) if by == "sum" else SCALE


def _taken(log: Logged, portion: int, method: str | None) -> int:
    by = method or log.method or "sum"
    return challenge_of.taken_of(value_of(log, by), by, portion)


def _in_order(together: list[Logged], total: int) -> list[Logged]:
    """Return logs that one input brought, which had waited for their member, as they were folded:
    the value after each is known, and where that does not tell, the older one came first."""
    left = sorted(together, key=lambda log: (log.created_at, log.id))
    ordered = []
    while left:
        fitting = (log for log in left if _shows(log, total + value_of(log)))
        log = next(fitting, left[0])
        left.remove(log)
        ordered.append(log)
        total += value_of(log)
    return ordered


def exact_nanos(value: Decimal) -> int:
    """Return the nanos of a decimal, with any number of digits."""
    return int(value.scaleb(DECIMALS, _EXACT))


def _shows(log: Logged, total: int) -> bool:
    return log.progress_value is not None and exact_nanos(log.progress_value) == max(total, 0)


def up_to_reward(
    steps: Sequence[Step],
    reward_id: str,
    changed: int,
    reached: int | None,
    crossing: Crossing | None = None,
) -> list[Step]:
    """Return the steps up to the one that last gave a reward. Where that is a correction which
    moved nothing, the log that had crossed its target comes before it, and none in between.

    Args:
        steps: those of the progress that it is for.
        reward_id: the reward.
        changed: where the reward last changed: what grants it is a step, a coupon is none.
        reached: where its milestone was first reached.
        crossing: what is said of that.
    """
    last = None
    for place, step in enumerate(steps):
        given = isinstance(step.of, Logged) and reward_id in step.of.rewards
        raised = isinstance(step.of, Voided) and step.added > 0
        may_give = raised or isinstance(step.of, Corrected)
        if given or (may_give and step.of.sequence in (changed, reached)):
            last = place
    if last is None:
        return up_to(steps, reached)
    told, by = list(steps[: last + 1]), steps[last]
    if crossing is None or by.added or not isinstance(by.of, Corrected):
        return told
    crossed = next((n for n, step in enumerate(told) if _crosses(step, crossing)), last - 1)
    return [*told[: crossed + 1], by]


def _crosses(step: Step, crossing: Crossing) -> bool:
    log = step.of
    return (
        isinstance(log, Logged)
        and log.activity_at == crossing.at
        and step.after == exact_nanos(crossing.value)
    )


def up_to(steps: Sequence[Step], sequence: int | None, status: str | None = None) -> list[Step]:
    """Return the steps up to a place in the order; of several there, up to the first one after
    which the progress has ``status``."""
    told: list[Step] = []
    for step in steps:
        if sequence is not None and step.of.sequence > sequence:
            break
        told.append(step)
        if (
            status is not None
            and step.of.sequence == sequence
            and isinstance(step.of, Logged)
            and step.of.progress_status == status
        ):
            break
    return told
