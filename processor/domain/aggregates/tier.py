"""A member's tier in a set, by what it earned, has, or has come to. State, initial, evolve, decide.

A tier is judged whenever its basis moves, and at the moments at which time alone may change it: a
window's end, a day that leaves a rolling window, the end of a grace or of an assignment. Those that
have passed are gone through in their order before anything else is judged, so that it is all the
same how late somebody looks. Values are nanos, days are ordinals in the set's time zone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import NamedTuple

import msgspec

from processor.domain.aggregates.period import day_after, local_date, moment_after, period_end
from processor.domain.rules import TierSet
from schemas.amounts import SCALE
from schemas.durations import Duration

EARNED, BALANCE, PROGRESS = "earned", "balance", "progress"
LIFETIME, CALENDAR_YEAR, ROLLING = "lifetime", "calendar_year", "rolling"

BY_RECORD, BY_TIME, BY_HAND, BY_DEFINITION = "earned", "window", "assigned", "definition"
"""Why a tier changed: a record moved its basis, time did, it was assigned, its set changed."""

_LAST = datetime.max.replace(tzinfo=UTC)

KEPT = 1_000
"""Of days with points, so many are kept: an entry must stay small. Beyond them the two that lie
closest become one, with the later day: nobody loses points early."""

Days = tuple[tuple[int, int], ...]
"""Points by the day that they were earned on, or by the first day of their year; rising."""


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A member's tier in a set.

    ``changes`` counts what was announced; ``judged_at`` is as far as time was gone through, and
    ``version`` the definition's then. ``total`` is all that was ever earned, for a set that counts
    that, and ``days`` what another's window may still count. ``assigned`` holds until ``until``,
    None: until it is ended. ``grace_until`` is when the tier falls unless the basis recovers.
    ``fell_in`` names the window in which it fell one down. ``due`` is the next moment at which
    time may change it.
    """

    tier: str | None = None
    since: datetime | None = None
    changes: int = 0
    judged_at: datetime | None = None
    version: int = -1
    total: int = 0
    days: Days = ()
    assigned: str | None = None
    until: datetime | None = None
    grace_until: datetime | None = None
    fell_in: str | None = None
    due: datetime | None = None


class Basis(NamedTuple):
    """What a tier is judged by at a moment: its value; a name for the window, which is another when
    that has moved; and when time moves it next, None: never."""

    value: int
    window: str
    moves_at: datetime | None


class Earning(NamedTuple):
    """Points that a member was granted, or that were taken back from a grant (below 0)."""

    group: str
    points: int
    at: datetime


def initial(total: int = 0) -> State:
    """Return the state of a member that was never judged, and has earned so much before."""
    return State(total=total)


def in_force(state: State | None, tier_set: TierSet) -> str | None:
    """Return a member's tier; without having been judged it is the one that needs nothing."""
    if state is None or not state.changes:
        return tier_set.base
    return state.tier


def counts(tier_set: TierSet, earning: Earning) -> bool:
    """Tell whether points that were earned count for a set."""
    return tier_set.basis == EARNED and tier_set.wallet in (None, earning.group)


def earn(state: State, tier_set: TierSet, earning: Earning, zone: str, now: datetime) -> State:
    """Return the state with points counted in the day on which they were earned."""
    if tier_set.for_life:
        return msgspec.structs.replace(state, total=state.total + earning.points)
    day = local_date(zone, earning.at)
    place = (date(day.year, 1, 1) if tier_set.window == CALENDAR_YEAR else day).toordinal()
    days = dict(state.days)
    if earning.points < 0:
        # What was granted before the set was defined is in no day, and cannot leave one.
        place = _found(state.days, place)
        days[place] = max(days.get(place, 0) + earning.points, 0)
    else:
        days[place] = days.get(place, 0) + earning.points
    kept = _kept(tier_set, sorted(days.items()), local_date(zone, now))
    return msgspec.structs.replace(state, days=_merged(kept))


def _found(days: Days, place: int) -> int:
    """Return where the points of a day lie: on that day, or on a later one that it was merged
    with."""
    at = bisect_left(days, (place,))
    if len(days) < KEPT or at == len(days):
        return place
    return days[at][0]


def _kept(tier_set: TierSet, days: Sequence[tuple[int, int]], today: date) -> list[tuple[int, int]]:
    """Return of rising days those whose points the window may still count; an earlier one never
    leaves later, so few are looked at."""
    gone = bisect_right(days, today.toordinal(), key=lambda each: _leaves(tier_set, each[0]))
    return [each for each in days[gone:] if each[1]]


def _merged(days: list[tuple[int, int]]) -> Days:
    while len(days) > KEPT:
        gaps = [later[0] - earlier[0] for earlier, later in pairwise(days)]
        place = gaps.index(min(gaps))
        days[place : place + 2] = [(days[place + 1][0], days[place][1] + days[place + 1][1])]
    return tuple(days)


def _leaves(tier_set: TierSet, day: int) -> int:
    """Return the first day on which points of a day do not count any more."""
    if tier_set.window == ROLLING and tier_set.length is not None:
        return _later_day(date.fromordinal(day), tier_set.length).toordinal()
    return date(date.fromordinal(day).year + 1, 1, 1).toordinal()


