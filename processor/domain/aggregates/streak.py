"""Consecutive periods in which a member did something. State, initial, evolve, decide.

Periods are counted as ordinals: days and weeks since the year 1, months since the year 0. A day
that the zone skipped has none, so it cannot be missed. The state is the set of periods hit, as
stretches without a gap; everything else follows from it. From left to right, a run takes in the
next stretch as long as its freezes bridge the missed periods between them; a gap that they do not
bridge is broken. ``hit`` computes the change once; ``evolve`` stores it, ``decide`` announces it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache

import msgspec

from processor.domain.aggregates import milestone as milestone_of
from processor.domain.aggregates.period import (
    local_date,
    period_end,
    period_key,
    skipped_days,
)
from processor.domain.rules import Milestone, Streak
from schemas.amounts import SCALE

ACTIVE = "active"
BROKEN = "broken"
COMPLETED = "completed"

TARGET = ""
"""Stands among the milestones given for the streak's own target."""

KEPT = 2_000
"""Of stretches, gaps and what was given, so many of the latest are kept, for an entry must stay
small; with a gap every other day that is 11 years."""

Stretch = tuple[int, int]
"""The first and last of consecutive ordinals."""


class Hits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many events hit a period after the first one, each of which may be voided;
    ``FOR_GOOD`` where one of them cannot be, so that the period stays hit.

    A period that only one event hit has none, nor have those that were hit before this was kept:
    the first event stands for all of them, and as it cannot be voided, its hit is never taken.
    """

    more: int


FOR_GOOD = -1


class Taken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What voids left in a streak: how many hits they took, and of what was given since, where it
    is to be found.

    ``inherited`` are milestones of ``State.given`` that stand at another period now than that of
    their reward, which comes third; ``revoked`` are milestones whose reward, of that period, was
    revoked: who reaches them again gets the same one.
    """

    times: int = 0
    inherited: tuple[tuple[int, str, int], ...] = ()
    revoked: tuple[tuple[int, str], ...] = ()


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A member's streak. Period and time zone are those it began with; one that goes by its
    member's own zone moves with it, and what was hit keeps its day.

    ``announced_gaps`` has one period of each gap that was announced, rising. ``given`` says which
    milestone (or the target) was given at which period, so that runs that merge inherit it.
    ``due`` is when the latest run breaks without another event, None where it is broken.
    ``freezes`` are those that the runs were last cut with, None in entries that do not say so yet.
    ``starts`` are the first periods of these runs; none are kept without freezes, where each
    stretch is a run. ``taken`` is None as long as no void took a hit.
    """

    period: str
    timezone: str
    created_at: datetime
    updated_at: datetime
    hits: tuple[Stretch, ...] = ()
    announced_gaps: tuple[int, ...] = ()
    given: tuple[tuple[int, str], ...] = ()
    longest: int = 0
    completed: bool = False
    due: datetime | None = None
    freezes: int | None = None
    starts: tuple[int, ...] = ()
    taken: Taken | None = None

    @property
    def times_taken(self) -> int:
        """How many hits voids took back."""
        return 0 if self.taken is None else self.taken.times


class Run(msgspec.Struct, frozen=True, gc=False):
    """Periods that count as one: ``length`` of them were hit, ``frozen`` were bridged."""

    first: int
    last: int
    length: int
    frozen: int

    def holds(self, ordinal: int) -> bool:
        """Tell whether a period lies in the run."""
        return self.first <= ordinal <= self.last


class Reached(msgspec.Struct, frozen=True, gc=False):
    """A milestone that a run reached, and the period that its reward is of."""

    run: Run
    milestone: Milestone
    at: int


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What a hit led to: the runs that are broken for a gap, in order; what each run reached."""

    broken: tuple[Run, ...]
    healed: bool
    reached: tuple[Reached, ...]
    completed: tuple[Run, ...]
    run: Run
    """The one that the period lies in afterwards."""
    latest: Run


def ordinal(period: str, timezone: str, moment: datetime) -> int:
    """Return the ordinal of the period of ``moment`` (UTC)."""
    day = local_date(timezone, moment)
    if period == "daily":
        return _day_number(timezone, day.toordinal())
    if period == "weekly":  # the first day of the year 1 was a Monday
        return (day.toordinal() - 1) // 7
    return day.year * 12 + day.month - 1


@lru_cache(maxsize=65536)
def key_of(period: str, timezone: str, at: int) -> str:
    """Return the period's key as ``period.period_key`` names it."""
    if period == "daily":
        return date.fromordinal(_calendar_day(timezone, at)).isoformat()
    if period == "weekly":
        year, week, _ = date.fromordinal(at * 7 + 1).isocalendar()
        return f"{year:04d}-W{week:02d}"
    return f"{at // 12:04d}-{at % 12 + 1:02d}"


