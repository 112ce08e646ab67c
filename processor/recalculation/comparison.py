"""What two worlds differ by: for each progress, what brings it from the first to the second."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice
from typing import NamedTuple

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import milestone as milestone_of
from processor.domain.aggregates.challenge import COMPLETED, Progress
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.period import is_key, period_end
from processor.domain.aggregates.points import Granted
from processor.domain.aggregates.reward import Reward
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import CHALLENGE, MILESTONE
from processor.domain.rules import Challenge, Milestone
from processor.domain.state_kinds import (
    APART,
    GRANTED,
    MEMBER,
    PROGRESS,
    REWARD,
    apart_key,
    challenge_bytes,
    granted_key,
    member_key,
    reward_key,
)
from processor.domain.state_kinds import member_of as member_in
from processor.recalculation.correction import Correction, NotGiven, Reached
from processor.recalculation.wanted import Wanted
from processor.recalculation.worlds import CROSSING, Crossing, crossing_key
from processor.simulation.world import Store
from schemas import ids
from schemas.amounts import amount_decimal, parse_sum
from schemas.ids import uuid_text

AT_ONCE = 256
"""Progresses that are looked up together."""


class _Sides(NamedTuple):
    """Something as it was recorded, and as it was recomputed."""

    was: bytes | None
    now: bytes | None


class Both:
    """The stores of two worlds, looked up together."""

    def __init__(self, recorded: Store, recomputed: Store) -> None:
        self.stores = recorded, recomputed

    def load(self, keys: Sequence[bytes]) -> list[_Sides]:
        """Read entries of both."""
        found = [store.load(keys) for store in self.stores]
        return [_Sides(*each) for each in zip(*found, strict=True)]


def corrections(
    wanted: Wanted, challenges: Collection[str], both: Both, in_force: Definitions
) -> Iterator[list[Correction]]:
    """Return what is to be corrected, some at once: in the order of members, then challenges.

    ``in_force`` are the definitions under which corrections are folded. It is the same for the
    same worlds. Whoever stops may begin anew, or take up after any of them.
    """
    comparing = _Comparing(wanted, both, in_force)
    of = {challenge_bytes(each) for each in challenges}
    keys = (key for key in _progress_keys(both.stores) if key[17:33] in of)
    while some := list(islice(keys, AT_ONCE)):
        found = [
            comparing.compare(key, sides) for key, sides in zip(some, both.load(some), strict=True)
        ]
        yield [each for each in found if each is not None]


def _progress_keys(stores: Sequence[Store]) -> Iterator[bytes]:
    """Return the keys of all progress that is in any of the stores, in order."""
    return (key for key, _ in groupby(merge(*map(_keys_of, stores))))


def _keys_of(store: Store) -> Iterator[bytes]:
    first, last = PROGRESS.prefix, bytes([PROGRESS.prefix[0] + 1])
    while found := store.scan(first, last, AT_ONCE):
        yield from found
        first = found[-1] + b"\0"


@dataclass(frozen=True)
class _Progress:
    """One member's progress in one period of a challenge, as it is in both worlds.

    ``kept`` is the exact sum that it is brought to, ``challenge`` the one that is in force,
    ``timezone`` the one that a correction gives it, and ``lives`` whether challenge and member do.
    """

    member_id: str
    challenge: Challenge
    period_key: str
    was: Progress | None
    now: Progress | None
    kept: int
    timezone: str
    lives: bool

    @property
    def counts_on(self) -> bool:
        """Whether what is kept counts for what is to be reached: nothing is added to a period of a
        kind that its challenge has no more."""
        return self.lives and is_key(self.challenge.period, self.period_key)

    @property
    def is_anything(self) -> bool:
        """Whether it moves, or goes by another method, period or zone than it began with."""
        return self.kept != _total(self.was) or self._takes_over

    @property
    def _takes_over(self) -> bool:
        """Whether a correction brings it nearer to the method, period and zone of the recomputed.
        Where the member has moved since, it gives the zone of today: one that has it stays so."""
        was, now = self.was, self.now
        if was is None or now is None:
            return False
        if (was.method, was.period) != (now.method, now.period):
            return True
        return was.timezone not in (now.timezone, self.timezone)

    def is_beyond(self, target: int) -> bool:
        """Tell whether a target is reached only by what is kept."""
        return _total(self.now) < target <= self.kept


class _Comparing:
    """Compares one progress after the other."""

    def __init__(self, wanted: Wanted, both: Both, in_force: Definitions) -> None:
        self._wanted = wanted
        self._both = both
        self._in_force = in_force

    def compare(self, key: bytes, sides: _Sides) -> Correction | None:
        """Return what is to become of a progress, None where nothing is to be done or told."""
        progress = self._progress(key, sides)
        if progress is None:
            return None
        was, now = progress.was, progress.now
        completion = self._completion(progress)
        reached, not_given = self._milestones(progress)
        short = self._wanted.exact and not _is_completed(now)
        falls_short = short and _is_completed(was) and progress.kept < progress.challenge.target
        changes = bool(progress.is_anything or completion.told or reached or falls_short)
        if changes or self._reaches_more(progress):
            completion = self._kept_completion(progress) or completion
            reached += self._kept_milestones(progress)
            changes = True
        if not changes and not not_given:
            return None
        difference = progress.kept - _total(was)
        return Correction(
            project=self._wanted.project,
            member_id=progress.member_id,
            challenge_id=progress.challenge.id,
            period_key=progress.period_key,
            before=amount_decimal(max(_total(was), 0)),
            after=amount_decimal(max(progress.kept, 0)),
            difference=amount_decimal(difference),
            started_at=None if now is None else now.started_at,
            completed=completion.new,
            completed_at=completion.at if completion.told else None,
            completion_points=completion.points,
            completion_adds=completion.adds,
            # Said of what is not completed as well: a log may have completed it since the cut, by a
            # sum that was too high.
            reopens=short,
            falls_short=falls_short,
            exact=self._wanted.exact,
            apart=self._apart(key),
            reached=reached,
            not_given=not_given,
            changes=changes,
        )

    def _progress(self, key: bytes, sides: _Sides) -> _Progress | None:
        """Return the progress of a key, None where it is not looked at."""
        member_id, rest = member_in(key)
        challenge_id, period_key = uuid_text(rest[:16]), rest[16:].decode()
        was, now = (None if side is None else PROGRESS.decode(side) for side in sides)
        challenge = self._in_force.challenge(self._wanted.project, challenge_id)
        member = self._member(member_id)
        if challenge is None or member is None or not self._is_in_time(was, now, period_key):
            return None
        kept = _total(now) if self._wanted.exact else max(_total(was), _total(now))
        timezone = member_of.zone(challenge, member.timezone)
        lives = challenge.live and member.status == member_of.LIVE
        return _Progress(member_id, challenge, period_key, was, now, kept, timezone, lives)

    def _is_in_time(self, was: Progress | None, now: Progress | None, period_key: str) -> bool:
        """Tell whether a period is one of those that are looked at."""
        since, progress = self._wanted.since, now or was
        if since is None or progress is None:
            return True
        end = period_end(progress.period, progress.timezone, period_key)
        return end is None or end > since

    def _member(self, member_id: str) -> Member | None:
        """Return who is to be corrected, None where nobody is: who was forgotten is not."""
        (sides,) = self._both.load([member_key(member_id)])
        member: Member | None = None if sides.was is None else MEMBER.decode(sides.was)
        return None if member is None or member.status == member_of.FORGOTTEN else member

    def _apart(self, key: bytes) -> Decimal:
        """Return what the fold has kept apart of a progress, by its key."""
        (sides,) = self._both.load([apart_key(key)])
        return amount_decimal(0 if sides.was is None else APART.decode(sides.was).nanos)

    def _completion(self, progress: _Progress) -> "_Completion":
        """Return whether a completion is to be given, or more points for one."""
        was, now = progress.was, progress.now
        if now is None or now.completed_at is None or not _is_completed(now):
            return self._kept_points(progress)
        granted = self._granted_by(progress)
        more, first = _more(granted)
        if _is_completed(was):
            return _Completion(first or now.completed_at, new=False, points=more, adds=True)
        if _gives_points(was, granted):
            points = progress.challenge.points
            return _Completion(now.completed_at, new=True, points=points, adds=False)
        return _Completion(now.completed_at, new=True, points=more, adds=True)

    def _kept_points(self, progress: _Progress) -> "_Completion":
        """Return the points that a completion gave and kept when it was reopened, where they were
        more than recorded. What was never completed gets its points by its first completion."""
        was, now = progress.was, progress.now
        if now is None or not now.reopened or was is None:
            return _NOT_COMPLETED
        if not was.reopened and not _is_completed(was):
            return _NOT_COMPLETED
        granted = self._granted_by(progress)
        more, first = _more(granted)
        if not more or granted.now is None:
            return _NOT_COMPLETED
        at = first or GRANTED.decode(granted.now).at or now.updated_at
        return _Completion(at, new=False, points=more, adds=True)

    def _reaches_more(self, progress: _Progress) -> bool:
        """Tell whether what is kept reaches what is in force, and the recomputed does not: the next
        log would give it. What an earlier log would have given, had it been live, is left to that.
        """
        return progress.counts_on and (
            (not _is_completed(progress.was) and progress.is_beyond(progress.challenge.target))
            or any(progress.is_beyond(each.target) for each in self._new(progress))
        )

    def _new(self, progress: _Progress) -> list[Milestone]:
        """Return the live milestones that what is kept reaches, and neither world gave."""
        seen = {*_reached(progress.was), *_reached(progress.now)}
        found = milestone_of.reached(progress.challenge.milestones, progress.kept, seen)
        return [each for each in found if not self._reward(progress, each.id).has]

    def _kept_completion(self, progress: _Progress) -> "_Completion | None":
        """Return the completion that folding a correction gives of itself, as its sum is enough."""
        was, challenge = progress.was, progress.challenge
        done = _is_completed(was) or _is_completed(progress.now)
        if done or not progress.lives or progress.kept < challenge.target:
            return None
        if _gives_points(was, self._granted_by(progress)):
            points = challenge.points
            return _Completion(self._kept_at(progress), new=True, points=points, adds=False)
        more = self._kept_points(progress).points
        return _Completion(self._kept_at(progress), new=True, points=more, adds=True)

    def _granted_by(self, progress: _Progress) -> _Sides:
        """Return what the completion of a progress gave."""
        progress_id = ids.progress_id(
            self._wanted.project, progress.challenge.id, progress.member_id, progress.period_key
        )
        (granted,) = self._both.load([self._granted_key(CHALLENGE, progress_id)])
        return granted

    def _milestones(self, progress: _Progress) -> tuple[list[Reached], list[NotGiven]]:
        """Return the milestones that are to be given, or more points for them; and those that were
        given and would not be, where that is to be told."""
        reached: list[Reached] = []
        not_given: list[NotGiven] = []
        for milestone_id in dict.fromkeys((*_reached(progress.now), *_reached(progress.was))):
            reward = self._reward(progress, milestone_id)
            challenge_id = progress.challenge.id
            before, after = (_given(side, challenge_id) for side in reward.sides)
            if after and reward.crossing is not None:
                found = self._found(progress, milestone_id, reward, reward.crossing)
                if found is not None:
                    reached.append(found)
            elif before and self._wanted.exact:
                not_given.append(NotGiven(reward_log_id=reward.id, milestone_id=milestone_id))
        return reached, not_given

    def _found(
        self, progress: _Progress, milestone_id: str, reward: "_Reward", crossed: Crossing
    ) -> Reached | None:
        """Return a milestone that was found to be reached, None where all of it was given. Folding
        a correction reaches nothing twice: so is one whose reward something else gave, and lost."""
        more, first = _more(reward.granted)
        lost = not reward.has and milestone_id in _reached(progress.was)
        if lost or (reward.has and not more):
            return None
        points = more
        milestone = self._in_force.milestone(self._wanted.project, milestone_id)
        if not reward.has and milestone is not None:
            points = reward.points_of(milestone)
        return Reached(
            milestone_id=milestone_id,
            reward_log_id=reward.id,
            at=first if reward.has and first is not None else crossed.at,
            value=amount_decimal(parse_sum(bytes(crossed.value).decode())),
            points=points,
            granted=not reward.has,
        )

    def _kept_milestones(self, progress: _Progress) -> list[Reached]:
        """Return the milestones that folding a correction gives of itself."""
        return [
            Reached(
                milestone_id=milestone.id,
                reward_log_id=reward.id,
                at=self._kept_at(progress),
                value=amount_decimal(max(progress.kept, 0)),
                points=reward.points_of(milestone),
                granted=True,
            )
            for milestone in (self._new(progress) if progress.lives else ())
            for reward in [self._reward(progress, milestone.id)]
        ]

    def _kept_at(self, progress: _Progress) -> datetime:
        """Return the moment of what is kept, which is the same for every replay. Where a project's
        clock is moved by hand, only what was logged has a time by it."""
        was, now = progress.was, progress.now
        kept = now if was is None or (now is not None and now.total >= was.total) else was
        assert kept is not None  # there is no key that neither has
        by_hand = self._wanted.project in self._in_force.clocks
        return kept.started_at if by_hand else kept.updated_at

    def _reward(self, progress: _Progress, milestone_id: str) -> "_Reward":
        """Return what both worlds know of the reward for a milestone."""
        reward_id = ids.reward_log_id(
            self._wanted.project, milestone_id, progress.member_id, progress.period_key
        )
        keys = reward_key(reward_id), self._granted_key(MILESTONE, reward_id)
        sides, granted, crossing = self._both.load([*keys, crossing_key(reward_id)])
        crossed = None if crossing.now is None else CROSSING.decode(crossing.now)
        return _Reward(reward_id, sides, granted, crossed)

    def _granted_key(self, source: str, source_id: str) -> bytes:
        return granted_key(ids.points_entry_id(self._wanted.project, source, source_id))


class _Completion(NamedTuple):
    """When a challenge was completed; whether it is ``new``, and how many points it gives, which it
    ``adds`` to what it gave before."""

    at: datetime | None
    new: bool
    points: int
    adds: bool

    @property
    def told(self) -> bool:
        """Whether there is anything to be given."""
        return self.new or self.points > 0


_NOT_COMPLETED = _Completion(None, new=False, points=0, adds=False)


class _Reward(NamedTuple):
    """A reward in both worlds, what it gave, and when the second reached its milestone."""

    id: str
    sides: _Sides
    granted: _Sides
    crossing: Crossing | None

    @property
    def has(self) -> bool:
        """Whether it was given, by whatever, and not taken back."""
        return self.sides.was is not None and REWARD.decode(self.sides.was).revoked_at is None

    def points_of(self, milestone: Milestone) -> int:
        """Return the points that it gives when it is granted: none again where nobody knows what
        was taken back."""
        if self.sides.was is None or self.granted.was is not None:
            return milestone.points
        return milestone.points if REWARD.decode(self.sides.was).remembers else 0


def _gives_points(was: Progress | None, granted: _Sides) -> bool:
    """Tell whether a completion gives its points as ever: one that was reopened does so only where
    they were taken back."""
    if was is None or not was.reopened:
        return True
    return granted.was is not None and bool(GRANTED.decode(granted.was).withdrawn)


def _more(granted: _Sides) -> tuple[int, datetime | None]:
    """Return how many points something gives more in the second world than in the first, 0 where it
    gives fewer, or gave them back, for which a correction gives none; and when it gave them first.
    """
    was, now = (None if side is None else GRANTED.decode(side) for side in granted)
    if was is None:
        return _points(now), None
    return 0 if was.withdrawn else max(_points(now) - was.points, 0), was.at


def _points(granted: Granted | None) -> int:
    return 0 if granted is None or granted.withdrawn else granted.points


def _given(reward: bytes | None, challenge_id: str) -> bool:
    """Tell whether a challenge gave a reward, and it was not taken back."""
    if reward is None:
        return False
    given: Reward = REWARD.decode(reward)
    return given.revoked_at is None and given.linked_id == challenge_id


def _total(progress: Progress | None) -> int:
    return 0 if progress is None else progress.total


def _is_completed(progress: Progress | None) -> bool:
    return progress is not None and progress.status == COMPLETED


def _reached(progress: Progress | None) -> tuple[str, ...]:
    return () if progress is None else progress.reached