def earned(state: State, tier_set: TierSet, zone: str, now: datetime) -> Basis:
    """Return what a member has earned in the window of a moment."""
    if tier_set.for_life:
        return Basis(max(state.total, 0) * SCALE, str(state.total), None)
    today = local_date(zone, now)
    days = _kept(tier_set, state.days, today)
    moves_on = None
    if tier_set.window == CALENDAR_YEAR:
        named = str(today.year)
        if days or falls_on(state):
            moves_on = date(today.year + 1, 1, 1).toordinal()
        days = [(day, n) for day, n in days if date.fromordinal(day).year == today.year]
    else:
        named = today.isoformat()
        if falls_on(state):
            moves_on = today.toordinal() + 1
        elif days:
            moves_on = _leaves(tier_set, days[0][0])
    value = max(sum(points for _, points in days), 0) * SCALE
    return Basis(value, named, _begins(moves_on, zone))


def falls_on(state: State) -> bool:
    """Tell whether a tier fell one down and falls further with the next window, whatever that
    counts. An assignment holds it, and a grace ends by itself."""
    return state.fell_in is not None and state.assigned is None and state.grace_until is None


def _begins(day: int | None, zone: str) -> datetime | None:
    """Return the first moment of a day."""
    if day is None:
        return None
    return period_end("daily", zone, date.fromordinal(day - 1).isoformat())


def assigned(state: State, tier: str | None, until: datetime | None) -> State:
    """Return the state with a tier assigned; None ends that."""
    return msgspec.structs.replace(state, assigned=tier, until=until, grace_until=None)


def judged(state: State, tier_set: TierSet, basis: Basis, zone: str, now: datetime) -> State:
    """Return the state as its basis has it at a moment; ``decide`` tells whether that is news."""
    target, before = tier_set.rank_of(basis.value), tier_set.rank(state.tier)
    ended = state.assigned is not None and state.until is not None and state.until <= now
    grace, fell_in = None, state.fell_in
    if ended:
        rank = target
    elif state.assigned is not None:
        rank = max(tier_set.rank(state.assigned), target)
    elif target >= before:
        rank, fell_in = target, None
    else:
        rank, grace = _fallen(state, tier_set, basis, zone, now)
        if tier_set.downgrade != "one_down":
            fell_in = None
        elif rank < before:
            fell_in = basis.window
    tier = tier_set.tier_at(rank)
    return msgspec.structs.replace(
        state,
        tier=tier,
        since=state.since if tier == state.tier and state.since is not None else now,
        judged_at=now,
        version=tier_set.version,
        assigned=None if ended else state.assigned,
        until=None if ended else state.until,
        grace_until=grace,
        fell_in=fell_in,
    )


def _fallen(
    state: State, tier_set: TierSet, basis: Basis, zone: str, now: datetime
) -> tuple[int, datetime | None]:
    """Return where a tier is whose basis is below it, and until when it has grace to stay."""
    before = tier_set.rank(state.tier)
    if tier_set.downgrade == "none":
        return before, None
    one_down = tier_set.downgrade == "one_down"
    if one_down and state.fell_in == basis.window:
        return before, None
    if tier_set.grace is not None:
        until = state.grace_until or _grace_end(tier_set.grace, zone, now)
        if now < until:
            return before, until
    return before - 1 if one_down else tier_set.rank_of(basis.value), None


def _grace_end(grace: Duration, zone: str, now: datetime) -> datetime:
    try:
        return moment_after(zone, now, grace)
    except OverflowError:  # beyond the calendar's last year
        return _LAST


def ended(state: State, tier_set: TierSet, basis: Basis, zone: str, now: datetime) -> State:
    """Return the state after its assignment was ended: what the basis gives, whatever else."""
    at_basis = msgspec.structs.replace(state, assigned=state.tier, until=now)
    return judged(at_basis, tier_set, basis, zone, now)


def decide(before: State, after: State) -> bool:
    """Tell whether there is something to announce: another tier, or another assignment."""
    named = (before.tier, before.assigned, before.until)
    return named != (after.tier, after.assigned, after.until)


def announced(state: State) -> State:
    """Return the state with one more change told."""
    return msgspec.structs.replace(state, changes=state.changes + 1)


def next_moment(state: State, basis: Basis) -> datetime | None:
    """Return when time may change the tier next; None: never."""
    until = None if state.assigned is None else state.until
    moments = (state.grace_until, until, basis.moves_at)
    return min((moment for moment in moments if moment is not None), default=None)


def waiting(state: State, due: datetime | None) -> State:
    """Return the state with the moment at which a tick is to look at it."""
    return state if state.due == due else msgspec.structs.replace(state, due=due)


def _later_day(day: date, duration: Duration) -> date:
    """Return the day some time later; the calendar's last day where that is in its last year."""
    try:
        later = day_after(day, duration)
    except OverflowError:
        return date.max
    return later if later.year < date.max.year else date.max
