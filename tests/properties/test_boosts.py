"""Boosts multiply, and run, as a naive reading with fractions in lowest terms has it."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates import boost as boost_of
from processor.domain.rules import Boost, Boosts
from schemas.amounts import MAX_POINTS

START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = st.integers(0, 40).map(lambda days: START + timedelta(days=days))
NANOS = st.integers(1, 3 * 10**9) | st.sampled_from([10**12, 10**9, 1_100_000_000, 500_000_000])
BONUSES = st.sampled_from([Fraction(0), Fraction(1), Fraction(5, 2), Fraction(1000)])


@st.composite
def boosts(draw: st.DrawFn) -> list[Boost]:
    """Boosts in the order of their ids."""
    return [
        Boost(
            id=f"b{number:02}",
            multiplier=Fraction(draw(NANOS), 10**9),
            starts_at=draw(DAYS),
            ends_at=draw(st.none() | DAYS),
            event_ids=None,
            wallets=None,
            conditions=None,
            asks_member=False,
            stacking=draw(st.sampled_from(["multiply", "add", "highest"])),
            max_bonus=draw(st.none() | BONUSES),
            live=True,
        )
        for number in range(draw(st.integers(0, 12)))
    ]


def naive(exact: Fraction, factors: list[Fraction], acting: list[Boost]) -> tuple[int, list[str]]:
    """Return the points before they are cut, and the boosts as they act."""
    value, acted = exact, []
    for factor in factors:
        value *= factor

    def bonus(boost: Boost) -> Fraction:
        more = (boost.multiplier - 1) * value
        return more if boost.max_bonus is None else min(more, boost.max_bonus)

    for boost in acting:
        if boost.stacking == "multiply":
            value += bonus(boost)
            acted.append(boost.id)
    added = [boost for boost in acting if boost.stacking == "add"]
    value += sum(map(bonus, added))
    acted += [boost.id for boost in added]
    highest = [boost for boost in acting if boost.stacking == "highest"]
    if highest:
        greatest = max(highest, key=lambda boost: (boost.multiplier, bonus(boost)))
        value += bonus(greatest)
        acted.append(greatest.id)
    return max((2 * value + 1) // 2, 0), acted


@given(
    st.fractions(0, 10**6, max_denominator=10**9),
    st.lists(NANOS.map(lambda nanos: Fraction(nanos, 10**9)), max_size=3),
    boosts(),
)
def test_points_are_as_a_naive_reading_has_them(
    exact: Fraction, factors: list[Fraction], acting: list[Boost]
) -> None:
    base = (2 * exact + 1) // 2
    points, acted, cut = boost_of.decide(base, exact, factors, acting)
    wanted, names = naive(exact, factors, acting)
    assert (points + cut, list(acted)) == (wanted, names)
    assert points == min(wanted, MAX_POINTS)


@given(boosts(), st.lists(DAYS, max_size=60))
def test_those_run_whose_time_it_is_however_often_somebody_asks(
    all_: list[Boost], moments: list[datetime]
) -> None:
    schedule = Boosts(all_)
    for at in moments:
        running = [
            each for each in all_
            if each.starts_at <= at and (each.ends_at is None or at < each.ends_at)
        ]  # fmt: skip
        assert list(schedule.running(at)) == running
