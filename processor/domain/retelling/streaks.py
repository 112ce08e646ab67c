"""The events that a streak's periods were hit by, told again from the events that were logged."""

from collections import Counter
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


def last_reached(
    events: Sequence[Qualifying],
    period: str,
    timezone: str,
    period_key: str,
    *,
    target: int,
    first: int,
    until: int,
) -> int:
    """Return the place in the order at which the run of a period last came to a length.

    Voids may have left it shorter than it was when it first came there, and a later hit may have
    brought it there again: what that led to is given for the later hit.

    Args:
        events: all that counted for the streak, voided or not.
        period: the streak's, which it began with.
        timezone: the one that its days are of.
        period_key: a period that the run holds, or held.
        target: how many periods it is to have.
        first: the place at which it first came there.
        until: a place in the order: nothing that was folded behind it is looked at.
    """
    place, short, freezes, hits = first, False, 0, Counter[int]()
    for sequence, event, more in _changes(events, until):
        at = streak_of.ordinal(period, timezone, event.occurred_at)
        hits[at] += more
        if more > 0:
            freezes = event.rule.freezes
        is_new = hits[at] == max(more, 0)
        # A run that is long enough is so until a void takes one of its periods.
        if sequence <= first or not is_new or (more > 0 and not short):
            continue
        state = State(period, timezone, EPOCH, EPOCH, _stretches(hits))
        was_short, short = short, _length_of(state, freezes, period_key) < target
        if was_short and not short:
            place = sequence
    return place


def _length_of(state: State, freezes: int, period_key: str) -> int:
    """Return how many periods the run that holds a period has, 0 where none does."""
    at = streak_of.ordinal_of(state.period, state.timezone, period_key)
    runs = streak_of.runs(state.hits, freezes)
    return next((run.length for run in runs if at is not None and run.holds(at)), 0)


def _changes(events: Sequence[Qualifying], until: int) -> list[tuple[int, Qualifying, int]]:
    """Return when events came and were taken back, in order, up to a place."""
    came = [(event.sequence, event, 1) for event in events]
    gone = [(event.voided_at, event, -1) for event in events if event.voided_at is not None]
    changes = [each for each in (*came, *gone) if each[0] <= until]
    return sorted(changes, key=lambda each: (each[0], each[1].id))


def _stretches(hits: Counter[int]) -> tuple[streak_of.Stretch, ...]:
    """Return the periods that are hit, as stretches without a gap."""
    found: list[streak_of.Stretch] = []
    for at in sorted(at for at, count in hits.items() if count > 0):
        if found and found[-1][1] == at - 1:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return tuple(found)
