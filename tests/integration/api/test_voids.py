"""Voids with worker and projector: answers, refusals and what reads show, over HTTP and Kafka."""

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from api.auth.credentials import Role
from schemas import ids, replies
from schemas.settings import Settings
from schemas.topics import MEMBER_COMMANDS, REPLIES, partition_for
from tests.integration.api.serving import Served, filters
from tests.integration.projections.driving import caught_up, query

PROJECT = "voiders"
LOGS = "/schema/challenge_log/record"
REWARDS = "/schema/reward_log/record"
WHY = {"reason": "sent back", "actor": "jo"}


@pytest_asyncio.fixture
async def voider(full_stack: Served) -> Any:
    """An admin of the project of these tests."""
    async with await full_stack.client(project=PROJECT) as client:
        yield client


async def challenge(admin: httpx.AsyncClient, *targets: float, **fields: Any) -> str:
    """Create a monthly challenge of 100, with milestones at these targets; return its id."""
    body = {"name": "Spend", "completionTargetValue": 100, "aggregationPeriod": "all_time"}
    made = await admin.post("/schema/challenge/record", json=body | fields)
    assert made.status_code == 201, made.text
    id_ = str(made.json()["id"])
    for target in targets:
        milestone = {
            "name": f"At {target}",
            "linkedSchemaRecordId": id_,
            "milestoneTargetValue": target,
            "points": 10,
        }
        answer = await admin.post("/schema/milestone/record", json=milestone)
        assert answer.status_code == 201, answer.text
    return id_


