"""A hit of a streak that is taken back, because what hit its period was voided. Evolve.

The state is that of ``streak``. What follows from the periods that are left is worked out anew, as
if the hit had never been: the runs, the longest of them, whether the target was ever reached. What
was given stays given, as far as it is not revoked, and is never given twice for the same run.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime

import msgspec

from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates.streak import KEPT, TARGET, Cut, Run, State, Stretch, Taken
from processor.domain.rules import Milestone, Streak
from schemas.amounts import SCALE

_Mark = tuple[int, str]
"""A period, and what was given at it: one of ``State.given``."""


class Lost(msgspec.Struct, frozen=True, gc=False):
    """A milestone that was given to a run that does not reach it any more: the period of its
    reward, and where it stands among ``State.given`` now."""

    milestone: Milestone
    reward_at: int
    at: int


class Removal(msgspec.Struct, frozen=True, gc=False):
    """A period that is not hit any more, and how that changes the runs of a streak."""

    at: int
    run: Run
    """The one that the period lay in before."""
    hits: tuple[Stretch, ...]
    cut: Cut
    given: tuple[_Mark, ...]
    inherited: tuple[tuple[int, str, int], ...]
    lost: tuple[Lost, ...]


def removal(before: State, at: int, streak: Streak) -> Removal:
    """Return the removal of a period that is hit. All runs are cut once more: voids are seldom."""
    run = next(run for run in streak_of.runs(before.hits, streak.freezes) if run.holds(at))
    hits = _without(before.hits, at)
    cut = streak_of.cut_all(hits, streak.freezes)
    given, inherited, lost = _handed_on(before, run, cut.runs, streak)
    return Removal(at, run, hits, cut, given, inherited, lost)


def evolve(
    before: State, fact: Removal, streak: Streak, *, recorded_at: datetime, now: datetime
) -> State:
    """Return the streak with one period less.

    A gap that this makes counts as announced, and what is over by now is broken at once: no
    ``streak.broken`` comes beside what says that the hit was taken. The longest run is another one
    only where the run that lost the period was as long.
    """
    forgets = len(before.hits) >= KEPT or len(before.given) >= KEPT
    was_longest = fact.run.length == before.longest and not forgets
    after = msgspec.structs.replace(
        before,
        updated_at=recorded_at,
        hits=fact.hits,
        announced_gaps=_announced_gaps(before, fact),
        given=fact.given,
        longest=max((0 if was_longest else before.longest, *(r.length for r in fact.cut.runs))),
        completed=before.completed and (forgets or any(name == TARGET for _, name in fact.given)),
        due=None,
        freezes=streak.freezes,
        starts=fact.cut.starts,
        taken=Taken(
            before.times_taken + 1,
            fact.inherited,
            () if before.taken is None else before.taken.revoked,
        ),
    )
    if not fact.hits or streak_of.is_broken(after):
        return after
    latest = fact.cut.runs[-1]
    ends = streak_of.breaks_at(after, latest, streak.freezes)
    if ends is not None and ends <= now:
        return streak_of.broken_off(after, latest, recorded_at)
    return msgspec.structs.replace(after, due=ends)


def revoked(before: State, lost: Sequence[Lost]) -> State:
    """Return the streak after the rewards for these milestones were revoked."""
    if not lost or before.taken is None:
        return before
    gone = {(each.at, each.milestone.id) for each in lost}
    rewards = tuple((each.reward_at, each.milestone.id) for each in lost)
    taken = before.taken
    return msgspec.structs.replace(
        before,
        given=tuple(mark for mark in before.given if mark not in gone),
        taken=Taken(
            taken.times,
            tuple(each for each in taken.inherited if each[:2] not in gone),
            (*taken.revoked, *rewards)[-KEPT:],
        ),
    )


def left_at(fact: Removal) -> Run:
    """Return the run that bridges the removed period, else what is left of its own before it; one
    of no length where that is nothing."""
    for run in reversed(fact.cut.runs):
        if run.holds(fact.at) or (run.last < fact.at and fact.run.holds(run.last)):
            return run
    return Run(fact.at, fact.at - 1, 0, 0)


def latest(fact: Removal) -> Run:
    """Return the run that the latest hit lies in; one of no length where there is none."""
    return fact.cut.runs[-1] if fact.cut.runs else left_at(fact)


def _without(hits: tuple[Stretch, ...], at: int) -> tuple[Stretch, ...]:
    """Return the stretches with one period less, which is in one of them."""
    place = bisect_left(hits, (at + 1,)) - 1
    first, last = hits[place]
    left = ((first, at - 1),) if first < at else ()
    right = ((at + 1, last),) if at < last else ()
    return (*hits[:place], *left, *right, *hits[place + 1 :])


def _announced_gaps(before: State, fact: Removal) -> tuple[int, ...]:
    """Return the gaps that count as announced.

    Before the first hit is no gap any more; what comes after the latest one was announced only
    where the streak was broken before.
    """
    if not fact.hits:
        return ()
    begins, ends = bisect_right(before.announced_gaps, fact.hits[0][0]), len(before.announced_gaps)
    if not streak_of.is_broken(before):
        ends = bisect_right(before.announced_gaps, fact.hits[-1][1])
    announced = before.announced_gaps[begins:ends]
    new = [missed for _, missed in streak_of.unannounced_breaks(fact.cut, announced)]
    return tuple(sorted((*announced, *new)))[-KEPT:]


class _Parts:
    """What a run has become, and what each part has of what was given to the run."""

    def __init__(self, run: Run, runs: list[Run], streak: Streak) -> None:
        self.runs = [part for part in runs if part.first <= run.last and part.last >= run.first]
        self._targets = {milestone.id: milestone.target for milestone in streak.milestones}
        self._targets[TARGET] = streak.target * SCALE
        self._has: set[_Mark] = set()

    def holder(self, at: int) -> Run | None:
        """Return the part that a period lies in."""
        return next((part for part in self.runs if part.holds(at)), None)

    def keeps(self, mark: _Mark) -> bool:
        """Tell whether what was given stays where it is: its part reaches it still."""
        part = self.holder(mark[0])
        if part is None or not self._reaches(part, mark[1]):
            return False
        self._has.add((part.first, mark[1]))
        return True

    def heir(self, name: str) -> Run | None:
        """Return the latest part that reaches what was given to another, and has none of its own:
        it has it now."""
        for part in reversed(self.runs):
            if self._reaches(part, name) and (part.first, name) not in self._has:
                self._has.add((part.first, name))
                return part
        return None

    def _reaches(self, part: Run, name: str) -> bool:
        return part.length * SCALE >= self._targets.get(name, 0)


def _handed_on(
    before: State, run: Run, runs: list[Run], streak: Streak
) -> tuple[tuple[_Mark, ...], tuple[tuple[int, str, int], ...], tuple[Lost, ...]]:
    """Return what counts as given now, what of it is inherited, and what no part reaches any more.

    What no part reaches stays given, so that reaching it again gives nothing, unless it is revoked.
    The streak's own target counts as reached by each part that does, and by no other.
    """
    taken = before.taken or Taken()
    rewards = {(at, name): reward_at for at, name, reward_at in taken.inherited}
    parts = _Parts(run, runs, streak)
    given: list[_Mark] = []
    short: list[_Mark] = []
    for mark in before.given:
        stays = not run.holds(mark[0]) or parts.keeps(mark)
        (given if stays else short).append(mark)
    occupied = set(before.given)
    lost: list[Lost] = []
    milestones = {milestone.id: milestone for milestone in streak.milestones}
    for mark in short:
        at, name = mark
        if name == TARGET:
            continue
        heir = parts.heir(name)
        to = heir or (None if parts.holder(at) else next(reversed(parts.runs), None))
        place = at if to is None or (to.last, name) in occupied else to.last
        reward_at = rewards.pop(mark, at)
        given.append((place, name))
        occupied.add((place, name))
        if place != reward_at:
            rewards[place, name] = reward_at
        if heir is None and name in milestones:
            lost.append(Lost(milestones[name], reward_at, place))
    while (heir := parts.heir(TARGET)) is not None:
        given.append((heir.last, TARGET))
    inherited = tuple((at, name, reward_at) for (at, name), reward_at in rewards.items())
    return tuple(sorted(given)), inherited[-KEPT:], tuple(lost)
