"""A streak: consecutive periods in which a member did something. State, evolve, decide.

Periods are counted as ordinals: days and weeks since the year 1, months since the year 0. The state
is the set of periods hit, as stretches without a gap; everything else follows from it. From left to
right, a run takes in the next stretch as long as its freezes bridge the missed periods between
them; a gap that they do not bridge is broken.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise

import msgspec

from processor.domain.period import local_date, period_end
from processor.domain.rules import Milestone, Streak

ACTIVE = "active"
BROKEN = "broken"
COMPLETED = "completed"

_TARGET = ""
"""Stands among the milestones given for the streak's own target."""

KEPT = 2_000
"""Of stretches, gaps and what was given, so many of the latest are kept, for an entry must stay
small; with a gap every other day that is 11 years."""

Stretch = tuple[int, int]
"""The first and last of consecutive ordinals."""


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A member's streak. Period and time zone are those it began with.

    ``broken`` has one period of each gap that was announced, rising; ``given`` says which milestone
    (or the target) was given at which period, so that runs that merge inherit it. ``due`` is when
    the latest run breaks without another event, None where it is broken.
    """

    period: str
    timezone: str
    created_at: datetime
    updated_at: datetime
    hits: tuple[Stretch, ...] = ()
    broken: tuple[int, ...] = ()
    given: tuple[tuple[int, str], ...] = ()
    longest: int = 0
    completed: bool = False
    due: datetime | None = None


class Run(msgspec.Struct, frozen=True, gc=False):
    """Periods that count as one: ``length`` of them were hit, ``frozen`` were bridged."""

    first: int
    last: int
    length: int
    frozen: int

    def holds(self, ordinal: int) -> bool:
        """Tell whether a period lies in the run."""
        return self.first <= ordinal <= self.last


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What a hit led to: the runs that are broken for a gap, in order; what each run reached."""

    broken: tuple[Run, ...]
    healed: bool
    reached: tuple[tuple[Run, Milestone], ...]
    completed: tuple[Run, ...]
    runs: list[Run]
    """Those of the streak afterwards."""


def ordinal(period: str, timezone: str, moment: datetime) -> int:
    """Return the ordinal of the period of ``moment`` (UTC)."""
    day = local_date(timezone, moment)
    if period == "daily":
        return day.toordinal()
    if period == "weekly":  # the first day of the year 1 was a Monday
        return (day.toordinal() - 1) // 7
    return day.year * 12 + day.month - 1


@lru_cache(maxsize=65536)
def key_of(period: str, at: int) -> str:
    """Return the period's key as ``period.period_key`` names it."""
    if period == "daily":
        return date.fromordinal(at).isoformat()
    if period == "weekly":
        year, week, _ = date.fromordinal(at * 7 + 1).isocalendar()
        return f"{year:04d}-W{week:02d}"
    return f"{at // 12:04d}-{at % 12 + 1:02d}"


def initial(streak: Streak, recorded_at: datetime) -> State:
    """Return the streak of a member who has done nothing yet."""
    return State(streak.period, streak.timezone, recorded_at, recorded_at)


def runs(hits: tuple[Stretch, ...], freezes: int) -> list[Run]:
    """Return the runs that the periods hit make, in order."""
    found: list[Run] = []
    for first, last in hits:
        length = last - first + 1
        missed = first - found[-1].last - 1 if found else 0
        if found and found[-1].frozen + missed <= freezes:
            run = found[-1]
            found[-1] = Run(run.first, last, run.length + length, run.frozen + missed)
        else:
            found.append(Run(first, last, length, 0))
    return found


def is_known(state: State, at: int) -> bool:
    """Tell whether a period was hit before, or lies before all that is remembered."""
    if len(state.hits) >= KEPT and at < state.hits[0][0]:
        return True
    place = bisect_right(state.hits, (at, at)) - 1
    return (place >= 0 and state.hits[place][1] >= at) or (
        place + 1 < len(state.hits) and state.hits[place + 1][0] == at
    )


def evolve(before: State, at: int, streak: Streak, recorded_at: datetime) -> tuple[State, Decided]:
    """Return the streak with one more period hit, and what that led to."""
    hits = _with(before.hits, at)
    announced = _split(before, at)
    found = runs(hits, streak.freezes)
    gaps = [
        (one, one.last + 1)
        for one, other in pairwise(found)
        if not _any_between(announced, one.last, other.first)
    ]
    reached, completed, given = _reached(before, found, streak)
    after = State(
        period=before.period,
        timezone=before.timezone,
        created_at=before.created_at,
        updated_at=recorded_at,
        hits=hits[-KEPT:],
        broken=tuple(sorted((*announced, *(missed for _, missed in gaps))))[-KEPT:],
        given=tuple(sorted(given))[-KEPT:],
        longest=max(before.longest, *(run.length for run in found)),
        completed=before.completed or bool(completed),
        due=None,
    )
    healed = _healed(before, at, next(run for run in found if run.holds(at)))
    left = found if len(hits) <= KEPT else runs(after.hits, streak.freezes)
    after = msgspec.structs.replace(after, due=due(after, left[-1], streak.freezes))
    return after, Decided(tuple(run for run, _ in gaps), healed, reached, completed, left)