def likely_key(streak: Streak, moment: datetime) -> str:
    """Return the key of the period that an event of a moment hits, as far as the definition tells:
    a streak goes on in the period and zone that it began with."""
    return period_key(streak.period, streak.timezone, moment)


def ordinal_of(period: str, timezone: str, key: str) -> int | None:
    """Return the ordinal of the period that a key names; None for a day that the zone skipped."""
    if period == "daily":
        day = date.fromisoformat(key).toordinal()
        return None if day in skipped_days(timezone) else _day_number(timezone, day)
    if period == "weekly":
        return (date.fromisocalendar(int(key[:4]), int(key[6:]), 1).toordinal() - 1) // 7
    return int(key[:4]) * 12 + int(key[5:]) - 1


def _calendar_day(timezone: str, at: int) -> int:
    """Return the calendar day of a number among the days that the zone had."""
    for skipped in skipped_days(timezone):
        at += at >= skipped
    return at


def _day_number(timezone: str, day: int) -> int:
    """Return the number of a calendar day among those that the zone had."""
    return day - bisect_right(skipped_days(timezone), day)


_UNKNOWN = -1
"""Stands for the freezes of an entry whose days were renumbered and whose runs are still to be cut;
it keeps the entry from being renumbered again."""


def numbered(state: State) -> State:
    """Return a streak whose days are numbered as the zone had them.

    In entries that do not say yet with which freezes runs are cut, skipped days have numbers too.
    """
    zone = state.timezone
    if state.freezes is not None or state.period != "daily" or not skipped_days(zone):
        return state
    return msgspec.structs.replace(
        state,
        freezes=_UNKNOWN,
        hits=tuple((_day_number(zone, a), _day_number(zone, b)) for a, b in state.hits),
        announced_gaps=tuple(_day_number(zone, at) for at in state.announced_gaps),
        given=tuple((_day_number(zone, at), name) for at, name in state.given),
    )


def initial(streak: Streak, timezone: str, recorded_at: datetime) -> State:
    """Return the streak of a member who has done nothing yet."""
    return State(streak.period, timezone, recorded_at, recorded_at)


def moved(state: State, timezone: str) -> State:
    """Return a streak whose periods begin in another zone from now on; every hit keeps its day."""
    if timezone == state.timezone:
        return state
    before, after = skipped_days(state.timezone), skipped_days(timezone)
    if state.period != "daily" or before == after:
        return msgspec.structs.replace(state, timezone=timezone)

    def number(at: int) -> int:
        return _day_number(timezone, _calendar_day(state.timezone, at))

    hits: list[Stretch] = []
    for stretch in state.hits:
        first, last = map(number, stretch)
        if hits and first <= hits[-1][1] + 1:  # a day between them is none in the other zone
            first = hits.pop()[0]
        hits.append((first, last))
    return msgspec.structs.replace(
        state,
        timezone=timezone,
        freezes=_UNKNOWN,
        hits=tuple(hits),
        announced_gaps=tuple(number(at) for at in state.announced_gaps),
        given=tuple((number(at), name) for at, name in state.given),
        starts=(),
        taken=None if state.taken is None else _renumbered(state.taken, number),
    )


def _renumbered(taken: Taken, number: Callable[[int], int]) -> Taken:
    return Taken(
        taken.times,
        tuple((number(at), name, number(of)) for at, name, of in taken.inherited),
        tuple((number(at), name) for at, name in taken.revoked),
    )


def runs(hits: tuple[Stretch, ...], freezes: int) -> list[Run]:
    """Return the runs that the periods hit make, in order."""
    found: list[Run] = []
    place = 0
    while place < len(hits):
        run, place = _run(hits, place, freezes)
        found.append(run)
    return found


def holds(state: State, milestone_id: str, period_key: str) -> bool:
    """Tell whether a run that is there still was given a milestone whose reward is of a period."""
    state = numbered(state)
    inherited = () if state.taken is None else state.taken.inherited
    rewards = {(at, name): reward_at for at, name, reward_at in inherited}
    given = [
        at
        for at, name in state.given
        if name == milestone_id
        and key_of(state.period, state.timezone, rewards.get((at, name), at)) == period_key
    ]
    left = runs(state.hits, state.freezes or 0) if given else ()
    return any(run.holds(at) for run in left for at in given)


