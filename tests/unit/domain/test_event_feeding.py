"""Events that feed challenges, as if a challenge log had come (`schemas/README.md#events`)."""

from decimal import Decimal
from typing import Any

import pytest

from schemas import ids
from tests.event_spec import condition, earned, event, event_of, logged, streak_of
from tests.spec import (
    ANN,
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    PROJECT,
    Defined,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    completed,
    given,
    granted,
    log,
    milestone,
    progress,
    reached,
    recorded,
)

D = Decimal
free = event_of(reward={"default": 0})


def fed(**fields: Any) -> Defined:
    """A challenge that sums the amounts of visits."""
    return challenge(**({"eventIds": ["visit"], "valueField": "amount"} | fields))


def amount(value: Any, **fields: Any) -> Sent:
    """A visit with an amount."""
    return event("visit", "2026-11-21T10:00:00Z", metadata={"amount": value}, **fields)


def test_an_event_becomes_a_challenge_log() -> None:
    happened = given(ann, free, fed()).when(amount(D("12.5"), idempotencyKey="k"))
    event_log = ids.derive(f"{PROJECT}:event:{ANN}:k")
    happened.then(
        logged(0, id=event_log),
        recorded(
            progress(D("12.5"), periodKey="2026-11-21"),
            id=ids.challenge_log_id(PROJECT, CHALLENGE, ANN, event_log),
            challengeId=CHALLENGE,
            ownedById=ANN,
            activityAt="2026-11-21T10:00:00Z",
            activityId="visit",
            activityValue=D("12.5"),
            uniqueIdentifier=event_log,
            status="live",
        ),
    )


def test_events_and_logs_move_the_same_progress() -> None:
    given(ann, free, fed(), log("a", 30)).when(amount(12), log("b", 8)).then(
        logged(0), recorded(progress(42)), recorded(progress(50))
    )


def test_completion_milestones_rewards_and_points_follow() -> None:
    definitions = (fed(pointsOnCompletion=50), milestone(60, points=7))
    given(ann, free, *definitions, amount(59)).when(amount(41)).then(
        logged(0),
        recorded(progress(100, "completed")),
        completed(),
        reached(),
        granted(),
        *(earned(50, actionId=f"challenge:{CHALLENGE}"), earned(7)),
    )


def test_the_event_itself_is_answered() -> None:
    happened = given(ann, free, fed()).when(amount(5))
    assert [status for status, _ in happened.answers] == [200]
    assert happened.answers[0][1]["message"] == "Event erfolgreich geloggt"


def test_without_a_value_field_each_event_counts_as_one() -> None:
    given(ann, free, fed(valueField=None)).when(amount(5), event()).then(
        logged(0), recorded(progress(1)), logged(0), recorded(progress(2))
    )


@pytest.mark.parametrize("value", ["12", True, None, [3], {"a": 1}, D("0.1234567891"), 10**20])
def test_a_sum_is_not_fed_by_what_is_no_amount(value: Any) -> None:
    given(ann, free, fed()).when(amount(value)).then(logged(0))


@pytest.mark.parametrize("value", ["12", None, 7])
def test_a_count_is_fed_whatever_the_value(value: Any) -> None:
    given(ann, free, fed(aggregationMethod="count")).when(amount(value)).then(
        logged(0), recorded(progress(1))
    )


def test_a_negative_value_is_a_correction() -> None:
    given(ann, free, fed(), amount(30)).when(amount(-50), amount(25)).then(
        logged(0), recorded(progress(0)), logged(0), recorded(progress(5))
    )


def test_one_event_feeds_every_challenge_that_names_it() -> None:
    other = challenge(OTHER_CHALLENGE, eventIds=["visit", "call"], aggregationMethod="count")
    happened = given(ann, free, fed(), other).when(amount(5))
    assert {record["challengeId"] for record in happened.of("challenge_log.recorded")} == {
        CHALLENGE,
        OTHER_CHALLENGE,
    }


def test_a_challenge_that_lists_activities_is_fed_by_its_events_all_the_same() -> None:
    given(ann, free, fed(activityIds=["purchase"])).when(amount(5)).then(
        logged(0), recorded(progress(5))
    )


def test_an_event_that_missed_its_conditions_feeds_nothing() -> None:
    over = free.but(conditions=condition("amount", "greater_than", 10))
    given(ann, over, fed()).when(amount(5)).then(logged(0, conditionReached=False))


def test_an_event_over_its_limit_feeds_all_the_same() -> None:
    given(ann, event_of(limit=1), fed(), amount(1)).when(amount(5)).then(
        logged(0, limitReached=True), recorded(progress(6))
    )


def test_a_paused_member_s_event_feeds_nothing() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    given(ann, free, fed(), paused).when(amount(5)).then(logged(0))


def test_a_paused_challenge_records_what_it_is_fed_and_counts_nothing() -> None:
    world = given(ann, free, fed(status="paused"))
    world.when(amount(5)).then(logged(0), recorded(challengeProgress=None))


def test_an_event_out_of_the_challenge_s_days_is_recorded_and_not_counted() -> None:
    starts = fed(startsAt="2026-11-21T10:00:01Z")
    given(ann, free, starts).when(amount(5)).then(logged(0), recorded(challengeProgress=None))


def test_an_event_counts_in_the_period_of_its_own_time() -> None:
    late = event("visit", "2026-11-19T10:00:00Z", metadata={"amount": 5})
    given(ann, free, fed(), amount(1)).when(late).then(
        logged(0), recorded(progress(5, periodKey="2026-11-19"))
    )


def test_a_key_again_feeds_nothing() -> None:
    world = given(ann, free, fed(), amount(5, idempotencyKey="k"))
    world.when(amount(5, idempotencyKey="k")).then()


@pytest.mark.parametrize(("first", "then"), [("sum", "count"), ("count", "sum")])
def test_a_challenge_whose_method_was_changed_is_fed_or_not_but_the_event_is_whole(
    first: str, then: str
) -> None:
    world = given(ann, free, fed(aggregationMethod=first), amount(5))
    happened = world.and_given(fed(aggregationMethod=then)).when(amount("much"))
    assert happened.of("refused") == []
    assert len(happened.of("event.logged")) == 1
    assert [status for status, _ in happened.answers] == [200]


def test_what_a_member_does_at_once_is_folded_in_one_chunk_as_in_several() -> None:
    definitions = (free, fed(pointsOnCompletion=5), milestone(10, id_=MILESTONE), streak_of())
    records = [ann, amount(5), amount(6), log("a", 90), amount(-1)]
    one, several = Partition(), Partition()
    for partition in (one, several):
        partition.define(*definitions)
    one.fold(*records)
    for record in records:
        several.fold(record)
    assert one.entries == several.entries