async def logged(
    admin: httpx.AsyncClient, challenge_id: str, identifier: str, value: float, user: str
) -> dict[str, Any]:
    """Return the answer of a log that is recorded."""
    body = {
        "challengeId": challenge_id,
        "ownedBy": {"externalId": user},
        "activityAt": "2026-11-20T10:00:00Z",
        "activityId": "bought",
        "uniqueIdentifier": identifier,
        "activityValue": value,
    }
    answer = await admin.post(LOGS, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def void(
    client: httpx.AsyncClient, path: str, identifier: str, **body: Any
) -> httpx.Response:
    """Call one of the paths that void."""
    return await client.post(f"{path}/void", json=WHY | {"uniqueIdentifier": identifier} | body)


async def voided(
    client: httpx.AsyncClient, path: str, identifier: str, **body: Any
) -> dict[str, Any]:
    """Return the answer of a void that is good."""
    answer = await void(client, path, identifier, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert list(found) == ["voided", "progress", "points", "revoked", "notRevoked"]
    return found


async def refused(
    client: httpx.AsyncClient, path: str, status: int, code: str, *field: str, **body: Any
) -> None:
    """Check a refusal, in the shape of the path's face."""
    answer = await void(client, path, "refused", **body)
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code), (path, body, said)
    if path.startswith("/schema"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert [each["field"] for each in said.get("errors", [])] == list(field)
    else:
        assert said["statusCode"] == status
        assert said["message"].startswith(field[0] + ": " if field else "")


async def points(client: httpx.AsyncClient, user: str) -> int:
    """Return a user's points."""
    found = await client.get(f"/user/{quote(user, safe='')}/points")
    return int(found.json()["points"])


async def test_a_log_is_voided_in_parts_and_shows_it(voider: httpx.AsyncClient) -> None:
    id_ = await challenge(voider)
    first = await logged(voider, id_, "order-1", 30.01, "parts")
    other = await logged(voider, id_, "order-2", 5, "parts")
    path = f"{LOGS}/{first['id']}"
    assert (await voider.get(path)).json() == first
    found = await voided(voider, path, "v-1", portion=0.5)
    assert found["voided"] == {
        "what": "challenge_log",
        "id": first["id"],
        "userId": "parts",
        "ownedById": first["ownedById"],
        "portion": 0.5,
        "voidedPortion": 0.5,
        "uniqueIdentifier": "v-1",
        **WHY,
        "voidedAt": found["voided"]["voidedAt"],
    }
    [progress] = found["progress"]
    assert (progress["challengeId"], progress["currentProgressValue"]) == (id_, 20.005)
    assert found["points"] == {"reversed": 0, "notRecovered": 0}
    assert (found["revoked"], found["notRevoked"]) == ([], [])
    shown = (await voider.get(path)).json()
    assert shown == first | {"voidedPortion": 0.5}
    assert (await voider.get(f"{LOGS}/{other['id']}")).json() == other

    assert await voided(voider, path, "v-1", portion=0.5) == found
    await refused(voider, path, 409, "over_voided", "portion")
    rest = await voided(voider, path, "v-2", portion=0.500000000)
    assert rest["voided"]["voidedPortion"] == 1
    assert rest["progress"][0]["currentProgressValue"] == 5
    await refused(voider, path, 409, "over_voided", "portion", portion=0.000000001)
    only_void = {"filters": filters(("voidedPortion", "greater_than", 0.9))}
    listed = (await voider.get(LOGS, params=only_void)).json()["data"]
    assert listed == [first | {"voidedPortion": 1}]
    by_name = {"fields": '["id","voidedPortion"]', **only_void}
    listed = (await voider.get(LOGS, params=by_name)).json()["data"]
    assert listed == [{"id": first["id"], "voidedPortion": 1}]
    named = {"fields": '["voidedPortion"]'}
    assert (await voider.get(f"{LOGS}/{other['id']}", params=named)).json() == {"voidedPortion": 0}

    body = {
        **{name: first[name] for name in ("challengeId", "ownedById", "activityAt")},
        **{name: first[name] for name in ("activityId", "uniqueIdentifier", "activityValue")},
    }
    again = await voider.post(LOGS, json=body)
    assert (again.status_code, again.json()["record"]) == (409, first)


@pytest.mark.parametrize("version", ["", "/v0", "/v1", "/v2", "/v3"])
async def test_a_log_is_voided_by_its_natural_key(voider: httpx.AsyncClient, version: str) -> None:
    user, id_ = f"natural{version}", await challenge(voider, aggregationMethod="count")
    for number in range(3):
        await logged(voider, id_, f"visit-{number}", 1, user)
    of = {"challengeId": id_.upper(), "uniqueIdentifier": "visit-1"}
    named = {"what": "challenge_log", "of": of}
    path = f"{version}/user/{quote(user, safe='')}"
    part = await voided(voider, path, "v", portion=0.9, **named)
    assert part["progress"] == []  # it is counted until it is wholly void
    rest = await voided(voider, path, "w", portion=0.1, **named)
    assert rest["progress"][0]["currentProgressValue"] == 2


async def test_rewards_stay_or_are_revoked_and_are_granted_again(
    voider: httpx.AsyncClient,
) -> None:
    id_ = await challenge(voider, 50, 100, pointsOnCompletion=7)
    await logged(voider, id_, "a", 40, "rewarded")
    crossing = await logged(voider, id_, "b", 60, "rewarded")
    half, whole = crossing["achievedMilestoneRewardLogs"]
    assert await points(voider, "rewarded") == 27
    issued = {"couponCode": "C", "rewardIssuedAt": "2026-11-21T10:00:00Z"}
    assert (await voider.patch(f"{REWARDS}/{half['id']}", json=issued)).status_code == 200

    found = await voided(voider, f"{LOGS}/{crossing['id']}", "keep", portion=0.1)
    assert found["progress"][0]["challengeProgressStatus"] == "in_progress"
    assert (found["revoked"], found["points"]["reversed"]) == ([], 0)
    assert (await voider.get(f"{REWARDS}/{whole['id']}")).json() == whole
    assert await points(voider, "rewarded") == 27

    found = await voided(
        voider, f"{LOGS}/{crossing['id']}", "revoke", portion=0.9, rewards="revoke"
    )

    def reference(reward: dict[str, Any]) -> dict[str, Any]:
        return {
            "rewardLogId": reward["id"],
            "milestoneId": reward["milestoneId"],
            "memberId": reward["ownedById"],
            "periodKey": "all",
        }

    assert found["revoked"] == [reference(whole)]
    assert found["notRevoked"] == [reference(half)]
    assert found["points"] == {"reversed": 17, "notRecovered": 0}
    assert await points(voider, "rewarded") == 10
    shown = (await voider.get(f"{REWARDS}/{whole['id']}")).json()
    assert (shown["status"], shown["version"]) == ("revoked", 2)
    refusal = await voider.patch(f"{REWARDS}/{whole['id']}", json={"couponCode": "X"})
    assert (refusal.status_code, refusal.json()["code"]) == (409, "reward_revoked")
    revoked = {
        "filters": filters(
            ("status", "equals", "revoked"), ("ownedById", "equals", whole["ownedById"])
        )
    }
    assert [each["id"] for each in (await voider.get(REWARDS, params=revoked)).json()["data"]] == [
        whole["id"]
    ]

    again = await logged(voider, id_, "c", 70, "rewarded")
    assert again["challengeProgress"]["challengeProgressStatus"] == "completed"
    [granted] = again["achievedMilestoneRewardLogs"]
    assert (granted["id"], granted["version"]) == (whole["id"], 3)
    shown = (await voider.get(f"{REWARDS}/{whole['id']}")).json()
    assert "status" not in shown
    assert shown == granted
    assert await points(voider, "rewarded") == 27
    patched = await voider.patch(f"{REWARDS}/{whole['id']}", json=issued)
    assert (patched.status_code, patched.json()["version"]) == (200, 4)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"reason": ""}, "reason"),
    ({"reason": None}, "reason"),
    ({"uniqueIdentifier": "x" * 513}, "uniqueIdentifier"),
    ({"portion": 0}, "portion"),
    ({"portion": -0.5}, "portion"),
    ({"portion": 1.1}, "portion"),
    ({"portion": "1"}, "portion"),
    ({"portion": None}, "portion"),
    ({"rewards": "all"}, "rewards"),
    ({"actor": "x" * 257}, "actor"),
    ({"dry": True}, "dry"),
    ({"project": "other"}, "project"),
]
BAD_OF_A_USER: list[tuple[dict[str, Any], str]] = [
    ({"what": "milestone", "of": {}}, "what"),
    ({"what": "void", "of": {"uniqueIdentifier": "u"}}, "what"),
    ({"what": "spend"}, "of"),
    ({"what": "spend", "of": {}}, "of.uniqueIdentifier"),
    ({"what": "spend", "of": {"uniqueIdentifier": "u", "more": 1}}, "of.more"),
    ({"what": "spend", "id": str(uuid.uuid4())}, "id"),
    ({"what": "event", "id": "7"}, "id"),
    (
        {"what": "event", "id": str(uuid.uuid4()), "of": {"idempotencyKey": "k"}},
        "of",
    ),
    (
        {"what": "challenge_log", "of": {"challengeId": "7", "uniqueIdentifier": "u"}},
        "of.challengeId",
    ),
    (
        {
            "what": "activity_log",
            "of": {"pathwayId": "p", "activityId": "a", "uniqueIdentifier": "u"},
            "portion": 0.5,
        },
        "portion",
    ),
]


