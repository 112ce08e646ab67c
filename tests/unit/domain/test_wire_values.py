"""Times finer than a microsecond, null for nothing, and a value where none is wanted."""

from typing import Any

import msgspec
import pytest

from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from schemas import ids
from schemas.definitions import Challenge, DefinitionError, parse
from schemas.instants import parse_instant
from tests.event_spec import event, event_of
from tests.pathway_spec import PATHWAY, activity, did, enrolled, pathway
from tests.pathway_spec import completed as activity_completed
from tests.spec import (
    ANN,
    MILESTONE,
    PROJECT,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    progress,
    raw_log,
    recorded,
    refused,
    updated,
)

BOTH = pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
LAST = "2026-10-31T23:59:59.9999999Z"
CUT = "2026-10-31T23:59:59.999999Z"


@BOTH
@pytest.mark.parametrize("offset", ["Z", "+00:00"])
@pytest.mark.parametrize("digits", ["9999999", "999999999", "9" * 400])
def test_the_last_moment_of_a_month_stays_in_it(
    fast_path: MakeFastPath, digits: str, offset: str
) -> None:
    monthly = challenge(aggregationPeriod="monthly")
    at = f"2026-10-31T23:59:59.{digits}{offset}"
    world = given(monthly, ann, partition=Partition(fast_path=fast_path))
    world.when(log("a", 5, activityAt=at).with_headers()).then(
        recorded(progress(5, periodKey="2026-10", challengeStartedAt=CUT), activityAt=CUT)
    )


def test_an_event_s_time_and_an_activity_s_are_cut_off_too() -> None:
    world = given(ann, event_of(), pathway(activity()), enrolled)
    [made] = world.when(event("visit", LAST)).of("event.logged")
    assert (made["occurredAt"], made["localDate"], made["localHour"]) == (CUT, "2026-10-31", 23)
    [done] = world.when(did("1", LAST)).of("activity.completed")
    assert done["completedAt"] == CUT


def test_the_time_at_which_a_reward_expires_stays_in_its_year() -> None:
    reward = ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21")
    world = given(challenge(), milestone(5), ann, log("a", 5))
    expires = "2026-12-31T23:59:59.9999999Z"
    world.when(
        command("update-reward-log", userId="ann", rewardLogId=reward, rewardExpiryAt=expires)
    ).then(updated(rewardExpiryAt="2026-12-31T23:59:59.999999Z"))


def test_a_definition_s_times_are_cut_off() -> None:
    definition = parse("challenge", {**(challenge().fields or {}), "endsAt": LAST})
    assert isinstance(definition, Challenge)
    assert definition.ends_at == parse_instant(CUT)


def test_the_last_moment_of_the_calendar_is_one() -> None:
    assert parse_instant("9999-12-31T23:59:59.9999999Z").year == 9999


def test_what_others_wrote_stays_as_it_is() -> None:
    world = given(ann, event_of(), challenge())
    metadata = {"at": LAST, "none": None}
    [made] = world.when(event("visit", LAST, metadata=metadata)).of("event.logged")
    assert made["metadata"] == metadata
    world.when(log(LAST, 5, activityAt=LAST)).then(recorded(uniqueIdentifier=LAST, activityAt=CUT))


# A value where logs are counted.


@BOTH
@pytest.mark.parametrize("value", ['"n/a"', "[1]", "{}", "true", "1e999", "0.00000000001", "null"])
def test_a_count_ignores_the_value_whatever_it_is(fast_path: MakeFastPath, value: str) -> None:
    text = (log("a", 7).value or b"").replace(b":7", b":" + value.encode())
    counting = challenge(aggregationMethod="count")
    world = given(counting, ann, partition=Partition(fast_path=fast_path))
    world.when(raw_log(text).with_headers()).then(recorded(progress(1), activityValue=None))


def test_a_sum_refuses_what_is_no_amount() -> None:
    given(challenge(), ann).when(log("a", "n/a")).then(refused("invalid", "activityValue"))


def test_a_progress_that_began_as_a_count_ignores_it_still() -> None:
    world = given(challenge(aggregationMethod="count"), ann, log("a"), challenge())
    world.when(log("b", "n/a")).then(recorded(progress(2)))


# Null.


