"""What two worlds differ by: for each progress, what brings it from the first to the second."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice
from typing import NamedTuple

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.challenge import COMPLETED, Progress
from processor.domain.aggregates.period import period_end
from processor.domain.aggregates.points import Granted
from processor.domain.aggregates.reward import Reward
from processor.domain.handlers.ledger import CHALLENGE, MILESTONE
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
from processor.recalculation.worlds import CROSSING, crossing_key
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
    wanted: Wanted, challenges: Collection[str], both: Both
) -> Iterator[list[Correction]]:
    """Return what is to be corrected, some at once: in the order of members, then challenges.

    It is the same for the same worlds. Whoever stops may begin anew, or take up after any of them.
    """
    comparing = _Comparing(wanted, both)
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
class _Place:
    """Whose progress, of which challenge and period."""

    member_id: str
    challenge_id: str
    period_key: str


class _Comparing:
    """Compares one progress after the other."""

    def __init__(self, wanted: Wanted, both: Both) -> None:
        self._wanted = wanted
        self._both = both

    def compare(self, key: bytes, sides: _Sides) -> Correction | None:
        """Return what is to become of a progress, None where nothing is to be done or told."""
        member_id, rest = member_in(key)
        place = _Place(member_id, uuid_text(rest[:16]), rest[16:].decode())
        was, now = (None if side is None else PROGRESS.decode(side) for side in sides)
        if not self._is_in_time(was, now, place.period_key) or not self._is_there(member_id):
            return None
        difference = _total(now) - _total(was)
        if not self._wanted.exact:
            difference = max(difference, 0)
        completion = self._completion(place, was, now)
        reached, not_given = self._milestones(place, was, now)
        short = self._wanted.exact and not _is_completed(now)
        falls_short = short and _is_completed(was)
        changes = bool(
            difference or completion.told or reached or falls_short or _takes_over(was, now)
        )
        if not changes and not not_given:
            return None
        return Correction(
            project=self._wanted.project,
            member_id=place.member_id,
            challenge_id=place.challenge_id,
            period_key=place.period_key,
            before=amount_decimal(max(_total(was), 0)),
            after=amount_decimal(max(_total(was) + difference, 0)),
            difference=amount_decimal(difference),
            started_at=None if now is None else now.started_at,
            completed=completion.new,
            completed_at=completion.at if completion.told else None,
            completion_points=completion.points,
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

    def _is_in_time(self, was: Progress | None, now: Progress | None, period_key: str) -> bool:
        """Tell whether a period is one of those that are looked at."""
        since, progress = self._wanted.since, now or was
        if since is None or progress is None:
            return True
        end = period_end(progress.period, progress.timezone, period_key)
        return end is None or end > since

    def _is_there(self, member_id: str) -> bool:
        """Tell whether there is somebody to be corrected: who was forgotten is not."""
        (sides,) = self._both.load([member_key(member_id)])
        return sides.was is not None and MEMBER.decode(sides.was).status != member_of.FORGOTTEN

    def _apart(self, key: bytes) -> Decimal:
        """Return what the fold has kept apart of a progress, by its key."""
        (sides,) = self._both.load([apart_key(key)])
        return amount_decimal(0 if sides.was is None else APART.decode(sides.was).nanos)

    def _completion(
        self, place: _Place, was: Progress | None, now: Progress | None
    ) -> "_Completion":
        """Return whether a completion is to be given, or more points for one."""
        if now is None or now.completed_at is None or not _is_completed(now):
            return _Completion(None, new=False, points=0)
        progress_id = ids.progress_id(
            self._wanted.project, place.challenge_id, place.member_id, place.period_key
        )
        (granted,) = self._both.load([self._granted_key(CHALLENGE, progress_id)])
        points, first = _more(granted)
        new = not _is_completed(was)
        return _Completion(now.completed_at if new else first or now.completed_at, new, points)

    def _milestones(
        self, place: _Place, was: Progress | None, now: Progress | None
    ) -> tuple[list[Reached], list[NotGiven]]:
        """Return the milestones that are to be given, or more points for them; and those that were
        given and would not be, where that is to be told."""
        reached: list[Reached] = []
        not_given: list[NotGiven] = []
        by_id = dict.fromkeys((*_reached(now), *_reached(was)))
        for milestone_id in by_id:
            reward_id = ids.reward_log_id(
                self._wanted.project, milestone_id, place.member_id, place.period_key
            )
            rewards, granted, crossing = self._both.load(
                [
                    reward_key(reward_id),
                    self._granted_key(MILESTONE, reward_id),
                    crossing_key(reward_id),
                ]
            )
            before, after = (_given(side, place.challenge_id) for side in rewards)
            if after and crossing.now is not None:
                points, first = _more(granted)
                has = rewards.was is not None and REWARD.decode(rewards.was).revoked_at is None
                if has and not points:
                    continue
                crossed = CROSSING.decode(crossing.now)
                reached.append(
                    Reached(
                        milestone_id=milestone_id,
                        reward_log_id=reward_id,
                        at=first if has and first is not None else crossed.at,
                        value=amount_decimal(parse_sum(bytes(crossed.value).decode())),
                        points=points,
                        granted=not has,
                    )
                )
            elif before and self._wanted.exact:
                not_given.append(NotGiven(reward_log_id=reward_id, milestone_id=milestone_id))
        return reached, not_given

    def _granted_key(self, source: str, source_id: str) -> bytes:
        return granted_key(ids.points_entry_id(self._wanted.project, source, source_id))


class _Completion(NamedTuple):
    """When a challenge was completed; whether it is ``new``, and how many points it gives."""

    at: datetime | None
    new: bool
    points: int

    @property
    def told(self) -> bool:
        """Whether there is anything to be given."""
        return self.new or self.points > 0


def _more(granted: _Sides) -> tuple[int, datetime | None]:
    """Return how many points something gives more in the second world than in the first, 0 where it
    gives fewer; and when it gave them first."""
    was, now = (None if side is None else GRANTED.decode(side) for side in granted)
    return max(_points(now) - _points(was), 0), None if was is None else was.at


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


def _takes_over(was: Progress | None, now: Progress | None) -> bool:
    """Tell whether a progress goes by another method, period or zone than it began with."""
    if was is None or now is None:
        return False
    before = was.method, was.period, was.timezone
    return before != (now.method, now.period, now.timezone)
