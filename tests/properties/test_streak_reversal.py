"""Hits that are taken back: a streak is what its reference says, after whatever came before."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates import streak_reversal as reversal_of
from processor.domain.aggregates.streak import State
from processor.domain.rules import Milestone, Streak
from schemas.amounts import SCALE
from tests.properties.streak_reference import Streak as Reference
from tests.properties.streak_reference import begins

FIRST = datetime.fromisoformat("2026-10-01T00:00:00+00:00").date().toordinal()
ZONE = "Europe/Berlin"
NOON = timedelta(hours=12)

targets = st.lists(st.integers(1, 5), max_size=3, unique=True)
rules = st.tuples(st.integers(0, 2), st.integers(1, 4), targets)
"""Freezes, the target, the targets of milestones."""
steps = st.lists(
    st.tuples(
        st.sampled_from(["hit", "hit", "hit", "take", "take", "revoke", "tick"]),
        st.integers(0, 11),
    ),
    max_size=40,
)


class Both:
    """One streak by the fold's rules, and by the reference's."""

    def __init__(self, freezes: int, target: int, targets: list[int]) -> None:
        names = [f"m{number}" for number in sorted(targets)]
        self.milestones: list[dict[str, Any]] = [
            {"id": name, "milestoneTargetValue": int(name[1:])} for name in names
        ]
        compiled = tuple(
            Milestone(name, int(name[1:]) * SCALE, True, Raw(b"{}"), 0, 0) for name in names
        )
        self.rules = Streak("s", "daily", target, ZONE, freezes, 0, milestones=compiled)
        self.now = begins("daily", FIRST, ZONE) + NOON
        self.state: State = streak_of.initial(self.rules, ZONE, self.now)
        self.reference = Reference({"targetLength": target, "freezes": freezes}, ZONE)

    def hit(self, number: int) -> None:
        """Hit a day, and compare what that leads to."""
        at, moment = FIRST + number, begins("daily", FIRST + number, ZONE) + NOON
        self.now = max(self.now, moment)
        expected = self.reference.hit(moment, self.milestones, ZONE)
        assert (expected is None) == streak_of.counts_nothing(self.state, at)
        if expected is None:
            return
        before = self.state
        fact = streak_of.hit(before, at, self.rules)
        self.state = streak_of.evolve(before, fact, self.rules, self.now)
        decided = streak_of.decide(before, self.state, fact, self.rules)
        assert [run.last + 1 for run in decided.broken] == expected.broken
        assert decided.healed == expected.healed
        assert decided.run.length == expected.run.length
        assert len(decided.completed) == expected.completed
        rewards = sorted((each.milestone.id, each.at) for each in decided.reached)
        assert rewards == sorted(expected.rewards)

    def take(self, number: int, *, revoke: bool) -> None:
        """Take the hit of a day back, where it is hit, with what it does not reach any more."""
        at = FIRST + number
        assert streak_of.is_hit(self.state, at) == (at in self.reference.hits)
        if at not in self.reference.hits:
            return
        expected = self.reference.take_back(at, self.milestones, self.now, ZONE, revoke=revoke)
        fact = reversal_of.removal(self.state, at, self.rules)
        after = reversal_of.evolve(self.state, fact, self.rules, recorded_at=self.now, now=self.now)
        lost = fact.lost if revoke else ()
        self.state = reversal_of.revoked(after, lost)
        assert sorted((each.milestone.id, each.reward_at) for each in lost) == sorted(expected)

    def tick(self, days: int) -> None:
        """Let days go by, and compare what is broken then."""
        self.now += timedelta(days=days % 4)
        expected = self.reference.tick(self.now, ZONE)
        due = self.state.due
        assert (expected is not None) == (due is not None and due <= self.now)
        if expected is not None:
            latest = streak_of.latest_run(self.state, self.rules.freezes)
            assert latest.last + 1 == expected
            self.state = streak_of.broken_off(self.state, latest, self.now)

    def compare(self) -> None:
        """Compare what a streak shows."""
        state, reference = self.state, self.reference
        assert state.longest == reference.longest
        assert state.completed == any(what == "completion" for what, _ in reference.given)
        assert bool(state.hits) == bool(reference.hits)
        assert streak_of.is_broken(state) == reference.is_broken()
        if state.hits:
            latest = streak_of.latest_run(state, self.rules.freezes)
            assert (latest.length, self.rules.freezes - latest.frozen) == (
                reference.runs[-1].length,
                reference.runs[-1].left,
            )
            assert state.due == (None if reference.is_broken() else reference.waits)


def follow(rule: tuple[int, int, list[int]], history: list[tuple[str, int]]) -> Both:
    """Go through a history by both."""
    both = Both(*rule)
    for what, number in history:
        if what == "hit":
            both.hit(number)
        elif what == "tick":
            if both.reference.hits:
                both.tick(number)
        else:
            both.take(number, revoke=what == "revoke")
        both.compare()
    return both


@given(rules, steps)
def test_a_streak_of_which_hits_are_taken_is_as_the_reference_says(
    rule: tuple[int, int, list[int]], history: list[tuple[str, int]]
) -> None:
    follow(rule, history)


@given(rules, st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True), st.data())
def test_without_freezes_what_is_left_is_as_if_the_hits_had_never_been(
    rule: tuple[int, int, list[int]], numbers: list[int], data: st.DataObject
) -> None:
    taken = data.draw(st.lists(st.sampled_from(numbers), unique=True))
    _, target, targets = rule
    both = follow((0, target, targets), [("hit", number) for number in numbers])
    never = follow((0, target, targets), [("hit", n) for n in numbers if n not in taken])
    both.now = never.now = max(both.now, never.now) + timedelta(days=data.draw(st.integers(0, 3)))
    for number in taken:
        both.take(number, revoke=True)
    both.tick(0)
    never.tick(0)
    assert both.state.hits == never.state.hits
    assert both.state.longest == never.state.longest
    assert both.state.due == never.state.due
    assert both.state.completed == never.state.completed
    assert streak_of.is_broken(both.state) == streak_of.is_broken(never.state)
