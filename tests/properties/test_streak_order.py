"""A streak is a set of periods: in whatever order events come, it ends up the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates.period import period_key
from schemas.instants import format_instant, parse_instant
from tests.event_spec import event, event_of, streak_of
from tests.properties.streak_reference import begins, name_of, number_of, runs_of
from tests.spec import Partition, Sent, ann
from tests.strategies import ZONES

PERIODS = ("daily", "weekly", "monthly")
FIRST = parse_instant("2026-10-20T12:00:00Z")
CAME = "2028-06-01T00:00:00Z"


def visits(period: str, zone: str, steps: list[int]) -> list[Sent]:
    """Return a visit in the middle of each of these periods, counted from the first."""
    first = number_of(period, zone, FIRST)
    edges = [(begins(period, first + s, zone), begins(period, first + s + 1, zone)) for s in steps]
    return [event("visit", format_instant(a + (b - a) / 2)).arriving(CAME) for a, b in edges]


def state_after(streak: dict[str, Any], sent: list[Sent]) -> dict[str, Any]:
    """Fold visits; return what of the streak's last event is its state."""
    partition = Partition()
    partition.define(event_of(), streak_of(**streak))
    partition.fold(ann)
    last = partition.fold(*sent).of("streak.advanced")[-1]
    names = ("currentLength", "freezesLeft", "startedPeriodKey", "activeUntil")
    return {name: last[name] for name in names}


streaks = st.fixed_dictionaries(
    {
        "period": st.sampled_from(PERIODS),
        "timezone": st.sampled_from(ZONES),
        "freezes": st.integers(0, 3),
    }
)
steps_apart = st.lists(st.integers(0, 14), min_size=1, max_size=12, unique=True)


@given(streaks, steps_apart, st.data())
def test_any_order_of_events_leads_to_the_same_streak(
    streak: dict[str, Any], steps: list[int], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(steps))
    period, zone = streak["period"], streak["timezone"]
    in_order = state_after(streak, visits(period, zone, sorted(steps)))
    assert state_after(streak, visits(period, zone, shuffled)) == in_order
    latest = runs_of(set(steps), streak["freezes"])[-1]
    first = number_of(period, zone, FIRST)
    assert in_order["currentLength"] == latest.length
    assert in_order["freezesLeft"] == latest.left
    assert in_order["startedPeriodKey"] == name_of(period, first + latest.hits[0])


@given(st.sampled_from(PERIODS), st.sampled_from(ZONES), st.integers(0, 40_000))
def test_the_reference_names_periods_as_the_fold_does(period: str, zone: str, step: int) -> None:
    number = number_of(period, zone, FIRST) + step % (600 if period == "monthly" else 6000)
    start = begins(period, number, zone)
    assert period_key(period, zone, start) == name_of(period, number)
    assert number_of(period, zone, start) == number
