"""What an event gives: its points, its group, its limit (`schemas/README.md#events`)."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.amounts import MAX_POINTS
from tests.event_spec import (
    condition,
    earned,
    event,
    event_of,
    logged,
    purchase_of,
    visit,
)
from tests.spec import (
    NOW,
    Sent,
    ann,
    ben,
    command,
    given,
    project_settings,
    refused,
    upsert,
)

D = Decimal
paused = command("update-member-status", userId="ann", status="paused")
over_ten = condition("amount", "greater_than", 10)


def purchase(amount: Any = None, **metadata: Any) -> Sent:
    """A purchase of Ann's; no amount where it is None."""
    known = {} if amount is None else {"amount": amount}
    return event("purchase", metadata=known | metadata)


# Points.


@pytest.mark.parametrize(
    ("amount", "reward", "points"),
    [
        (D("49.99"), 2, 100),
        (D("0.25"), 2, 1),  # half up
        (D("0.2499"), 2, 0),
        (D("1.5"), 1, 2),
        (D("2.5"), 1, 3),
        (3, D("0.5"), 2),
        (-10, 2, 0),
        (10, -2, 0),
        (-10, -2, 20),
        (0, 2, 0),
        (D("0.1"), 5, 1),
        (D("99999999.999999999"), 1, 100_000_000),
    ],
)
def test_a_transaction_gives_its_value_times_the_reward(
    amount: Any, reward: Any, points: int
) -> None:
    definition = purchase_of(reward={"default": reward})
    expected = [logged(points)] + ([earned(points)] if points else [])
    given(ann, definition).when(purchase(amount)).then(*expected)


@pytest.mark.parametrize("amount", [None, "49.99", True, [5], {"a": 5}])
def test_a_transaction_without_a_number_is_logged_without_points(amount: Any) -> None:
    given(ann, purchase_of()).when(purchase(amount)).then(logged(0, conditionReached=True))


def test_a_maximum_caps_what_a_transaction_gives() -> None:
    definition = purchase_of(maximumReward=150)
    given(ann, definition).when(purchase(74), purchase(75), purchase(76)).then(
        *[logged(148), earned(148), logged(150), earned(150), logged(150), earned(150)]
    )


@pytest.mark.parametrize("type_", ["FIXED", "CONDITIONAL"])
@pytest.mark.parametrize(("reward", "points"), [(5, 5), (D("2.5"), 3), (D("2.4"), 2), (0, 0)])
def test_other_events_give_the_reward_itself(type_: str, reward: Any, points: int) -> None:
    definition = event_of(type=type_, reward={"default": reward}, maximumReward=1)
    expected = [logged(points)] + ([earned(points)] if points else [])
    given(ann, definition).when(event()).then(*expected)


def test_an_event_that_missed_its_conditions_is_logged_without_points() -> None:
    given(ann, purchase_of(conditions=over_ten)).when(purchase(10), purchase(11)).then(
        logged(0, conditionReached=False), logged(22, conditionReached=True), earned(22)
    )


@pytest.mark.parametrize(
    ("usergroup", "group", "points"),
    [
        (None, "default", 2),
        ("gold", "gold", 10),
        (["gold"], "gold", 10),
        (["unknown", "vip", "gold"], "vip", 7),
        (["default", "gold"], "default", 2),
        ("unknown", "default", 2),
        ([], "default", 2),
        ([3, None, {"a": 1}, "gold"], "gold", 10),
        (7, "default", 2),
        ({"gold": 1}, "default", 2),
    ],
)
def test_the_group_is_the_first_one_named_that_has_a_reward(
    usergroup: Any, group: str, points: int
) -> None:
    definition = event_of(reward={"default": 2, "gold": 10, "vip": 7})
    metadata = {} if usergroup is None else {"usergroup": usergroup}
    given(ann, definition).when(event(metadata=metadata)).then(
        logged(points, userGroupId=group), earned(points, userGroupId=group)
    )


@pytest.mark.parametrize("usergroup", ["gold", ["gold", *["unknown"] * 20]])
@pytest.mark.parametrize(
    ("groups", "group"), [(["gold"], "gold"), (["vip"], "default"), ([], "default")]
)
def test_an_end_user_s_group_counts_only_where_the_member_is_in_it(
    groups: list[str], group: str, usergroup: Any
) -> None:
    definition = event_of(reward={"default": 2, "gold": 10, "vip": 7})
    named = {"usergroup": usergroup}
    member = upsert("ann", groups=groups)
    happened = given(member, definition).when(event(metadata=named, byEndUser=True))
    assert happened.of("event.logged")[0]["userGroupId"] == group
    backend = given(member, definition).when(event(metadata=named))
    assert backend.of("event.logged")[0]["userGroupId"] == "gold"