def _run(hits: tuple[Stretch, ...], place: int, freezes: int) -> tuple[Run, int]:
    """Return the run that begins with the stretch at a place, and the place of the next one.

    Each missed period between two stretches uses up a freeze, and freezes do not come back within a
    run: so it has at most one stretch more than there are freezes.

    Args:
        hits: the stretches of periods that were hit, by time.
        place: of a stretch.
        freezes: how many missed periods a run may have in all.
    """
    first, last = hits[place]
    length, frozen = last - first + 1, 0
    place += 1
    while place < len(hits):
        begins, ends = hits[place]
        missed = begins - last - 1
        if frozen + missed > freezes:
            break
        last, length, frozen = ends, length + ends - begins + 1, frozen + missed
        place += 1
    return Run(first, last, length, frozen), place


def latest_run(state: State, freezes: int) -> Run:
    """Return the run that the latest hit lies in."""
    if state.freezes != freezes:
        return runs(state.hits, freezes)[-1]
    return _run_at(state.hits, state.hits[-1][1], freezes, state.starts)


def _run_at(hits: tuple[Stretch, ...], at: int, freezes: int, starts: tuple[int, ...]) -> Run:
    """Return the run that a period lies in; ``starts`` are the runs' where there are freezes."""
    if not freezes:
        return _run(hits, bisect_left(hits, (at + 1,)) - 1, 0)[0]
    first = starts[bisect_right(starts, at) - 1]
    return _run(hits, bisect_left(hits, (first,)), freezes)[0]


def counts_nothing(state: State, at: int) -> bool:
    """Tell whether a hit of a period changes nothing: the period was hit before, or lies before all
    that is remembered."""
    return (len(state.hits) >= KEPT and at < state.hits[0][0]) or is_hit(state, at)


def is_hit(state: State, at: int) -> bool:
    """Tell whether a period is remembered as hit."""
    place = bisect_right(state.hits, (at, at)) - 1
    return (place >= 0 and state.hits[place][1] >= at) or (
        place + 1 < len(state.hits) and state.hits[place + 1][0] == at
    )


class Cut(msgspec.Struct, frozen=True, gc=False):
    """The runs from that of a period on, as far as they may have changed.

    ``rest`` is the first period of the next run, which did not change, None where there is none;
    ``starts`` are the first periods of all runs, none without freezes.
    """

    runs: list[Run]
    rest: int | None
    starts: tuple[int, ...]


def _cut(hits: tuple[Stretch, ...], at: int, freezes: int, starts: tuple[int, ...]) -> Cut:
    """Cut anew only the runs that a hit may have changed.

    Runs are cut from left to right, so those before the hit's own stay. Those after it stay from
    the first one on that begins where one began before.
    """
    if not freezes:  # each stretch is a run
        place = max(bisect_left(hits, (at + 1,)) - 2, 0)
        found = [_run(hits, each, 0)[0] for each in range(place, min(place + 2, len(hits)))]
        return Cut(found, hits[place + 2][0] if place + 2 < len(hits) else None, ())
    own = max(bisect_right(starts, at) - 1, 0)
    begins = starts[own] if starts and starts[own] <= at else at
    place, known = bisect_left(hits, (begins,)), own
    found = []
    while True:
        run, place = _run(hits, place, freezes)
        found.append(run)
        if place == len(hits):
            rest, known = None, len(starts)
            break
        rest = hits[place][0]
        known = bisect_left(starts, rest, known)
        if rest > at and known < len(starts) and starts[known] == rest:
            break
    firsts = tuple(run.first for run in found)
    return Cut(found, rest, starts[:own] + firsts + starts[known:])


def cut_all(hits: tuple[Stretch, ...], freezes: int) -> Cut:
    """Cut all periods into runs once more."""
    found = runs(hits, freezes)
    return Cut(found, None, tuple(run.first for run in found) if freezes else ())


def unannounced_breaks(cut: Cut, announced: tuple[int, ...]) -> tuple[tuple[Run, int], ...]:
    """Return the runs that end with a gap that was not announced, with the first period missed."""
    following = [*(run.first for run in cut.runs[1:]), *(() if cut.rest is None else (cut.rest,))]
    return tuple(
        (run, run.last + 1)
        for run, first in zip(cut.runs, following, strict=False)
        if not _any_between(announced, run.last, first)
    )


def _changed(before: State, found: list[Run], freezes: int) -> list[Run]:
    """Return those of the runs that a hit changed."""
    if before.freezes != freezes:
        old = frozenset(runs(before.hits, freezes))
        return [run for run in found if run not in old]
    return [run for run in found if not _was_there(before, run, freezes)]


