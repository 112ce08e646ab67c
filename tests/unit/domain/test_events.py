"""Events: what is answered, what is refused, and what comes twice (`schemas/README.md#events`)."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from processor.domain.state_kinds import answer_key
from schemas import ids, topics
from schemas.definitions import decode_numbers
from tests.event_spec import (
    condition,
    earned,
    event,
    event_of,
    logged,
    purchase_of,
    raw_event,
    visit,
)
from tests.spec import (
    ANN,
    NOW,
    PROJECT,
    Partition,
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


def with_metadata(text: str) -> Sent:
    """A visit of Ann's whose metadata are exactly this text."""
    return raw_event('{"eventId":"visit","userId":"ann","metadata":' + text + "}")


# What is answered.


def test_an_event_is_answered_as_the_seed_prints_it() -> None:
    seed = {
        "amount": D("49.99"),
        "currency": "EUR",
        "usergroup": ["default"],
        "source": "web",
    }
    definition = purchase_of(title="Purchase completed", limit=10, maximumReward=1000)
    happened = given(upsert("user-123"), definition.but(reward={"default": 1})).when(
        event("purchase", userId="user-123", metadata=seed)
    )
    assert happened.answers == [
        (
            200,
            {
                "statusCode": 200,
                "message": "Event erfolgreich geloggt",
                "data": {
                    "userId": "user-123",
                    "eventId": "purchase",
                    "points": 50,
                    "type": "TRANSACTION",
                    "title": "Purchase completed",
                    "limit": 10,
                    "maximumReward": 1000,
                    "metadata": seed,
                    "conditionReached": True,
                    "limitReached": False,
                    "userGroupId": "default",
                },
            },
        )
    ]
    names = list(happened.answers[0][1]["data"])
    assert names[:4] == ["userId", "eventId", "points", "type"]


def test_what_an_event_does_not_have_is_null_and_its_metadata_empty() -> None:
    happened = given(ann, event_of()).when(event())
    data = happened.answers[0][1]["data"]
    assert (data["limit"], data["maximumReward"], data["metadata"]) == (None, None, {})


def test_the_result_has_what_the_answer_has_and_when_it_was() -> None:
    berlin = project_settings(timezone="Europe/Berlin")
    late = event("visit", "2026-11-20T23:30:00Z", ip="192.0.2.1", idempotencyKey="k")
    given(ann, berlin, event_of(challengeGroup="spring")).when(late).then(
        logged(
            5,
            id=ids.derive(f"{PROJECT}:event:{ANN}:k"),
            userId="ann",
            ownedById=ANN,
            eventId="visit",
            idempotencyKey="k",
            ip="192.0.2.1",
            challengeGroup="spring",
            occurredAt="2026-11-20T23:30:00Z",
            createdAt=NOW,
            localDate="2026-11-21",
            localHour=0,
        ),
        earned(5),
    )


def test_an_event_without_a_time_happened_when_its_record_came() -> None:
    given(ann, event_of()).when(event()).then(logged(occurredAt=NOW), earned(occurredAt=NOW))


@pytest.mark.parametrize(
    ("moment", "day", "hour"),
    [
        ("2026-10-25T00:30:00Z", "2026-10-25", 2),
        ("2026-10-25T01:30:00Z", "2026-10-25", 2),  # the hour that comes twice
        ("2026-03-29T01:00:00Z", "2026-03-29", 3),  # after the hour that does not come
        ("2026-12-31T23:00:00Z", "2027-01-01", 0),
    ],
)
def test_the_day_and_the_hour_are_those_on_the_projects_wall(
    moment: str, day: str, hour: int
) -> None:
    berlin = project_settings(timezone="Europe/Berlin")
    given(ann, berlin, event_of()).when(visit(moment)).then(
        logged(localDate=day, localHour=hour), earned()
    )


# What is refused, and in which order.


def test_what_is_refused_is_said_in_the_order_of_the_contract() -> None:
    fields = [{"key": "amount", "type": "number", "required": True}]
    wrong = event("purchase", userId="nobody", withApiKey=False, metadata={"amount": "much"})
    inactive = purchase_of(status="INACTIVE", requiresApiKey=True, metadataFields=fields)
    world = given(event_of())
    world.when(wrong).then(refused("unknown_event", "eventId")).answering((404, {}))
    world.and_given(inactive).when(wrong).then(refused("inactive", "eventId")).answering((400, {}))
    locked = inactive.but(status="ACTIVE")
    assert world.and_given(locked).when(wrong).answers[0][0] == 403
    unlocked = locked.but(requiresApiKey=False)
    world.and_given(unlocked).when(wrong).then(refused("unknown_member", "userId")).answering(
        (404, {})
    )
    world.and_given(upsert("nobody")).when(wrong).then(
        refused("invalid", "metadata.amount")
    ).answering((400, {}))


