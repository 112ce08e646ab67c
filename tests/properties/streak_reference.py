"""Streaks once more: a set of periods, cut into runs from left to right, and nothing clever.

Periods are numbered here (days, Mondays' weeks, months), so that the one after has the next number.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo


def number_of(period: str, zone: str, at: datetime) -> int:
    """Return the number of the period that a moment lies in, by the clock on the wall."""
    day = at.astimezone(ZoneInfo(zone)).date()
    if period == "daily":
        return day.toordinal()
    if period == "weekly":
        return (day.toordinal() - 1) // 7  # 0001-01-01 was a Monday
    return day.year * 12 + day.month - 1


def first_day(period: str, number: int) -> date:
    """Return the day on which a period begins."""
    if period == "daily":
        return date.fromordinal(number)
    if period == "weekly":
        return date.fromordinal(number * 7 + 1)
    return date(number // 12, number % 12 + 1, 1)


def name_of(period: str, number: int) -> str:
    """Return a period's key, as the calendar writes it."""
    day = first_day(period, number)
    return day.strftime({"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}[period])


@cache
def day_begins(day: date, zone: str) -> datetime:
    """Return the first moment of a day: the first quarter of an hour at which the wall says it."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while moment.astimezone(ZoneInfo(zone)).date() < day:
        moment += timedelta(minutes=15)
    return moment


def begins(period: str, number: int, zone: str) -> datetime:
    """Return the first moment of a period."""
    return day_begins(first_day(period, number), zone)


@dataclass(frozen=True)
class Run:
    """Periods hit one after the other, the bridged ones left out, and the freezes it has left."""

    hits: tuple[int, ...]
    left: int

    @property
    def length(self) -> int:
        """Bridged periods add none."""
        return len(self.hits)


def runs_of(hits: set[int], freezes: int) -> list[Run]:
    """Cut the periods hit into runs, from left to right; each run has its own freezes."""
    runs: list[Run] = []
    for hit in sorted(hits):
        last = runs[-1] if runs else None
        missed = hit - last.hits[-1] - 1 if last else 0
        if last and missed <= last.left:
            runs[-1] = Run((*last.hits, hit), last.left - missed)
        else:
            runs.append(Run((hit,), freezes))
    return runs


@dataclass
class Hit:
    """What a period that was hit for the first time led to."""

    run: Run
    broken: list[int] = field(default_factory=list)
    """The first missed period of each gap that broke a run and was not told of before."""
    completed: int = 0
    milestones: list[str] = field(default_factory=list)
    rewards: list[tuple[str, int]] = field(default_factory=list)
    """The milestones, with the period that the reward is of."""
    healed: bool = False


@dataclass
class Streak:
    """One member's streak. ``definition`` is as it was when the streak began."""

    definition: dict[str, Any]
    zone: str
    by_member: bool = False
    """Whether the zone is the member's, and moves with it."""
    hits: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    """Every missed period of the gaps that were told; of the one after the latest run, its first:
    of the others it is not known yet whether they will be missed."""
    given: list[tuple[str, int]] = field(default_factory=list)
    """What was given to a run (a milestone's id, or completion), and the run's last period then.

    Where a late event before a run uses up the freeze that held it together, the run falls apart.
    The rules do not say which part has what was given; here it is the part with that period.
    """
    reward_of: dict[tuple[str, int], int] = field(default_factory=dict)
    """The period that a milestone's reward is of, where what was given stands at another now."""
    revoked: list[tuple[str, int]] = field(default_factory=list)
    """Milestones whose rewards, of these periods, were revoked: given again, they are the same."""
    longest: int = 0
    fell_apart: bool = False
    waits: datetime | None = None
    """When the next tick may break the latest run, by the zone that held at its last hit."""

    @property
    def period(self) -> str:
        """The length of a period."""
        return str(self.definition.get("period", "daily"))

    @property
    def runs(self) -> list[Run]:
        """The runs as they are now."""
        return runs_of(self.hits, self.definition.get("freezes", 0))

    def active_until(self) -> datetime:
        """Return when the last period that freezes can bridge, and the one after it, are over."""
        last = self.runs[-1]
        return begins(self.period, last.hits[-1] + 1 + last.left + 1, self.zone)

    def is_broken(self) -> bool:
        """Tell whether the latest run was told to be broken."""
        return bool(self.hits) and self.runs[-1].hits[-1] + 1 in self.told

    def status(self) -> str:
        """Return ``active``, ``broken`` or ``completed``; without a hit it is broken."""
        if not self.hits or self.is_broken():
            return "broken"
        whole = self.runs[-1].length >= self.definition["targetLength"]
        return "completed" if whole else "active"

    def _moves(self, zone: str) -> None:
        """Go by another zone from now on, where it goes by its member's."""
        if self.by_member:
            self.zone = zone

    def hit(self, at: datetime, milestones: list[dict[str, Any]], zone: str) -> Hit | None:
        """Take a qualifying event; None where its period was hit before."""
        before_it_moves = self.zone
        self._moves(zone)
        number = number_of(self.period, self.zone, at)
        if number in self.hits:
            self.zone = before_it_moves
            return None
        before = self.runs
        was_broken = bool(before) and self.is_broken()
        self.hits.add(number)
        happened = Hit(next(run for run in self.runs if number in run.hits))
        happened.broken = self._break()
        whole = [set(run.hits) for run in self.runs]
        self.fell_apart |= any(not any(set(b.hits) <= run for run in whole) for b in before)
        for run in self.runs:
            if run not in before:
                self._give(run, milestones, happened)
        self.longest = max(self.longest, *(run.length for run in self.runs))
        happened.healed = self._heals(was_broken, number)
        self.waits = self.active_until()
        return happened

    def _break(self) -> list[int]:
        """Return the first missed period of each gap between two runs that was not told yet."""
        breaking = [
            run.hits[-1] + 1
            for run, following in pairwise(self.runs)
            if self.told.isdisjoint(range(run.hits[-1] + 1, following.hits[0]))
        ]
        self.told.update(breaking)
        for hit, following_hit in pairwise(sorted(self.hits)):
            gap = range(hit + 1, following_hit)
            if not self.told.isdisjoint(gap):
                self.told.update(gap)
        return breaking

    def _give(self, run: Run, milestones: list[dict[str, Any]], happened: Hit) -> None:
        """Give a run what it has come to reach, once; runs that merged have what each was given."""
        has = {what for what, at in self.given if run.hits[0] <= at <= run.hits[-1]}
        if run.length >= self.definition["targetLength"] and "completion" not in has:
            self.given.append(("completion", run.hits[-1]))
            happened.completed += 1
        for milestone in milestones:
            if run.length >= milestone["milestoneTargetValue"] and milestone["id"] not in has:
                same = [
                    (what, at)
                    for what, at in self.revoked
                    if what == milestone["id"] and run.hits[0] <= at <= run.hits[-1]
                ]
                again = (same or [(milestone["id"], run.hits[-1])])[0]
                self.revoked = [one for one in self.revoked if one != again]
                self.given.append(again)
                happened.milestones.append(milestone["id"])
                happened.rewards.append(again)

    def _heals(self, was_broken: bool, number: int) -> bool:
        """Tell whether the event closed a gap: what was hit before it and what was hit after it are
        one run with it; or, as the latest of all, it goes on with a run that was told broken."""
        mine = next(run for run in self.runs if number in run.hits)
        earlier = [hit for hit in sorted(self.hits) if hit < number]
        later = [hit for hit in sorted(self.hits) if hit > number]
        if not earlier or earlier[-1] not in mine.hits:
            return False
        return later[0] in mine.hits if later else was_broken

    def take_back(
        self,
        number: int,
        milestones: list[dict[str, Any]],
        now: datetime,
        zone: str,
        *,
        revoke: bool = False,
    ) -> list[tuple[str, int]]:
        """Take back a hit, as if the period had never been hit; return the milestones that were
        revoked, with the period of the reward."""
        self._moves(zone)
        whole = next(run for run in self.runs if number in run.hits)
        was_broken = self.is_broken()
        self.hits.remove(number)
        runs = self.runs
        if whole.length == self.longest:
            self.longest = 0
        self.longest = max([self.longest, *(run.length for run in runs)])
        revoked = self._hand_on(whole, milestones, revoke=revoke)
        self._tell_quietly(now, was_broken=was_broken)
        return revoked

    def _hand_on(
        self, whole: Run, milestones: list[dict[str, Any]], *, revoke: bool
    ) -> list[tuple[str, int]]:
        """Give what a run had to what is left of it: first whoever has it keeps it, then the latest
        that reaches it; what none reaches is revoked, or kept by whoever may come to it."""
        wanted = {each["id"]: each["milestoneTargetValue"] for each in milestones}
        wanted["completion"] = self.definition["targetLength"]
        inside = range(whole.hits[0], whole.hits[-1] + 1)
        parts = [
            run for run in self.runs if not (run.hits[-1] < inside[0] or run.hits[0] > inside[-1])
        ]
        spans = [range(part.hits[0], part.hits[-1] + 1) for part in parts]
        mine = sorted(
            ((what, at) for what, at in self.given if at in inside),
            key=lambda one: (one[1], "" if one[0] == "completion" else one[0]),
        )
        has: list[set[str]] = [set() for _ in parts]
        left = []
        for what, at in mine:
            holders = [n for n, span in enumerate(spans) if at in span]
            if holders and parts[holders[0]].length >= wanted.get(what, 0):
                has[holders[0]].add(what)
            else:
                left.append((what, at))
        for n, part in enumerate(parts):
            if part.length >= wanted["completion"] and "completion" not in has[n]:
                self.given.append(("completion", part.hits[-1]))
        revoked = []
        for what, at in left:
            self.given.remove((what, at))
            if what == "completion":
                continue
            heirs = [
                n
                for n, part in enumerate(parts)
                if part.length >= wanted.get(what, 0) and what not in has[n]
            ]
            reward_at = self.reward_of.pop((what, at), at)
            if heirs:
                has[heirs[-1]].add(what)
                self._put(what, at, parts[heirs[-1]].hits[-1], reward_at, left)
            elif revoke and what in wanted:
                revoked.append((what, reward_at))
            elif parts and not any(at in span for span in spans):
                self._put(what, at, parts[-1].hits[-1], reward_at, left)
            else:
                self._put(what, at, at, reward_at, left)
        self.revoked += revoked
        return revoked

    def _put(
        self, what: str, at: int, to: int, reward_at: int, left: list[tuple[str, int]]
    ) -> None:
        place = at if (what, to) in [*self.given, *left] else to
        self.given.append((what, place))
        if place != reward_at:
            self.reward_of[what, place] = reward_at

    def _tell_quietly(self, now: datetime, *, was_broken: bool) -> None:
        """Count every gap as told that a taken hit made, and what is over by now as broken."""
        if not self.hits:
            self.told.clear()
            self.waits = None
            return
        first, last = min(self.hits), max(self.hits)
        self.told = {at for at in self.told if first < at < last}
        self._break()
        self.waits = self.active_until()
        if was_broken or self.waits <= now:
            self.told.add(last + 1)

    def tick(self, now: datetime, zone: str) -> int | None:
        """Return the first missed period of the gap that broke the latest run by now, once."""
        if not self.hits:
            return None
        gap = self.runs[-1].hits[-1] + 1
        if gap in self.told or (self.waits and now < self.waits):
            return None
        self._moves(zone)
        self.waits = self.active_until()
        if now < self.waits:
            return None
        self.told.add(gap)
        return gap