def broken_off(before: State, latest: Run, recorded_at: datetime) -> State:
    """Return the streak with the gap after its latest run announced."""
    return msgspec.structs.replace(
        before, broken=(*before.broken, latest.last + 1), due=None, updated_at=recorded_at
    )


def breaks_at(state: State, run: Run, freezes: int) -> datetime | None:
    """Return the moment after which nothing but a late event can continue a run; None: never."""
    last = run.last + freezes - run.frozen + 1
    try:
        return period_end(state.period, state.timezone, key_of(state.period, last))
    except (ValueError, OverflowError):  # after the last year of the calendar
        return None


def due(state: State, latest: Run, freezes: int) -> datetime | None:
    """Return when the latest run breaks; None where it is broken, or never will be."""
    return None if is_broken(state) else breaks_at(state, latest, freezes)


def is_broken(state: State) -> bool:
    """Tell whether the latest run is over."""
    return bool(state.broken) and state.broken[-1] > state.hits[-1][1]


def status(state: State, latest: Run) -> str:
    """Return ``active``, ``completed`` (and going on) or ``broken``."""
    if is_broken(state):
        return BROKEN
    return COMPLETED if _has(state.given, latest, _TARGET) else ACTIVE


def _with(hits: tuple[Stretch, ...], at: int) -> tuple[Stretch, ...]:
    """Return the stretches with one more period, which is in none of them."""
    left = tuple(s for s in hits if s[1] < at)
    right = hits[len(left) :]
    first = last = at
    if left and left[-1][1] == at - 1:
        first, left = left[-1][0], left[:-1]
    if right and right[0][0] == at + 1:
        last, right = right[0][1], right[1:]
    return (*left, (first, last), *right)


def _gap(hits: tuple[Stretch, ...], at: int) -> tuple[int | None, int | None]:
    """Return the last period hit before ``at`` and the first one after it."""
    before = max((last for _, last in hits if last < at), default=None)
    after = min((first for first, _ in hits if first > at), default=None)
    return before, after


def _split(state: State, at: int) -> tuple[int, ...]:
    """Return ``state.broken`` where ``at`` is hit: what is left of its gap is known as broken.

    What comes after the latest hit is another matter: it has not been missed yet.
    """
    last, following = _gap(state.hits, at)
    inside = [
        x
        for x in state.broken
        if (last is None or x > last) and (following is None or x < following)
    ]
    if not inside or last is None:
        return state.broken
    kept = [x for x in state.broken if x not in inside]
    if at > last + 1:
        kept.append(last + 1)
    if following is not None and at < following - 1:
        kept.append(at + 1)
    return tuple(sorted(kept))


def _any_between(rising: tuple[int, ...], low: int, high: int) -> bool:
    """Tell whether a number lies strictly between two others."""
    place = bisect_right(rising, low)
    return place < len(rising) and rising[place] < high


def _healed(before: State, at: int, run: Run) -> bool:
    """Tell whether a hit closed a gap behind others: between two hits of its run, or where the
    break had been announced."""
    last, following = _gap(before.hits, at)
    if last is None or not run.holds(last):
        return False
    if following is not None:
        return run.holds(following)
    return is_broken(before)


def _has(given: tuple[tuple[int, str], ...], run: Run, what: str) -> bool:
    return any(name == what and run.holds(at) for at, name in given)


def _reached(
    before: State, found: list[Run], streak: Streak
) -> tuple[tuple[tuple[Run, Milestone], ...], tuple[Run, ...], tuple[tuple[int, str], ...]]:
    """Return what the runs that a hit changed reached, and were not given yet, nor were those that
    they were merged from."""
    given, unchanged = before.given, frozenset(runs(before.hits, streak.freezes))
    reached: list[tuple[Run, Milestone]] = []
    completed: list[Run] = []
    for run in found:
        if run in unchanged:
            continue
        for milestone in _due_milestones(streak, run):
            if not _has(given, run, milestone.id):
                given = (*given, (run.last, milestone.id))
                reached.append((run, milestone))
        if run.length >= streak.target and not _has(given, run, _TARGET):
            given = (*given, (run.last, _TARGET))
            completed.append(run)
    return tuple(reached), tuple(completed), given


def _due_milestones(streak: Streak, run: Run) -> Iterator[Milestone]:
    for milestone in streak.milestones:
        if milestone.live and milestone.is_reached_by(run.length):
            yield milestone