def _was_there(before: State, run: Run, freezes: int) -> bool:
    place = bisect_left(before.hits, (run.first,))
    if place == len(before.hits) or before.hits[place][0] != run.first:
        return False
    if freezes and run.first not in before.starts[bisect_left(before.starts, run.first) :][:1]:
        return False
    return _run(before.hits, place, freezes)[0] == run


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A period that is newly hit, and how it changes the runs of a streak."""

    at: int
    hits: tuple[Stretch, ...]
    cut: Cut
    announced: tuple[int, ...]
    """What is left of the gaps that were announced as broken."""
    breaks: tuple[tuple[Run, int], ...]
    """The runs that end with a gap that was not announced, with the first period missed."""
    reached: tuple[Reached, ...]
    completed: tuple[Run, ...]
    given: tuple[tuple[int, str], ...]
    taken: Taken | None


def hit(before: State, at: int, streak: Streak) -> Hit:
    """Return the hit of a period that was not hit before.

    Only the runs around the period are looked at, as long as the freezes are what they were: the
    others are as they were, and what they led to was told.
    """
    freezes = streak.freezes
    hits = _with(before.hits, at)
    if before.freezes == freezes:
        cut = _cut(hits, at, freezes, before.starts)
    else:
        cut = cut_all(hits, freezes)
    announced = _split(before, at)
    reached, completed, given = _reached(before, _changed(before, cut.runs, freezes), streak)
    return Hit(
        at,
        hits,
        cut,
        announced,
        unannounced_breaks(cut, announced),
        reached,
        completed,
        given,
        _granted_again(before.taken, reached),
    )


def evolve(before: State, fact: Hit, streak: Streak, recorded_at: datetime) -> State:
    """Return the streak with one more period hit."""
    freezes, hits, starts = streak.freezes, fact.hits, fact.cut.starts
    missed = [missed for _, missed in fact.breaks]
    announced = tuple(sorted((*fact.announced, *missed))) if missed else fact.announced
    if len(hits) > KEPT:
        hits = hits[-KEPT:]
        starts = _cut(hits, hits[0][0], freezes, starts[1:]).starts
    after = State(
        period=before.period,
        timezone=before.timezone,
        created_at=before.created_at,
        updated_at=recorded_at,
        hits=hits,
        announced_gaps=announced[-KEPT:],
        given=fact.given[-KEPT:],
        longest=max(before.longest, *(run.length for run in fact.cut.runs)),
        completed=before.completed or bool(fact.completed),
        due=None,
        freezes=freezes,
        starts=starts,
        taken=fact.taken,
    )
    return msgspec.structs.replace(after, due=due(after, latest_run(after, freezes), freezes))


def decide(before: State, after: State, fact: Hit, streak: Streak) -> Decided:
    """Return what the hit of a period is to announce, given the streak before and after it."""
    freezes = streak.freezes
    run = next(run for run in fact.cut.runs if run.holds(fact.at))
    return Decided(
        broken=tuple(run for run, _ in fact.breaks),
        healed=_healed(before, fact.at, run),
        reached=fact.reached,
        completed=fact.completed,
        run=_run_at(after.hits, fact.at, freezes, after.starts),
        latest=latest_run(after, freezes),
    )


def current_length(state: State, streak: Streak) -> int:
    """Return the length of the latest run, 0 where it is broken or none was begun."""
    if not state.hits:
        return 0
    latest = latest_run(state, streak.freezes)
    return 0 if status(state, latest) == BROKEN else latest.length


def broken_off(before: State, latest: Run, recorded_at: datetime) -> State:
    """Return the streak with the gap after its latest run announced."""
    return msgspec.structs.replace(
        before,
        announced_gaps=(*before.announced_gaps, latest.last + 1),
        due=None,
        updated_at=recorded_at,
    )


def breaks_at(state: State, run: Run, freezes: int) -> datetime | None:
    """Return the end of the last period in which a hit still continues a run; None: it has none.

    After it, only an event that comes late continues the run.
    """
    deadline = run.last + freezes - run.frozen + 1
    try:
        key = key_of(state.period, state.timezone, deadline)
        return period_end(state.period, state.timezone, key)
    except (ValueError, OverflowError):  # after the last year of the calendar
        return None


def due(state: State, latest: Run, freezes: int) -> datetime | None:
    """Return when the latest run breaks; None where it is broken, or never will be."""
    return None if is_broken(state) else breaks_at(state, latest, freezes)


def is_broken(state: State) -> bool:
    """Tell whether the latest run is over."""
    return bool(state.announced_gaps) and state.announced_gaps[-1] > state.hits[-1][1]


def status(state: State, latest: Run) -> str:
    """Return ``active``, ``completed`` (and going on) or ``broken``, as one without a hit is."""
    if is_broken(state) or not state.hits:
        return BROKEN
    return COMPLETED if TARGET in _given_to(state.given, latest) else ACTIVE


def _with(hits: tuple[Stretch, ...], at: int) -> tuple[Stretch, ...]:
    """Return the stretches with one more period, which is in none of them."""
    left = right = bisect_left(hits, (at,))
    first = last = at
    if left and hits[left - 1][1] == at - 1:
        left -= 1
        first = hits[left][0]
    if right < len(hits) and hits[right][0] == at + 1:
        last = hits[right][1]
        right += 1
    return (*hits[:left], (first, last), *hits[right:])


def _revoked_in(taken: Taken, run: Run, milestone: str) -> int:
    """Return the period of the reward of a milestone that a run reaches: of the revoked one that it
    is given again, else the run's last."""
    for at, name in taken.revoked:
        if name == milestone and run.holds(at):
            return at
    return run.last