def test_a_paused_member_s_event_is_logged_and_moves_nothing() -> None:
    world = given(ann, event_of(limit=1), paused)
    world.when(event()).then(logged(0))
    live = command("update-member-status", userId="ann", status="live")
    world.and_given(live).when(event()).then(logged(5, limitReached=False), earned())


# Limits.


def test_a_limit_is_first_processed_first_served() -> None:
    happened = given(ann, event_of(limit=2)).when(event(), event(), event())
    happened.then(
        *[logged(5, limitReached=False), earned(), logged(5, limitReached=False), earned()],
        logged(0, limitReached=True, conditionReached=True, limit=2),
    )
    messages = [body["message"] for _, body in happened.answers]
    assert messages == ["Event erfolgreich geloggt"] * 2 + ["Event Limit erreicht"]


def test_a_limit_is_a_member_s_and_an_event_s_own() -> None:
    world = given(ann, ben, event_of(limit=1), event_of("call", limit=1), event())
    world.when(event(userId="ben"), event("call")).then(logged(), earned(), logged(), earned())


@pytest.mark.parametrize(
    ("period", "first", "same", "other"),
    [
        ("daily", "2026-11-19", "2026-11-19T23:59:59Z", "2026-11-20"),
        ("weekly", "2026-11-09", "2026-11-15", "2026-11-16"),
        ("monthly", "2026-10-01", "2026-10-31", "2026-11-01"),
        ("unlimited", "2024-11-19", "2026-11-19", None),
    ],
)
def test_a_limit_holds_for_the_period_of_the_event_s_own_time(
    period: str, first: str, same: str, other: str | None
) -> None:
    world = given(ann, event_of(limit=1, limitPeriod=period), visit(first))
    world.when(visit(same).arriving(NOW)).then(logged(0, limitReached=True))
    if other is not None:
        world.when(visit(other).arriving(NOW)).then(logged(5, limitReached=False), earned())
        late = visit(first).arriving(NOW)
        world.when(late).then(logged(0, limitReached=True))


def test_a_limit_without_a_period_holds_for_life() -> None:
    given(ann, event_of(limit=1), visit("2020-01-01")).when(visit("2026-01-01")).then(
        logged(0, limitReached=True)
    )


def test_the_days_of_a_limit_are_the_projects() -> None:
    berlin = project_settings(timezone="Europe/Berlin")
    world = given(ann, berlin, event_of(limit=1, limitPeriod="daily"))
    world.when(
        visit("2026-10-24T22:00:00Z"), visit("2026-10-25T22:59:59Z"), visit("2026-10-25T23:00:00Z")
    ).then(*[logged(5), earned(), logged(0, limitReached=True), logged(5), earned()])


def test_conditions_and_limit_are_told_apart() -> None:
    world = given(ann, purchase_of(conditions=over_ten, limit=1))
    world.when(purchase(1)).then(logged(0, conditionReached=False, limitReached=False))
    world.when(purchase(20)).then(logged(40, conditionReached=True, limitReached=False), earned(40))
    world.when(purchase(20)).then(logged(0, conditionReached=True, limitReached=True))
    world.when(purchase(1)).then(logged(0, conditionReached=False, limitReached=True))


def test_a_limit_that_was_raised_has_room_again() -> None:
    world = given(ann, event_of(limit=1), event())
    world.when(event()).then(logged(0, limitReached=True))
    world.and_given(event_of(limit=2)).when(event()).then(logged(5), earned())


@pytest.mark.parametrize("type_", ["FIXED", "CONDITIONAL"])
def test_a_reward_too_large_to_be_counted_is_refused(type_: str) -> None:
    largest = MAX_POINTS
    world = given(ann, event_of(type=type_, reward={"default": largest}))
    world.when(event()).then(logged(largest), earned(largest))
    above = event_of(type=type_, reward={"default": largest + 1})
    world.and_given(above).when(event()).then(refused("invalid"))


def test_a_value_that_leads_to_too_many_points_is_refused_and_takes_no_slot() -> None:
    world = given(ann, purchase_of(limit=1))
    world.when(purchase(2**53)).then(refused("invalid", "metadata.amount"))
    world.when(purchase(1)).then(logged(2), earned(2))
    capped = purchase_of(maximumReward=100)
    given(ann, capped).when(purchase(2**60)).then(logged(100), earned(100))
