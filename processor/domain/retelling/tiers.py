"""The entries of the ledger that a tier's basis was made of when the tier last changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from processor.domain.aggregates import tier as tier_of
from processor.domain.aggregates.tier import Earning
from processor.domain.rules import TierSet


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the ledger. ``earned_at`` is when the points of a grant counted, and of one whose
    points a void took back, None for all else; ``granted_at`` is when that grant was recorded.
    ``points`` are those that count as earned, or do so no more, recovered or not; of all else those
    that moved."""

    id: str
    action_id: str
    operation: str
    event_id: str | None
    source_id: str
    void_id: str | None
    challenge_group: str
    points: Decimal
    earned_at: datetime | None
    granted_at: datetime
    occurred_at: datetime
    created_at: datetime
    sequence: int


class Step(msgspec.Struct, frozen=True):
    """An entry that moved a basis, and what that was after it, in points."""

    of: Entry
    after: int


class Judged(msgspec.Struct, frozen=True):
    """When and with what basis, in points, a tier was judged, with the input of which place; and
    since when, as records go, its set was defined then: windows count nothing that was folded
    before."""

    at: datetime
    value: Decimal
    sequence: int
    zone: str
    since: datetime


def earliest(rule: TierSet, at: datetime) -> datetime | None:
    """Return a moment before which nothing was earned that the window of a moment counts, in any
    time zone; None where all of it may count."""
    if rule.basis != tier_of.EARNED or rule.for_life:
        return None
    days = _YEAR_DAYS
    if rule.window == tier_of.ROLLING and rule.length is not None:
        days = _MONTH_DAYS * rule.length.months + rule.length.days + 1
        days += rule.length.seconds // _DAY_SECONDS
    try:
        return at - timedelta(days=days + _ZONES_DAYS)
    except OverflowError:  # before the calendar's first year
        return None


_YEAR_DAYS, _MONTH_DAYS, _DAY_SECONDS = 366, 31, 86_400
_ZONES_DAYS = 2
"""So far may one moment's days lie apart, rounded up."""


def retell(entries: Sequence[Entry], rule: TierSet, judged: Judged) -> list[Step] | None:
    """Return the entries of a member's that a tier was judged by, as it last changed; None where
    they do not come to the basis that it was judged with, so that these are not all.

    What time did is judged before the input that is folded then: the basis tells.
    """
    entries = [entry for entry in entries if entry.sequence <= judged.sequence]
    steps = _counted(entries, rule, judged)
    if _value(steps) == judged.value:
        return steps
    before = [entry for entry in entries if entry.sequence < judged.sequence]
    without = _counted(before, rule, judged)
    return without if _value(without) == judged.value else None


def _value(steps: Sequence[Step]) -> int:
    return max(steps[-1].after, 0) if steps else 0


def _counted(entries: Sequence[Entry], rule: TierSet, judged: Judged) -> list[Step]:
    steps, total = list[Step](), 0
    for entry in sorted(entries, key=lambda each: (each.sequence, each.id)):
        if _counts(entry, rule, judged):
            total += int(entry.points)
            steps.append(Step(entry, total))
    return steps


def _counts(entry: Entry, rule: TierSet, judged: Judged) -> bool:
    if rule.basis == tier_of.BALANCE:
        return rule.wallet in (None, entry.challenge_group)
    if entry.earned_at is None:
        return False
    point = Earning(entry.challenge_group, 1, entry.earned_at)
    if not tier_of.counts(rule, point):
        return False
    if not rule.for_life and entry.granted_at < judged.since:
        return False
    alone = tier_of.earn(tier_of.initial(), rule, point, judged.zone, judged.at)
    return tier_of.earned(alone, rule, judged.zone, judged.at).value > 0