def test_an_event_that_needs_an_api_key_takes_records_that_say_nothing_of_one() -> None:
    locked = event_of(requiresApiKey=True)
    given(ann, locked).when(event(), event(withApiKey=True)).then(
        logged(), earned(), logged(), earned()
    )


def test_a_deleted_member_is_unknown() -> None:
    gone = command("delete-member", memberId=ANN)
    given(ann, event_of(), gone).when(event()).then(refused("unknown_member", "userId"))


def test_an_event_of_another_project_s_member_is_unknown() -> None:
    other = command("upsert-member", externalId="ann", project="other")
    given(other, event_of()).when(event()).then(refused("unknown_member", "userId"))


def test_an_event_may_be_a_day_ahead_and_no_more() -> None:
    world = given(ann, event_of())
    world.when(event("visit", "2026-11-22T12:00:00Z")).then(logged(), earned())
    world.when(event("visit", "2026-11-22T12:00:00.001Z")).then(refused("invalid", "occurredAt"))


@pytest.mark.parametrize("moment", ["2026-11-21T10:00:00", "yesterday", ""])
def test_a_time_without_an_offset_is_refused(moment: str) -> None:
    given(ann, event_of()).when(event("visit", moment)).then(refused("invalid", "occurredAt"))


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("string", ["", "web"], [1, True, [], {}]),
        ("number", [0, D("-0.5"), 3], ["3", True, []]),
        ("boolean", [True, False], [0, 1, "true"]),
        ("array", [[], [1, "a"]], [{}, "[]"]),
        ("object", [{}, {"a": 1}], [[], "{}"]),
    ],
)
def test_metadata_are_of_the_types_that_the_event_says(
    type_: str, good: list[Any], bad: list[Any]
) -> None:
    world = given(ann, event_of(metadataFields=[{"key": "field", "type": type_}]))
    for value in good:
        world.when(event(metadata={"field": value})).then(logged(), earned())
    for value in bad:
        world.when(event(metadata={"field": value})).then(refused("invalid", "metadata.field"))


def test_a_field_may_be_missing_unless_it_is_required_and_others_are_free() -> None:
    optional = [{"key": "amount", "type": "number"}]
    required = [{"key": "amount", "type": "number", "required": True}]
    given(ann, event_of(metadataFields=optional)).when(event(), event(metadata={"free": [1]})).then(
        logged(), earned(), logged(), earned()
    )
    given(ann, event_of(metadataFields=required)).when(event(), event(metadata={"free": [1]})).then(
        refused("invalid", "metadata.amount"), refused("invalid", "metadata.amount")
    )


@pytest.mark.parametrize("metadata", ["[]", '"text"', "7", "true"])
def test_metadata_are_an_object(metadata: str) -> None:
    given(ann, event_of()).when(with_metadata(metadata)).then(refused("invalid", "metadata"))


@pytest.mark.parametrize(
    "metadata",
    [
        '{"n":1e400000}',
        '{"n":%s}' % ("9" * 5000),
        '{"n":NaN}',
        '{"s":"\\ud800"}',
        '{"s":"\\u0000"}',
        '{"a":%s}' % ("[" * 100_000 + "]" * 100_000),
    ],
    ids=["exponent", "digits", "nan", "surrogate", "nul", "deep"],
)
def test_metadata_that_nobody_could_keep_are_refused_and_stop_nothing(metadata: str) -> None:
    happened = given(ann, event_of()).when(with_metadata(metadata), event())
    assert [fact.type for fact in happened.facts if fact.type == "refused"] == ["refused"]
    assert len(happened.of("event.logged")) == 1
    assert happened.answers[0][0] == 400


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": {str(n): n for n in range(10_000)}},
        {str(n): n for n in range(10_000)},
        {"n": 10**30, "d": D("0.1234567890123456789")},
        {"🎉": "🎉"},
    ],
    ids=["within", "keys", "digits", "emoji"],
)
def test_large_metadata_are_kept_as_they_came(metadata: dict[str, Any]) -> None:
    given(ann, event_of()).when(event(metadata=metadata)).then(logged(metadata=metadata), earned())


def test_metadata_may_nest_a_hundred_deep() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    tree = condition("deep", "equals", deep)
    given(ann, event_of(conditions=tree)).when(event(metadata={"deep": deep})).then(
        logged(5, conditionReached=True), earned()
    )


def test_events_and_users_may_have_emoji_for_names() -> None:
    given(upsert("ann🎉"), event_of("🎈")).when(event("🎈", userId="ann🎉")).then(
        logged(userId="ann🎉", eventId="🎈"), earned(actionId="🎈")
    )


# Idempotency.


@pytest.mark.parametrize("within", [True, False])
def test_the_first_answer_is_kept_whatever_became_of_the_definition(within: bool) -> None:
    world = given(ann, event_of(limit=2 if within else 1, title='A "visit" in Köln'), event())
    sent = event(metadata={"b": 1, "a": [D("1.50")]}, idempotencyKey="k")
    first = world.when(sent)
    again = world.and_given(event_of(title="Another", type="FIXED", limit=7)).when(sent)
    assert again.answers == first.answers
    assert again.answers[0][1]["data"]["limitReached"] is not within


