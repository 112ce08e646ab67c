"""Voids of events that moved more than points: the logs that they fed, and streaks besides."""

from decimal import Decimal
from typing import Any

from tests.event_spec import (
    STREAK,
    event,
    event_of,
    purchase_of,
    streak_milestone,
    streak_of,
)
from tests.spec import CHALLENGE, Given, Happened, Sent, ann, challenge, given, milestone, refused
from tests.void_spec import void, void_event

NOON = "2026-11-21T12:00:00Z"


def buy(amount: float, key: str) -> Sent:
    """A purchase that can be named."""
    return event("purchase", NOON, metadata={"amount": amount}, idempotencyKey=key)


def feeding(**fields: Any) -> Given:
    """Ann, purchases, and a challenge that they feed with their amounts."""
    known: dict[str, Any] = {
        "eventIds": ["purchase"],
        "valueField": "amount",
        "pointsOnCompletion": 50,
    }
    return given(ann, purchase_of(), challenge(CHALLENGE, **known | fields), milestone(100))


def values(happened: Happened) -> list[float]:
    """Return what the progress is after each log that was voided."""
    return [
        fact["challengeProgress"]["currentProgressValue"]
        for fact in happened.of("challenge_log.voided")
    ]


def test_the_log_that_an_event_fed_goes_back_by_its_portion() -> None:
    world = feeding(completionTargetValue=200).and_given(buy(60, "one"), buy(50, "two"))
    half = world.when(void_event("two", "half", portion=Decimal("0.5")))
    assert values(half) == [85]
    rest = world.when(void_event("two", "rest", portion=Decimal("0.5"), rewards="revoke"))
    assert values(rest) == [60]
    assert len(rest.of("reward.revoked")) == 1
    ((_, answer),) = rest.answers
    assert [each["currentProgressValue"] for each in answer["progress"]] == [60]
    assert [each["periodKey"] for each in answer["revoked"]] == ["2026-11-21"]


def test_a_completion_is_reopened_with_its_points() -> None:
    world = feeding(completionTargetValue=100).and_given(buy(60, "one"), buy(50, "two"))
    happened = world.when(void_event("two", rewards="revoke"))
    (reopened,) = happened.of("challenge.reopened")
    assert reopened["challengeProgressStatus"] == "in_progress"
    assert [entry["points"] for entry in happened.of("points.reversed")] == [-100, -50]
    (voided,) = happened.of("event.voided")
    assert {entry["voidedId"] for entry in happened.of("points.reversed")} == {voided["id"]}


def test_a_count_falls_when_the_event_is_voided_whole() -> None:
    counting: dict[str, Any] = {
        "aggregationMethod": "count",
        "completionTargetValue": 3,
        "valueField": None,
    }
    world = feeding(**counting).and_given(buy(60, "one"), buy(50, "two"))
    assert values(world.when(void_event("two", "half", portion=Decimal("0.5")))) == [2]
    assert values(world.when(void_event("two", "rest", portion=Decimal("0.5")))) == [1]


def test_a_fed_log_is_voided_with_its_event_only() -> None:
    world = feeding()
    fed = world.when(buy(60, "one")).of("challenge_log.recorded")[0]
    world.when(void("challenge_log", id=fed["id"])).then(refused("belongs_to_event", "id"))
    assert values(world.when(void_event("one", "whole"))) == [0]


def test_logs_streaks_and_slot_go_back_together() -> None:
    visits = event_of(reward={"default": 5}, limit=1, limitPeriod="daily")
    counted = challenge(CHALLENGE, eventIds=["visit"], completionTargetValue=2)
    world = given(ann, visits, counted, streak_of(), streak_milestone(1, id_=CHALLENGE[:-1] + "9"))
    world.and_given(event("visit", NOON, idempotencyKey="one"))
    happened = world.when(void_event("one", rewards="revoke"))
    assert [fact["streakId"] for fact in happened.of("streak.reverted")] == [STREAK]
    assert values(happened) == [0]
    assert len(happened.of("reward.revoked")) == 1
    again = world.when(event("visit", NOON, idempotencyKey="two"))
    assert [fact["points"] for fact in again.of("event.logged")] == [5]
    assert len(again.of("streak.advanced")) == len(again.of("reward.granted")) == 1