def _granted_again(taken: Taken | None, reached: tuple[Reached, ...]) -> Taken | None:
    """Return what voids left where some of it was granted again."""
    if taken is None or not taken.revoked or not reached:
        return taken
    again = {(each.at, each.milestone.id) for each in reached}
    left = tuple(each for each in taken.revoked if each not in again)
    return Taken(taken.times, taken.inherited, left)


def _neighbours(hits: tuple[Stretch, ...], at: int) -> tuple[int | None, int | None]:
    """Return the last period hit before ``at``, which is not hit, and the first one after it."""
    place = bisect_left(hits, (at,))
    before = hits[place - 1][1] if place else None
    return before, hits[place][0] if place < len(hits) else None


def _split(state: State, at: int) -> tuple[int, ...]:
    """Return the announced gaps where ``at`` is hit: what is left of its own stays announced.

    What lies after the latest hit is not missed yet, so it is not among them.
    """
    last, following = _neighbours(state.hits, at)
    announced = state.announced_gaps
    if last is None:
        return announced
    begins = bisect_right(announced, last)
    ends = len(announced) if following is None else bisect_left(announced, following)
    if begins == ends:
        return announced
    left = (last + 1,) if at > last + 1 else ()
    right = (at + 1,) if following is not None and at < following - 1 else ()
    return (*announced[:begins], *left, *right, *announced[ends:])


def _any_between(rising: tuple[int, ...], low: int, high: int) -> bool:
    """Tell whether a number lies strictly between two others."""
    place = bisect_right(rising, low)
    return place < len(rising) and rising[place] < high


def _healed(before: State, at: int, run: Run) -> bool:
    """Tell whether a late hit joins: the hits next to it on both sides are in its run, also where
    freezes had bridged the gap; or it is the latest, in a run that was announced broken."""
    last, following = _neighbours(before.hits, at)
    if last is None or not run.holds(last):
        return False
    if following is not None:
        return run.holds(following)
    return is_broken(before)


def _given_to(given: Sequence[tuple[int, str]], run: Run) -> frozenset[str]:
    """Return what was given to a run; ``given`` rises."""
    first = bisect_left(given, (run.first,))
    last = bisect_left(given, (run.last + 1,), first)
    return frozenset(name for _, name in given[first:last])


def _reached(
    before: State, changed: list[Run], streak: Streak
) -> tuple[tuple[Reached, ...], tuple[Run, ...], tuple[tuple[int, str], ...]]:
    """Return what the runs that a hit changed reached, and were not given yet, nor were those that
    they were merged from; and all that was given, rising."""
    given: Sequence[tuple[int, str]] = before.given
    reached: list[Reached] = []
    completed: list[Run] = []
    for run in changed:
        had = _given_to(given, run)
        for milestone in milestone_of.reached(streak.milestones, run.length * SCALE, had):
            at = run.last if before.taken is None else _revoked_in(before.taken, run, milestone.id)
            given = _and(given, (at, milestone.id))
            reached.append(Reached(run, milestone, at))
        if run.length >= streak.target and TARGET not in had:
            given = _and(given, (run.last, TARGET))
            completed.append(run)
    return tuple(reached), tuple(completed), tuple(given)


def _and(given: Sequence[tuple[int, str]], one: tuple[int, str]) -> list[tuple[int, str]]:
    rising = given if isinstance(given, list) else list(given)
    insort(rising, one)
    return rising
