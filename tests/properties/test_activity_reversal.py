"""Activity logs that are taken back: what is left is what a plain count of the others says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates import activity_history as history_of
from processor.domain.aggregates import pathway as pathway_of
from processor.domain.aggregates.pathway import ActivityReport, ActivityState
from processor.domain.handlers.activity_histories import ActivityHistories
from processor.domain.rules import Activity
from processor.domain.state_kinds import activity_key
from processor.domain.working_set import WorkingSet
from schemas.amounts import SCALE
from schemas.ids import member_id

FIRST = datetime(2026, 11, 20, 10, tzinfo=UTC)
KEY = activity_key(member_id("default", "ann"), "P", "a")
FORMULAS = ("sum", "average", "max", "latest")

logs = st.tuples(st.just("log"), st.integers(0, 5), st.integers(-20, 60))
"""At which minute, with which value."""
takes = st.tuples(st.just("take"), st.integers(0, 30), st.just(0))
histories = st.lists(st.one_of(logs, logs, takes), max_size=40)


@dataclass(frozen=True)
class Log:
    """One log of the plain count."""

    identifier: str
    at: datetime
    value: int


def counted(formula: str, done: Sequence[Log]) -> Fraction:
    """Return what a formula makes of logs."""
    values = [Fraction(log.value) for log in done]
    if not values:
        return Fraction(0)
    if formula == "sum":
        return sum(values, Fraction(0))
    if formula == "average":
        return Fraction(floor(sum(values) / len(values) * SCALE + Fraction(1, 2)), SCALE)
    if formula == "max":
        return max(values)
    return Fraction(max(done, key=lambda log: (log.at, log.identifier)).value)


def is_completed(formula: str, target: int, done: Sequence[Log]) -> bool:
    """Tell whether the target was reached at any time."""
    return any(counted(formula, done[:n]) >= target for n in range(1, len(done) + 1))


def nothing(keys: Sequence[bytes]) -> Sequence[None]:
    """An empty store."""
    return [None for _ in keys]


def follow(activity: Activity, history: Sequence[tuple[str, int, int]], *, bounded: bool) -> None:
    """Go through logs, and take some back; compare with the plain count on the way."""
    entries = WorkingSet(nothing, lambda *_: [])
    histories = ActivityHistories(entries)
    state: ActivityState | None = None
    done: list[Log] = []
    formula = activity.formula or ""
    for number, (what, where, value) in enumerate(history):
        now = FIRST + timedelta(hours=number)
        if what == "log":
            log = Log(f"{number:03}", FIRST + timedelta(minutes=where), value)
            report = ActivityReport(log.at, log.identifier, now, value=value * SCALE)
            histories.keep(KEY, activity, state, history_of.kept(report))
            state = pathway_of.evolve(state, report, activity)
            done.append(log)
        elif state is not None:
            kept = histories.kept(KEY, activity, state)
            found = history_of.find(kept.logs, f"{where:03}")
            if found is None:
                assert bounded or all(log.identifier != f"{where:03}" for log in done)
                continue
            rest = [each for each in kept.logs if each is not found]
            left = history_of.fold(kept.base, rest, activity)
            state = history_of.without(state, left, now)
            histories.replace(KEY, kept.base, rest)
            done = [log for log in done if log.identifier != found.identifier]
        if state is None:
            continue
        measured = Fraction(pathway_of.current(activity, state), SCALE)
        assert measured == counted(formula, done)
        if not bounded:
            completed = is_completed(formula, activity.target // SCALE, done)
            assert (state.completed_at is not None) == completed
            assert (state.state == pathway_of.COMPLETED) == completed


activities = st.builds(
    lambda formula, target: Activity(
        "a", "A", "data", "tracking", True, 0, "Score", formula, target * SCALE
    ),
    st.sampled_from(FORMULAS),
    st.integers(1, 100),
)


@given(activities, histories)
def test_what_is_left_is_what_the_other_logs_come_to(
    activity: Activity, history: list[tuple[str, int, int]]
) -> None:
    with patch("processor.domain.handlers.activity_histories.FULL", 3):
        follow(activity, history, bounded=False)


@given(activities, histories)
def test_what_is_not_kept_goes_on_counting(
    activity: Activity, history: list[tuple[str, int, int]]
) -> None:
    with (
        patch("processor.domain.handlers.activity_histories.FULL", 3),
        patch.object(history_of, "LATEST", 4),
        patch.object(history_of, "GREATEST", 4),
        patch.object(history_of, "SLACK", 5),
    ):
        follow(activity, history, bounded=True)