async def test_a_bad_body_is_400_with_its_field_also_for_nothing(
    voider: httpx.AsyncClient,
) -> None:
    for fields, field in BAD:
        for path in (f"{LOGS}/{uuid.uuid4()}", "/event/nothing"):
            await refused(voider, path, 400, "invalid", field, **fields)
        good = {"what": "spend", "of": {"uniqueIdentifier": "u"}}
        await refused(voider, "/user/nobody", 400, "invalid", field, **good | fields)
    for fields, field in BAD_OF_A_USER:
        await refused(voider, "/user/nobody", 400, "invalid", field, **fields)
    answer = await voider.post(f"{LOGS}/{uuid.uuid4()}/void", content=b"{")
    assert answer.status_code == 400
    answer = await voider.post("/user/nobody/void?dry=true", json={})
    assert answer.status_code == 400


async def test_what_is_not_there_is_404(full_stack: Served, voider: httpx.AsyncClient) -> None:
    for id_ in (str(uuid.uuid4()), "not-an-id"):
        await refused(voider, f"{LOGS}/{id_}", 404, "unknown_log")
        await refused(voider, f"/event/{id_}", 404, "unknown_log")
    spend = {"what": "spend", "of": {"uniqueIdentifier": "none"}}
    for user in ("nobody", "x" * 257):
        await refused(voider, f"/user/{user}", 404, "unknown_member", **spend)
    id_ = await challenge(voider)
    log = await logged(voider, id_, "there", 1, "present")
    keys = {
        "challenge_log": {"challengeId": id_, "uniqueIdentifier": "none"},
        "event": {"idempotencyKey": "none"},
        "redemption": {"uniqueIdentifier": "none"},
        "spend": {"uniqueIdentifier": "none"},
        "capture": {"uniqueIdentifier": "none"},
        "activity_log": {"pathwayId": "p", "activityId": "a", "uniqueIdentifier": "none"},
    }
    for what, of in keys.items():
        await refused(voider, "/user/present", 404, "unknown_log", "of", what=what, of=of)
    async with await full_stack.client(project="elsewhere") as other:
        await refused(other, f"{LOGS}/{log['id']}", 404, "unknown_log")
    answer = await voider.get(f"{LOGS}/{log['id']}/void")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