def with_nulls(record: Sent, *names: str) -> Sent:
    fields: dict[str, Any] = msgspec.json.decode(record.value or b"")
    return Sent(record.topic, msgspec.json.encode({**fields, **dict.fromkeys(names)}))


def test_null_counts_as_absent_in_records() -> None:
    world = given(challenge(), ann, event_of(), pathway(activity(by="check-in")), enrolled)
    world.when(with_nulls(log("a", 5), "project", "status", "ownedBy")).then(
        recorded(status="live")
    )
    nulls = ("project", "metadata", "occurredAt", "idempotencyKey", "ip", "withApiKey", "byEndUser")
    [made] = world.when(with_nulls(event(), *nulls)).of("event.logged")
    assert made["metadata"] == {}
    checkin = {"virtual": None, "distance": None, "guid": None, "eventID": None}
    world.when(with_nulls(did("1", checkin=checkin, score=None), "project")).then(
        activity_completed(activityId="a")
    )
    world.when(with_nulls(did("2"), "fulfilment"))


def test_null_counts_as_absent_in_commands() -> None:
    nulls = ("project", "status", "ifVersion", "mustExist")
    happened = given().when(with_nulls(ann, *nulls))
    assert [fact.type for fact in happened.facts] == ["member.upserted"]


def test_null_where_something_is_required_is_refused() -> None:
    given(challenge(), ann).when(with_nulls(log("a", 5), "activityAt")).then(
        refused("invalid", "activityAt")
    )


def test_null_counts_as_absent_in_definitions() -> None:
    fields = {"name": "A way", "id": PATHWAY, "activities": [activity(level=None, required=None)]}
    assert parse("pathway", fields) == parse("pathway", {**fields, "activities": [activity()]})
    plain = challenge().fields or {}
    nulls = dict.fromkeys(("status", "aggregationMethod", "description", "challengeGroup"))
    assert parse("challenge", {**plain, **nulls}) == parse("challenge", plain)
    with pytest.raises(DefinitionError, match="name"):
        parse("challenge", {**plain, "name": None})


# What is too far ahead, and what joins two ways.


def test_a_reward_is_issued_no_day_ahead_but_may_expire_then() -> None:
    reward = ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21")
    world = given(challenge(), milestone(5), ann, log("a", 5))

    def update(**fields: str) -> Sent:
        return command("update-reward-log", userId="ann", rewardLogId=reward, **fields)

    world.when(update(rewardIssuedAt="2026-11-22T12:00:01Z")).then(
        refused("invalid", "rewardIssuedAt")
    )
    world.when(update(rewardIssuedAt="2026-11-22T12:00:00Z")).then(updated())
    world.when(update(rewardExpiryAt="2030-01-01T00:00:00Z")).then(updated())


def test_ids_that_join_two_ways_differ() -> None:
    one = ids.activity_log_id(PROJECT, "a:b", "c", ANN, "1")
    assert one != ids.activity_log_id(PROJECT, "a", "b:c", ANN, "1")
    inner = ids.activity_log_id(PROJECT, "a", "x", ANN, f"y:{ANN}:1")
    assert inner != ids.activity_log_id(PROJECT, "a", f"x:{ANN}:y", ANN, "1")
    assert ids.activity_progress_id(PROJECT, "a:b", "c", ANN) != ids.activity_progress_id(
        PROJECT, "a", "b:c", ANN
    )


def test_other_activity_logs_keep_the_ids_they_have() -> None:
    named = f"{PROJECT}:activity_log:{PATHWAY}:a:{ANN}:1"
    assert ids.activity_log_id(PROJECT, PATHWAY, "a", ANN, "1") == ids.derive(named)


def test_both_of_two_logs_that_join_alike_are_folded() -> None:
    ways = [("a:b", "c"), ("a", "b:c")]
    rules = [pathway(activity(a)) for _, a in ways]
    world = given(ann, event_of())
    for (id_, a), rule in zip(ways, rules, strict=True):
        fields = {**(rule.fields or {}), "id": id_}
        world.partition.define(type(rule)("pathway", id_, fields))
        sent = msgspec.json.decode(did("1", id_=a).value or b"") | {"pathwayId": id_}
        happened = world.when(Sent("activity-logs", msgspec.json.encode(sent)))
        assert happened.counts["duplicates"] == 0
        assert len(happened.of("activity.completed")) == 1
