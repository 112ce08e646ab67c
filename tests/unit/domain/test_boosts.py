"""Boosts: what multiplies the points of events (contract-2, section 13)."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from processor.domain.aggregates import boost as boost_rules
from processor.domain.rules import Boost
from processor.domain.state_kinds import BALANCES
from schemas.amounts import MAX_POINTS
from tests.event_spec import condition, event, event_of, purchase_of, visit
from tests.spec import (
    Defined,
    Happened,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    upsert,
)
from tests.tier_spec import tier_set

D = Decimal
DAY = "2026-11-21T10:00:00Z"


def boost_of(id_: str = "double", multiplier: Any = 2, **fields: Any) -> Defined:
    """A boost that began long ago."""
    known = {"id": id_, "name": id_, "multiplier": multiplier, "startsAt": "2020-01-01T00:00:00Z"}
    return Defined("boost", id_, known | fields)


def entry(happened: Happened) -> dict[str, Any]:
    """Return what the only grant says of its points."""
    (granted,) = happened.of("points.granted")
    names = ("points", "base", "bonus", "boosts", "tier", "cut", "cutBy")
    return {name: granted[name] for name in names if name in granted}


def bought(amount: Any, *boosts: Defined, **fields: Any) -> dict[str, Any]:
    """Return the grant for a purchase with one point for each of ``amount``."""
    purchase = purchase_of(reward={"default": 1}, **fields)
    happened = given(ann, purchase, *boosts).when(event("purchase", metadata={"amount": amount}))
    (logged,) = happened.of("event.logged")
    found = entry(happened)
    assert logged["points"] == found["points"]
    return found


def test_a_grant_says_what_it_would_have_been_and_what_made_it_more() -> None:
    happened = given(ann, event_of(), boost_of()).when(visit("2026-11-21"))
    assert entry(happened) == {
        "points": 10, "base": 5, "bonus": 5, "boosts": ["double"], "tier": None,
    }  # fmt: skip
    assert happened.of("event.logged")[0]["points"] == 10
    assert happened.of("points.granted")[0]["balance"] == 10


def test_where_no_boost_acts_nothing_is_said() -> None:
    for boost in (
        boost_of(status="paused"),
        boost_of(status="draft"),
        boost_of(eventIds=["other"]),
        boost_of(wallets=["other"]),
        boost_of(startsAt="2026-11-21T10:00:00.000001Z"),
        boost_of(endsAt=DAY),
        boost_of(conditions=condition("amount", "exists")),
        boost_of().deleted(),
    ):
        happened = given(ann, event_of(), boost).when(event("visit", DAY))
        assert entry(happened) == {"points": 5}, boost


@pytest.mark.parametrize(
    ("at", "points"),
    [
        ("2026-11-19T23:59:59.999999Z", 5),
        ("2026-11-20T00:00:00Z", 10),
        ("2026-11-20T23:59:59.999999Z", 10),
        ("2026-11-21T00:00:00Z", 5),
    ],
)
def test_the_event_s_own_time_decides_however_late_it_comes(at: str, points: int) -> None:
    boost = boost_of(startsAt="2026-11-20T00:00:00Z", endsAt="2026-11-21T00:00:00Z")
    assert entry(given(ann, event_of(), boost).when(event("visit", at)))["points"] == points


def test_boosts_multiply_in_order_of_their_ids_then_add_then_the_highest_acts() -> None:
    boosts = (
        boost_of("z", 3),
        boost_of("a", 2),
        boost_of("m", D("1.5"), stacking="add"),
        boost_of("c", D("1.25"), stacking="add"),
        boost_of("b", 2, stacking="highest"),
        boost_of("y", 4, stacking="highest"),
    )
    # 10 * 2 * 3 = 60; 60 + 30 + 15 = 105; 105 * 4 = 420
    assert bought(10, *boosts) == {
        "points": 420, "base": 10, "bonus": 410, "boosts": ["a", "z", "c", "m", "y"], "tier": None,
    }  # fmt: skip


def test_the_order_of_ids_counts_where_a_bonus_is_bounded() -> None:
    assert bought(10, boost_of("a", 2, maxBonus=5), boost_of("b", 3))["points"] == 45
    assert bought(10, boost_of("b", 2, maxBonus=5), boost_of("a", 3))["points"] == 35


@pytest.mark.parametrize(
    ("stacking", "most", "points"),
    [("multiply", D("2.4"), 12), ("add", D("2.5"), 13), ("highest", 0, 10), ("multiply", 30, 20)],
)
def test_a_bonus_is_bounded(stacking: str, most: Any, points: int) -> None:
    assert bought(10, boost_of(stacking=stacking, maxBonus=most))["points"] == points


def test_points_are_rounded_once_at_the_end() -> None:
    # 0.4 is no point; twice is 0.8, which is one
    assert bought(D("0.4"), boost_of()) == {
        "points": 1, "base": 0, "bonus": 1, "boosts": ["double"], "tier": None,
    }  # fmt: skip
    assert bought(D("0.3"), boost_of(multiplier=D("1.666666667")))["points"] == 1  # 0.5000000001
    thirds = [boost_of(f"b{n}", D("1.1")) for n in range(3)]
    assert bought(10, *thirds)["points"] == 13  # 13.31


def test_what_comes_to_nothing_is_said_to_be_0_where_it_would_have_been_more() -> None:
    nearly_none = boost_of(multiplier=D("0.000000001"))
    assert bought(5, nearly_none) == {
        "points": 0, "base": 5, "bonus": -5, "boosts": ["double"], "tier": None,
    }  # fmt: skip
    purchase = purchase_of(reward={"default": 1})
    world = given(ann, purchase, nearly_none, tier_set(0))
    nothing = world.when(event("purchase", metadata={"amount": D("0.4")}))
    assert not nothing.of("points.granted")
    happened = world.when(event("purchase", metadata={"amount": 5}))
    assert happened.of("points.granted")[0]["balance"] == 0
    assert not happened.of("tier.changed")
    assert not [key for key in world.partition.entries if key[:1] == BALANCES.prefix]


def test_a_multiplier_below_one_takes_away_and_never_below_zero() -> None:
    assert bought(10, boost_of(multiplier=D("0.5")))["bonus"] == -5
    fewer = [boost_of(f"b{n}", D("0.1"), stacking="add") for n in range(2)]
    assert bought(10, *fewer) == {
        "points": 0, "base": 10, "bonus": -10, "boosts": ["b0", "b1"], "tier": None,
    }  # fmt: skip


def test_only_boosts_that_run_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    applies, runs = boost_rules.applies, Boost.runs

    def counted(boost: Boost, *asked: Any) -> bool:
        looked.append(boost.id)
        return applies(boost, *asked)

    def counted_running(boost: Boost, at: datetime) -> bool:
        looked.append(boost.id)
        return runs(boost, at)

    over = [boost_of(f"over-{n}", endsAt=f"2026-{1 + n % 9:02}-01T00:00:00Z") for n in range(50)]
    world = given(ann, event_of(), boost_of(), *over, visit("2026-11-21"))
    monkeypatch.setattr(boost_rules, "applies", counted)
    monkeypatch.setattr(Boost, "runs", counted_running)
    assert entry(world.when(visit("2026-11-22")))["boosts"] == ["double"]
    assert set(looked) == {"double"}


@pytest.mark.parametrize(("maximum", "base", "points"), [(8, 8, 16), (D("8.5"), 8, 16)])
def test_the_maximum_bounds_the_base(maximum: Any, base: int, points: int) -> None:
    found = bought(10, boost_of(), maximumReward=maximum)
    assert (found["base"], found["points"]) == (base, points)


def test_what_is_above_the_limit_is_cut() -> None:
    found = bought(MAX_POINTS - 1, boost_of(multiplier=1000))
    assert found["points"] == MAX_POINTS
    assert (found["cut"], found["cutBy"]) == (1000 * (MAX_POINTS - 1) - MAX_POINTS, "limit")


def test_conditions_ask_for_metadata_and_member() -> None:
    rich = boost_of("rich", 2, conditions=condition("amount", "greater_than", 9))
    plus = boost_of("plus", 3, conditions=condition("member.attributes.plan", "equals", "plus"))
    purchase = purchase_of(reward={"default": 1})
    world = given(upsert("ann", attributes={"plan": "plus"}), purchase, rich, plus)
    for amount, boosts in ((10, ["plus", "rich"]), (9, ["plus"])):
        happened = world.when(event("purchase", metadata={"amount": amount}))
        assert entry(happened)["boosts"] == boosts
    world.and_given(upsert("ann", attributes={"plan": "free"}))
    assert entry(world.when(event("purchase", metadata={"amount": 10})))["boosts"] == ["rich"]


def test_only_points_of_events_are_multiplied() -> None:
    happened = given(ann, challenge(pointsOnCompletion=7), milestone(50, points=3), boost_of())
    granted = happened.when(log("a", 100)).of("points.granted")
    assert sorted(each["points"] for each in granted) == [3, 7]
    assert all("base" not in each for each in granted)


def test_what_has_no_points_is_not_multiplied() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    for world in (
        given(ann, event_of(conditions=condition("amount", "exists")), boost_of()),
        given(ann, event_of(limit=1), boost_of(), visit("2026-11-20")),
        given(ann, event_of(), boost_of(), paused),
    ):
        happened = world.when(visit("2026-11-21"))
        assert happened.of("event.logged")[0]["points"] == 0
        assert not happened.of("points.granted")


def test_a_repeated_event_has_its_first_answer_whatever_runs_now() -> None:
    keyed = event("visit", DAY, idempotencyKey="k")
    world = given(ann, event_of(), boost_of(), keyed)
    world.partition.define(boost_of(multiplier=7))
    ((status, body),) = world.when(keyed).answers
    assert (status, body["data"]["points"]) == (200, 10)