async def test_rights_come_before_anything_else(full_stack: Served) -> None:
    async with (
        await full_stack.client(Role.PRODUCER, PROJECT) as producer,
        await full_stack.client(Role.ANALYST, PROJECT) as analyst,
        full_stack.guest() as guest,
        await full_stack.end_user("righteous", PROJECT) as user,
        await full_stack.end_user("boss", PROJECT, role="admin") as boss,
    ):
        for path in (f"{LOGS}/none", "/event/none", "/user/righteous"):
            await refused(guest, path, 401, "unauthenticated", bad=1)
            for client in (producer, analyst, user):
                await refused(client, path, 403, "forbidden", bad=1)
        await refused(boss, f"{LOGS}/none", 403, "forbidden", bad=1)
        await refused(boss, "/event/none", 404, "unknown_log")


async def asked(
    settings: Settings, commands: list[dict[str, Any]], *, asking: bool = True
) -> list[tuple[int, dict[str, Any]]]:
    """Write voids of one member over Kafka; return the replies where they ask for one."""
    place = TopicPartition(settings.topic(REPLIES), 0)
    found: dict[bytes, tuple[int, dict[str, Any]]] = {}
    async with (
        AIOKafkaConsumer(**settings.kafka_options(), isolation_level="read_committed") as consumer,
        AIOKafkaProducer(**settings.kafka_options()) as producer,
    ):
        consumer.assign([place])
        await consumer.seek_to_end(place)
        for number, command in enumerate(commands):
            member_id = ids.member_id(PROJECT, command["userId"])
            await producer.send_and_wait(
                settings.topic(MEMBER_COMMANDS),
                json.dumps({"type": "void", "project": PROJECT, **command}).encode(),
                member_id.encode(),
                partition=partition_for(member_id, settings.partitions),
                headers=replies.headers_for(place.topic, 0, b"v%d" % number) if asking else [],
            )
        async with asyncio.timeout(120):
            while asking and len(found) < len(commands):
                records = (await consumer.getmany(place, timeout_ms=500)).get(place, ())
                for record in records:
                    key = replies.correlation_id_of(record.headers) or b""
                    if key.startswith(b"v"):
                        said = json.loads(record.value)
                        found[key] = (said["status"], said["body"])
    return [found[b"v%d" % number] for number in range(len(found))]


async def test_voids_over_kafka_are_answered_alike_or_become_dead_letters(
    full_stack: Served, voider: httpx.AsyncClient
) -> None:
    settings, id_ = full_stack.settings, await challenge(voider)
    log = await logged(voider, id_, "a", 30, "over-kafka")
    common = {"userId": "over-kafka", "reason": "r", "what": "challenge_log"}
    by_id = {**common, "id": log["id"]}
    by_key = {**common, "of": {"challengeId": id_, "uniqueIdentifier": "none"}}
    commands = [
        {**by_id, "uniqueIdentifier": "k-1", "portion": 0.25},
        {**by_id, "uniqueIdentifier": "k-1", "portion": 0.25},
        {**by_id, "uniqueIdentifier": "k-2"},
        {**by_key, "uniqueIdentifier": "k-3"},
        {**by_id, "uniqueIdentifier": "k-4", "portion": 2},
        {**by_id, "uniqueIdentifier": "k-5", "userId": "nobody-at-all"},
    ]
    answers = await asked(settings, commands)
    assert [status for status, _ in answers] == [200, 200, 409, 404, 400, 404]
    assert answers[0] == answers[1]
    assert answers[0][1]["progress"][0]["currentProgressValue"] == 22.5
    reasons = ["over_voided", "unknown_log", "invalid", "unknown_member"]
    assert [body["code"] for _, body in answers[2:]] == reasons
    await asked(settings, commands[:-1], asking=False)
    last = (await voided(voider, f"{LOGS}/{log['id']}", "k-6", portion=0.75))["voided"]
    assert last["voidedPortion"] == 1
    await caught_up(settings)
    letters = query(
        settings,
        "SELECT reason, count(*) FROM milestream.dead_letters WHERE project = %s AND key = %s "
        "GROUP BY 1",
        *(PROJECT, log["ownedById"]),
    )
    assert dict(letters) == dict.fromkeys(reasons[:3], 2)
    rows = query(
        settings,
        "SELECT what, id::text, portion::float, reason, actor, unique_identifier "
        "FROM milestream.voids WHERE project = %s AND member_id = %s ORDER BY at, sequence",
        *(PROJECT, log["ownedById"]),
    )
    assert rows == [
        ("challenge_log", log["id"], 0.25, "r", None, "k-1"),
        ("challenge_log", log["id"], 0.75, "sent back", "jo", "k-6"),
    ]
