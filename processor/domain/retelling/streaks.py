"""The events that a streak's periods were hit by, told again from the events that were logged."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates.streak import Run, State
from processor.domain.rules import Streak
from schemas.instants import EPOCH


class Qualifying(msgspec.Struct, frozen=True, kw_only=True):
    """An event that counted for a streak, by ``rule`` as it was then.

    ``version`` is that of the event's definition; ``voided_at`` is the place in the order of the
    void that took the whole event, None where none did.
    """

    id: str
    occurred_at: datetime
    created_at: datetime
    sequence: int
    version: int
    rule: Streak
    voided_at: int | None = None


class Step(msgspec.Struct, frozen=True):
    """The event that hit a period first of those that are not voided, and how many periods the run
    that it is in had then."""

    of: Qualifying
    period: int
    after: int


class Told(msgspec.Struct, frozen=True):
    """All periods that were hit, in the order in which they were, and the state that they make."""

    steps: Sequence[Step]
    state: State
    freezes: int

    def latest(self) -> list[Step]:
        """Return the steps of the latest run."""
        return (
            [] if not self.state.hits else self._of(streak_of.latest_run(self.state, self.freezes))
        )

    def run_of(self, period_key: str) -> list[Step]:
        """Return the steps of the run that a period lies in."""
        state = self.state
        at = streak_of.ordinal_of(state.period, state.timezone, period_key)
        runs = streak_of.runs(state.hits, self.freezes)
        found = next((run for run in runs if at is not None and run.holds(at)), None)
        return [] if found is None else self._of(found)

    def _of(self, run: Run) -> list[Step]:
        return [step for step in self.steps if run.holds(step.period)]


def retell(
    events: Sequence[Qualifying], period: str, timezone: str, until: int | None = None
) -> Told:
    """Return which events hit the periods of a streak.

    Args:
        events: all that counted for it.
        period: the streak's, which it began with.
        timezone: the one that its days are of.
        until: a place in the order: nothing that was folded behind it counts.
    """
    standing = [event for event in events if _stands(event, until)]
    state, freezes, steps = State(period, timezone, EPOCH, EPOCH), 0, list[Step]()
    for event in sorted(standing, key=lambda each: (each.sequence, each.id)):
        freezes = event.rule.freezes
        at = streak_of.ordinal(period, timezone, event.occurred_at)
        if streak_of.counts_nothing(state, at):
            continue
        fact = streak_of.hit(state, at, event.rule)
        after = streak_of.evolve(state, fact, event.rule, event.created_at)
        decided = streak_of.decide(state, after, fact, event.rule)
        steps.append(Step(event, at, decided.run.length))
        state = after
    return Told(steps, state, freezes)


def _stands(event: Qualifying, until: int | None) -> bool:
    if until is None:
        return event.voided_at is None
    return event.sequence <= until and (event.voided_at is None or event.voided_at > until)