def test_an_entry_with_a_whole_answer_is_answered_with_it() -> None:
    """As versions before 0.5.0 wrote it."""
    world = given(ann, event_of(maximumReward=9))
    sent = event(metadata={"ö": D("0.10")}, idempotencyKey="k")
    first = world.when(sent)
    key = answer_key(ids.event_log_id(PROJECT, ANN, "k"))
    assert key in world.partition.entries
    body = msgspec.json.decode(first.effects.answers[0].value, type=dict[str, Raw])["body"]
    world.partition.entries[key] = b"[%b]" % bytes(body)
    assert [a.value for a in world.when(sent).effects.answers] == [
        a.value for a in first.effects.answers
    ]


def test_a_key_again_is_answered_with_the_first_answer_and_does_nothing() -> None:
    world = given(ann, purchase_of(limit=1))
    first = world.when(event("purchase", metadata={"amount": 5}, idempotencyKey="k"))
    first.then(logged(10), earned(10))
    world.and_given(purchase_of(title="Renamed", limit=3, reward={"default": 9}))
    again = world.when(event("purchase", metadata={"amount": 7}, idempotencyKey="k"))
    again.then()
    assert again.answers == first.answers
    assert again.counts["duplicates"] == 1


def test_a_key_is_of_one_member() -> None:
    given(ann, ben, event_of(), event(idempotencyKey="k")).when(
        event(idempotencyKey="k", userId="ben")
    ).then(logged(), earned())


def test_a_key_of_an_event_that_was_refused_stays_free() -> None:
    world = given(ann, event_of(status="INACTIVE"))
    world.when(event(idempotencyKey="k")).then(refused("inactive"))
    world.and_given(event_of()).when(event(idempotencyKey="k")).then(logged(), earned())


def test_a_key_within_one_chunk_counts_once() -> None:
    happened = given(ann, event_of()).when(event(idempotencyKey="k"), event(idempotencyKey="k"))
    happened.then(logged(), earned())
    assert happened.answers[0] == happened.answers[1]


def test_an_event_without_a_key_is_known_by_where_it_landed_first() -> None:
    home = Partition(number=0, partitions=2)
    away = Partition(number=1, partitions=2)
    name = next(f"m{n}" for n in range(9) if not _forwarded(f"m{n}"))
    for partition in (home, away):
        partition.define(event_of())
    home.fold(upsert(name))
    (forward,) = away.fold(event(userId=name)).forwards
    headers = tuple(forward.headers)
    there = home.fold(Sent(topics.FORWARDED, forward.value, forward.key, headers=headers))
    (result,) = there.of("event.logged")
    assert result["id"] == ids.derive(f"{PROJECT}:event:{topics.EVENTS}:1:0")


def _forwarded(name: str) -> bool:
    return topics.partition_for(ids.member_id(PROJECT, name), 2) != 0


def test_two_events_without_a_key_are_two() -> None:
    happened = given(ann, event_of()).when(event(), event())
    one, two = happened.of("event.logged")
    assert one["id"] != two["id"]


def test_the_sender_s_metadata_are_passed_on_to_the_last_digit() -> None:
    happened = given(ann, event_of()).when(
        with_metadata('{"amount":1.10,"n":100000000000000000001}')
    )
    (output,) = happened.outputs(topics.EVENT_RESULTS)
    metadata = decode_numbers(output.value)["data"]["metadata"]
    assert metadata == {"amount": D("1.10"), "n": 100000000000000000001}
    assert b'"amount":1.1' in output.value
    assert msgspec.json.decode(output.value)["data"]["eventId"] == "visit"


def test_null_metadata_are_none() -> None:
    given(ann, event_of()).when(with_metadata("null")).then(logged(metadata={}), earned())


@pytest.mark.parametrize(
    ("sender", "most"), [({}, 40), ({"byEndUser": False}, 40), ({"byEndUser": True}, 20)]
)
def test_metadata_are_as_large_as_the_project_takes(sender: dict[str, Any], most: int) -> None:
    """From wherever the event comes: Kafka and imports have no API in front."""
    limits = project_settings(limits={"metadataBytes": 40, "userMetadataBytes": 20})
    world = given(limits, event_of(), ann)
    fits = {"a": "x" * (most - len('{"a":""}'))}
    world.when(event(metadata=fits, **sender)).then(logged(5), earned(5, balance=5))
    happened = world.when(event(metadata=fits | {"b": 1}, **sender))
    happened.then(refused("too_large"))
    errors = [{"field": "metadata", "message": f"may have at most {most} bytes"}]
    happened.answering((413, {"code": "too_large", "errors": errors}))
