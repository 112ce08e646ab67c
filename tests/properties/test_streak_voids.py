"""Voids of visits: a streak is what its reference says, told by the records that move it."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.state_kinds import STREAK_HITS
from schemas.instants import format_instant
from tests.event_spec import event, event_of, streak_milestone, streak_of, tick
from tests.properties.streak_reference import Streak as Reference
from tests.properties.streak_reference import begins, name_of
from tests.properties.test_streak_reversal import FIRST, NOON, ZONE, rules
from tests.spec import Happened, Partition, Sent, ann
from tests.strategies import MILESTONES
from tests.void_spec import void_event

visits = st.tuples(st.just("visit"), st.integers(0, 7), st.booleans())
"""On which day, with a key or without."""
voids = st.tuples(st.just("void"), st.integers(0, 25), st.booleans())
"""Of which visit, with its rewards or without."""
ticks = st.tuples(st.just("tick"), st.integers(0, 3), st.just(False))
histories = st.lists(st.one_of(visits, visits, visits, voids, voids, ticks), max_size=30)


class Told:
    """A streak by the records that move it, and by its reference."""

    def __init__(self, freezes: int, target: int, targets: list[int]) -> None:
        self.partition = Partition(compared=False)
        self.milestones: list[dict[str, Any]] = [
            {"id": MILESTONES[number], "milestoneTargetValue": each}
            for number, each in enumerate(sorted(targets))
        ]
        self.partition.define(
            event_of(reward={"default": 0}),
            streak_of(targetLength=target, freezes=freezes, timezone=ZONE),
            *(
                streak_milestone(each["milestoneTargetValue"], id_=each["id"], points=10)
                for each in self.milestones
            ),
        )
        self.now = begins("daily", FIRST, ZONE) + NOON
        self.fold(ann)
        self.reference = Reference({"targetLength": target, "freezes": freezes}, ZONE)
        self.hit_by: dict[int, list[int | None]] = {}
        """The visits of each day that are not voided; None for those without a key."""
        self.granted: Counter[tuple[str, str]] = Counter()
        self.ids: list[str] = []

    def fold(self, sent: Sent) -> Happened:
        """Fold a record that comes now."""
        return self.partition.fold(sent.arriving(format_instant(self.now)))

    def visit(self, number: int, day: int, *, keyed: bool) -> None:
        """Visit on a day."""
        moment = begins("daily", FIRST + day, ZONE) + NOON
        self.now = max(self.now, moment)
        fields = {"idempotencyKey": f"visit {number}"} if keyed else {}
        happened = self.fold(event("visit", format_instant(moment), **fields))
        expected = self.reference.hit(moment, self.milestones, ZONE)
        self.hit_by.setdefault(day, []).append(number if keyed else None)
        assert len(happened.of("streak.advanced")) == (expected is not None)
        rewards = [] if expected is None else expected.rewards
        assert self._rewards(happened, "granted") == _named(rewards)
        self._check(happened)

    def void(self, number: int, which: int, *, revoke: bool) -> None:
        """Void a visit, or fail to."""
        rewards = "revoke" if revoke else "keep"
        happened = self.fold(void_event(f"visit {which}", f"void {number}", rewards=rewards))
        day = next((day for day, by in self.hit_by.items() if which in by), None)
        if day is None:
            assert [status for status, _ in happened.answers] in ([404], [409])
            assert not happened.of("streak.reverted")
            return
        self.hit_by[day].remove(which)
        assert bool(happened.of("streak.reverted")) == (not self.hit_by[day])
        revoked: list[tuple[str, int]] = []
        if not self.hit_by[day]:
            at = FIRST + day
            revoked = self.reference.take_back(at, self.milestones, self.now, ZONE, revoke=revoke)
        assert self._rewards(happened, "revoked") == _named(revoked)
        assert not happened.of("streak.broken")
        self._check(happened)

    def tick(self, days: int) -> None:
        """Let days go by."""
        self.now += timedelta(days=days)
        happened = self.partition.fold(tick(format_instant(self.now)))
        gap = self.reference.tick(self.now, ZONE)
        assert len(happened.of("streak.broken")) == (gap is not None)
        self._check(happened)

    def _rewards(self, happened: Happened, what: str) -> list[tuple[str, str]]:
        found = happened.of(f"reward.{what}")
        for reward in found:
            key = reward["milestoneId"], reward["periodKey"]
            self.granted[key] += 1
            assert reward["version"] == self.granted[key]
        return sorted((reward["milestoneId"], reward["periodKey"]) for reward in found)

    def _check(self, happened: Happened) -> None:
        self.ids += [each["id"] for each in happened.envelopes]
        assert len(set(self.ids)) == len(self.ids)
        reference = self.reference
        for shown in [each for each in happened.facts if each.type.startswith("streak.")][-1:]:
            assert shown.data["longestLength"] == reference.longest
            over = not reference.hits or reference.is_broken()
            length = 0 if over else reference.runs[-1].length
            assert shown.data["currentLength"] == length
            assert (shown.data["status"] == "broken") == over
            assert (shown.data["activeUntil"] is None) == over
            if not over:
                assert datetime.fromisoformat(shown.data["activeUntil"]) == reference.waits
                assert shown.data["freezesLeft"] == reference.runs[-1].left


def _named(rewards: list[tuple[str, int]]) -> list[tuple[str, str]]:
    return sorted((milestone, name_of("daily", at)) for milestone, at in rewards)


@given(rules, histories)
def test_voids_of_visits_move_a_streak_as_the_reference_says(
    rule: tuple[int, int, list[int]], history: list[tuple[str, int, bool]]
) -> None:
    told = Told(*rule)
    for number, (what, value, flag) in enumerate(history):
        if what == "visit":
            told.visit(number, value, keyed=flag)
        elif what == "void":
            told.void(number, value, revoke=flag)
        else:
            told.tick(value)
    counted = [key for key in told.partition.entries if key.startswith(STREAK_HITS.prefix)]
    again = [day for day, by in told.hit_by.items() if len(by) > 1 or by == [None]]
    assert len(counted) <= len(again)
