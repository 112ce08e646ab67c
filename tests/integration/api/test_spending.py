"""Points that are spent, held, captured, released and adjusted: answers and refusals, over HTTP and
over Kafka."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from api.auth.credentials import Role
from schemas import ids, replies
from schemas.settings import Settings
from schemas.topics import MEMBER_COMMANDS, POINTS_EVENTS, REPLIES, partition_for
from tests.integration.api.serving import PROJECT, Served, run
from tests.integration.projections.driving import caught_up, query

MOVES = ("spend", "hold", "hold/h/capture", "hold/h/release", "adjust")


async def made(admin: httpx.AsyncClient, user: str, points: int = 0, group: str = "") -> str:
    """Make a member with as many points."""
    answer = await admin.post("/schema/member/record", json={"externalId": user})
    assert answer.status_code == 201, answer.text
    if points:
        body = {"points": points, "uniqueIdentifier": "opening", "reason": "opening balance"}
        await good(admin, user, "adjust", **body, **({"challengeGroup": group} if group else {}))
    return user


async def move(
    client: httpx.AsyncClient, user: str, what: str, version: str = "", **body: Any
) -> httpx.Response:
    """Call one of the paths that move points."""
    return await client.post(f"{version}/user/{quote(user, safe='')}/{what}", json=body)


async def good(client: httpx.AsyncClient, user: str, what: str, **body: Any) -> dict[str, Any]:
    """Return the answer of a call that is good."""
    answer = await move(client, user, what, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert (found["userId"], found["uniqueIdentifier"]) == (user, body["uniqueIdentifier"])
    return found


async def refused(
    client: httpx.AsyncClient, user: str, what: str, status: int, code: str, **body: Any
) -> dict[str, Any]:
    """Check a refusal, and return what it says."""
    answer = await move(client, user, what, **body)
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    assert (said["statusCode"], said["code"]) == (status, code), said
    if code != "insufficient_points":
        assert said.keys() == {"statusCode", "message", "code"}
    return said


async def purse(client: httpx.AsyncClient, user: str) -> tuple[int, int, int]:
    """Return a user's points, how many are held, and how many are available."""
    found = (await client.get(f"/user/{quote(user, safe='')}/points")).json()
    return found["points"], found["held"], found["available"]


@pytest.mark.parametrize("version", ["", "/v0", "/v1", "/v2", "/v3"])
async def test_points_are_spent_once_and_the_repeat_has_the_first_answer(
    admin: httpx.AsyncClient, version: str
) -> None:
    user = await made(admin, f"spender{version}", 100)
    body = {"points": 30, "uniqueIdentifier": "mug-1", "reason": "a mug"}
    first = await move(admin, user, "spend", version, **body)
    assert first.status_code == 200
    assert first.json() == {
        "userId": user,
        "uniqueIdentifier": "mug-1",
        "challengeGroup": "_default",
        "points": 30,
        "balance": 70,
        "held": 0,
        "available": 70,
    }
    await good(admin, user, "spend", points=1, uniqueIdentifier="mug-2")
    again = await move(admin, user, "spend", version, **body)
    assert (again.status_code, again.content) == (200, first.content)
    assert await purse(admin, user) == (69, 0, 69)


async def test_too_few_points_are_refused_whole_and_the_identifier_stays_free(
    admin: httpx.AsyncClient,
) -> None:
    user = await made(admin, "short", 50)
    await good(admin, user, "hold", points=20, uniqueIdentifier="h")
    for what in ("spend", "hold"):
        said = await refused(
            admin, user, what, 409, "insufficient_points", points=31, uniqueIdentifier="later"
        )
        assert (said["asked"], said["available"]) == (31, 30)
        assert list(said) == ["statusCode", "message", "code", "asked", "available"]
    said = await refused(
        admin, user, "adjust", 409, "insufficient_points",
        points=-31, uniqueIdentifier="later", reason="a fine",
    )  # fmt: skip
    assert (said["asked"], said["available"]) == (31, 30)
    assert await purse(admin, user) == (50, 20, 30)
    assert (await good(admin, user, "spend", points=30, uniqueIdentifier="later"))["balance"] == 20


async def test_a_hold_is_captured_in_part_and_the_rest_is_free_again(
    admin: httpx.AsyncClient,
) -> None:
    user = await made(admin, "crm/7/hold", 100)
    now = datetime.now(UTC)
    hold = "order/7 ü?%"
    held = await good(admin, user, "hold", points=60, uniqueIdentifier=hold)
    assert (held["points"], held["balance"], held["held"], held["available"]) == (60, 100, 60, 40)
    until = datetime.fromisoformat(held["until"])
    assert timedelta(days=6, hours=23) < until - now < timedelta(days=7, hours=1)
    assert await good(admin, user, "hold", points=60, uniqueIdentifier=hold) == held
    capture = f"hold/{quote(hold, safe='')}/capture"
    await refused(admin, user, capture, 400, "invalid", points=61, uniqueIdentifier="c")
    captured = await good(admin, user, capture, points=25, uniqueIdentifier="c")
    assert captured == {
        "userId": user,
        "uniqueIdentifier": "c",
        "challengeGroup": "_default",
        "points": 25,
        "balance": 75,
        "held": 0,
        "available": 75,
    }
    assert await good(admin, user, capture, points=25, uniqueIdentifier="c") == captured
    await refused(admin, user, capture, 409, "hold_closed", uniqueIdentifier="another")
    release = f"hold/{quote(hold, safe='')}/release"
    await refused(admin, user, release, 409, "hold_closed", uniqueIdentifier="c")
    assert await good(admin, user, "hold", points=60, uniqueIdentifier=hold) == held
    assert await purse(admin, user) == (75, 0, 75)


async def test_a_hold_is_released_or_captured_whole(admin: httpx.AsyncClient) -> None:
    user = await made(admin, "holder", 100)
    until = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    for number, identifier in enumerate(("a", "b")):
        held = await good(
            admin, user, "hold",
            points=30 + number, uniqueIdentifier=identifier, until=until.isoformat(),
        )  # fmt: skip
        assert datetime.fromisoformat(held["until"]) == until
    assert await purse(admin, user) == (100, 61, 39)
    released = await good(admin, user, "hold/a/release", uniqueIdentifier="r")
    assert (released["points"], released["balance"], released["held"]) == (30, 100, 31)
    captured = await good(admin, user, "hold/b/capture", uniqueIdentifier="r")
    assert (captured["points"], captured["balance"], captured["available"]) == (31, 69, 69)
    await refused(admin, user, "hold/c/capture", 404, "unknown_hold", uniqueIdentifier="x")
    await refused(admin, user, "hold/c/release", 404, "unknown_hold", uniqueIdentifier="x")
    long = "hold/" + "x" * 513 + "/capture"
    await refused(admin, user, long, 404, "unknown_hold", uniqueIdentifier="x")


async def test_an_adjustment_gives_and_takes_in_its_group(admin: httpx.AsyncClient) -> None:
    user = await made(admin, "adjusted")
    at = "2026-01-01T00:00:00Z"
    given = await good(
        admin, user, "adjust", points=10**12, uniqueIdentifier="a", reason="moved here",
        actor="joe@shop", challengeGroup="vip", occurredAt=at,
    )  # fmt: skip
    assert (given["points"], given["balance"], given["challengeGroup"]) == (10**12, 10**12, "vip")
    taken = await good(
        admin, user, "adjust", points=-1, uniqueIdentifier="b", reason="r", challengeGroup="vip"
    )
    assert (taken["points"], taken["balance"]) == (-1, 10**12 - 1)
    found = (await admin.get(f"/user/{user}/points")).json()
    vip = {"held": 0, "pending": 0, "expiring": []}
    assert found == {
        "userId": user,
        "points": 10**12 - 1,
        "held": 0,
        "available": 10**12 - 1,
        "groups": {"vip": 10**12 - 1},
        "wallets": {"vip": {"balance": 10**12 - 1, "available": 10**12 - 1, **vip}},
    }


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("spend", {"points": 0}, "points"),
    ("spend", {"points": -1}, "points"),
    ("spend", {"points": 10**12 + 1}, "points"),
    ("spend", {"points": 1.5}, "points"),
    ("spend", {"points": "1"}, "points"),
    ("spend", {"points": None}, "points"),
    ("spend", {"uniqueIdentifier": ""}, "uniqueIdentifier"),
    ("spend", {"uniqueIdentifier": "x" * 513}, "uniqueIdentifier"),
    ("spend", {"uniqueIdentifier": None}, "uniqueIdentifier"),
    ("spend", {"challengeGroup": "x" * 257}, "challengeGroup"),
    ("spend", {"reason": "x" * 257}, "reason"),
    ("spend", {"reason": "a\x00b"}, "reason"),
    ("spend", {"userId": "bad"}, "userId"),
    ("spend", {"actor": "bad"}, "actor"),
    ("spend", {"project": "other"}, "project"),
    ("hold", {"until": "2026-11-21T10:00:00"}, "until"),
    ("hold", {"until": "2026-11-21T10:00:00Z"}, "until"),
    ("hold", {"until": "2099-01-01T00:00:00Z"}, "until"),
    ("hold/h/capture", {"points": 0}, "points"),
    ("hold/h/capture", {"holdIdentifier": "i"}, "holdIdentifier"),
    ("hold/h/release", {"points": 1}, "points"),
    ("adjust", {"points": 0, "reason": "r"}, "points"),
    ("adjust", {"points": -(10**12) - 1, "reason": "r"}, "points"),
    ("adjust", {}, "reason"),
    ("adjust", {"reason": ""}, "reason"),
    ("adjust", {"reason": "r", "occurredAt": "2099-01-01T00:00:00Z"}, "occurredAt"),
    (
        "adjust",
        {"points": -1, "reason": "r", "expiresAt": "2099-01-01T00:00:00Z"},
        "expiresAt",
    ),
    ("adjust", {"reason": "r", "expiresAt": "soon"}, "expiresAt"),
]


async def test_a_bad_body_is_400_with_its_field_also_for_nobody(admin: httpx.AsyncClient) -> None:
    for what, fields, field in BAD:
        body = body_of(what, uniqueIdentifier="u") | fields
        said = await refused(admin, "nobody-yet", what, 400, "invalid", **body)
        assert said["message"].startswith(f"{field}: "), (what, fields, said)
    answer = await admin.post("/user/nobody-yet/spend", content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    answer = await admin.post("/user/nobody-yet/spend?dry=true", json={})
    assert answer.status_code == 400


async def test_a_member_is_looked_at_before_its_points(admin: httpx.AsyncClient) -> None:
    spend = {"points": 5, "uniqueIdentifier": "u"}
    for user in ("unknown", "x" * 257, "un/known"):
        for what in MOVES:
            body = body_of(what, uniqueIdentifier="u", reason="r")
            await refused(admin, user, what, 404, "unknown_member", **body)
    user = await made(admin, "paused", 10)
    await good(admin, user, "hold", points=1, uniqueIdentifier="h")
    first = await good(admin, user, "spend", **spend)
    ids = (await admin.get("/schema/member/record", params={"limit": "1"})).json()["data"]
    path = f"/schema/member/record/{ids[0]['id']}"
    assert (await admin.patch(path, json={"status": "paused"})).status_code == 200
    await refused(admin, user, "spend", 409, "member_paused", points=99, uniqueIdentifier="v")
    await refused(admin, user, "hold", 409, "member_paused", points=99, uniqueIdentifier="v")
    assert await good(admin, user, "spend", **spend) == first
    captured = await good(admin, user, "hold/h/capture", uniqueIdentifier="c")
    assert captured["balance"] == 4
    given = await good(admin, user, "adjust", points=1, uniqueIdentifier="a", reason="r")
    assert given["balance"] == 5
    assert (await admin.delete(path)).status_code == 204
    await refused(admin, user, "spend", 404, "unknown_member", **spend)


async def test_rights_come_before_anything_else(full_stack: Served) -> None:
    async with (
        await full_stack.client() as admin,
        await full_stack.client(Role.PRODUCER) as producer,
        await full_stack.client(Role.ANALYST) as analyst,
        full_stack.guest() as guest,
        await full_stack.end_user("righteous") as user,
        await full_stack.end_user("boss", role="admin") as boss,
    ):
        for what in MOVES:
            await refused(guest, "unknown", what, 401, "unauthenticated")
            await refused(analyst, "unknown", what, 403, "forbidden")
            await refused(user, "righteous", what, 403, "forbidden")
        await refused(producer, "unknown", "adjust", 403, "forbidden")
        await made(admin, "righteous", 100)
        await good(producer, "righteous", "hold", points=3, uniqueIdentifier="p")
        await good(producer, "righteous", "hold/p/capture", points=1, uniqueIdentifier="p")
        await good(producer, "righteous", "hold", points=3, uniqueIdentifier="q")
        await good(producer, "righteous", "hold/q/release", uniqueIdentifier="p")
        await good(producer, "righteous", "spend", points=3, uniqueIdentifier="p")
        body = {"points": 1, "uniqueIdentifier": "b", "reason": "r"}
        assert (await good(boss, "righteous", "adjust", **body))["balance"] == 97


async def test_an_end_user_spends_its_own_where_its_project_lets_it(full_stack: Served) -> None:
    project = "spenders"
    async with (
        await full_stack.client(project=project) as admin,
        await full_stack.end_user("ann", project) as ann,
    ):
        for user in ("ann", "bob"):
            await made(admin, user, 10)
        body = {"points": 2, "uniqueIdentifier": "u"}
        await refused(ann, "ann", "spend", 403, "forbidden", **body)
        answer = await admin.put(f"/definitions/project/{project}", json={"memberSpend": True})
        assert answer.status_code == 201, answer.text
        assert (await good(ann, "ann", "spend", **body))["balance"] == 8
        assert (await good(ann, "ann", "hold", **body))["available"] == 6
        await refused(ann, "bob", "spend", 403, "forbidden", **body)
        for what in ("hold/u/capture", "hold/u/release"):
            await refused(ann, "ann", what, 403, "forbidden", uniqueIdentifier="u")
        await refused(ann, "ann", "adjust", 403, "forbidden", **body, reason="r")
        assert await purse(admin, "ann") == (8, 2, 6)


async def test_a_thousand_holds_are_open_and_no_more(admin: httpx.AsyncClient) -> None:
    user = await made(admin, "hoarder", 2_000)
    at_once = asyncio.Semaphore(50)

    async def hold(number: int) -> httpx.Response:
        async with at_once:
            return await move(admin, user, "hold", points=1, uniqueIdentifier=f"h-{number}")

    answers = await asyncio.gather(*(hold(number) for number in range(1_001)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 1_000 + [409]
    [full] = [answer.json() for answer in answers if answer.status_code == 409]
    assert full["code"] == "too_many_holds"
    assert await purse(admin, user) == (2_000, 1_000, 1_000)
    said = await refused(admin, user, "hold", 409, "too_many_holds", points=1, uniqueIdentifier="x")
    assert "1000" in said["message"]
    taken = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    await good(admin, user, f"hold/h-{taken}/release", uniqueIdentifier="r")
    await good(admin, user, "hold", points=1, uniqueIdentifier="x")


async def test_projects_know_nothing_of_each_others_points(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    user = await made(admin, "twofold", 10)
    async with await full_stack.client(project="elsewhere") as other:
        await refused(other, user, "spend", 404, "unknown_member", points=1, uniqueIdentifier="u")
        await made(other, user)
        await refused(
            other, user, "spend", 409, "insufficient_points", points=1, uniqueIdentifier="u"
        )
    assert await purse(admin, user) == (10, 0, 10)


COMMANDS: list[tuple[str, dict[str, Any], int, str]] = [
    ("spend-points", {"points": 11}, 409, "insufficient_points"),
    ("hold-points", {"points": 11}, 409, "insufficient_points"),
    ("adjust-points", {"points": -11, "reason": "r"}, 409, "insufficient_points"),
    ("capture-hold", {"holdIdentifier": "none"}, 404, "unknown_hold"),
    ("release-hold", {"holdIdentifier": "closed"}, 409, "hold_closed"),
    ("capture-hold", {"holdIdentifier": "open", "points": 6}, 400, "invalid"),
    ("adjust-points", {"points": 0, "reason": "r"}, 400, "invalid"),
    ("spend-points", {"points": 1, "userId": "paused-kafka"}, 409, "member_paused"),
]
"""What a member with 15 points, of which 5 are held, cannot do: status and code."""


async def written(settings: Settings, *, asking: bool) -> list[tuple[int, dict[str, Any]]]:
    """Write these commands over Kafka; return the replies where they ask for one."""
    member_id = ids.member_id(PROJECT, "over-kafka")
    replies_from = TopicPartition(settings.topic(REPLIES), 0)
    wanted = {b"%d" % number for number in range(len(COMMANDS))} if asking else set()
    found: dict[bytes, tuple[int, dict[str, Any]]] = {}
    async with (
        AIOKafkaConsumer(**settings.kafka_options(), isolation_level="read_committed") as consumer,
        AIOKafkaProducer(**settings.kafka_options()) as producer,
    ):
        consumer.assign([replies_from])
        await consumer.seek_to_end(replies_from)
        for number, (type_, fields, _, _) in enumerate(COMMANDS):
            named = {"type": type_, "project": PROJECT, "userId": "over-kafka"}
            command = {**named, "uniqueIdentifier": f"k-{number}", **fields}
            headers = replies.headers_for(replies_from.topic, 0, b"%d" % number)
            await producer.send_and_wait(
                settings.topic(MEMBER_COMMANDS),
                json.dumps(command).encode(),
                member_id.encode(),
                partition=partition_for(member_id, settings.partitions),
                headers=headers if asking else [],
            )
        async with asyncio.timeout(120):
            while found.keys() < wanted:
                for record in (await consumer.getmany(replies_from, timeout_ms=500)).get(
                    replies_from, ()
                ):
                    correlation_id = replies.correlation_id_of(record.headers)
                    if correlation_id in wanted:
                        said = json.loads(record.value)
                        found[correlation_id] = (said["status"], said["body"])
    return [found[b"%d" % number] for number in range(len(found))]


async def test_a_refusal_over_kafka_is_a_reply_or_an_event_or_a_dead_letter(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    user = await made(admin, "over-kafka", 15)
    await good(admin, user, "hold", points=5, uniqueIdentifier="open")
    await good(admin, user, "hold", points=1, uniqueIdentifier="closed")
    await good(admin, user, "hold/closed/release", uniqueIdentifier="r")
    await made(admin, "paused-kafka", 5)
    paused = ids.member_id(PROJECT, "paused-kafka")
    answer = await admin.patch(f"/schema/member/record/{paused}", json={"status": "paused"})
    assert answer.status_code == 200

    answers = await written(settings, asking=True)
    assert [(status, body["code"]) for status, body in answers] == [
        (status, code) for _, _, status, code in COMMANDS
    ]
    short = [body for _, body in answers if body["code"] == "insufficient_points"]
    assert [(body["asked"], body["available"]) for body in short] == [(11, 10)] * 3
    await caught_up(settings)
    letters = (
        "SELECT reason FROM milestream.dead_letters WHERE project = %s "
        "AND topic = 'member-commands' ORDER BY reason"
    )
    # A reply is the whole answer to what does not suffice; every other refusal is a dead letter.
    others = sorted(code for _, _, _, code in COMMANDS if code != "insufficient_points")
    asked_for = [reason for (reason,) in query(settings, letters, PROJECT)]
    assert await refused_events(settings) == []

    assert await written(settings, asking=False) == []
    assert await purse(admin, user) == (15, 5, 10)
    await caught_up(settings)
    unasked = [reason for (reason,) in query(settings, letters, PROJECT)]
    assert sorted(unasked) == sorted([*asked_for, *others])
    events = await refused_events(settings)
    assert [
        (event["command"], event["uniqueIdentifier"], event["asked"], event["available"])
        for event in events
    ] == [
        ("spend-points", "k-0", 11, 10),
        ("hold-points", "k-1", 11, 10),
        ("adjust-points", "k-2", 11, 10),
    ]


async def refused_events(settings: Settings) -> list[dict[str, Any]]:
    """Return the data of every `points.refused` of the member."""
    partition = partition_for(ids.member_id(PROJECT, "over-kafka"), settings.partitions)
    place = TopicPartition(settings.topic(POINTS_EVENTS), partition)
    found = []
    async with AIOKafkaConsumer(
        **settings.kafka_options(), isolation_level="read_committed"
    ) as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        consumer.seek(place, 0)
        async with asyncio.timeout(120):
            while await consumer.position(place) < end:
                for record in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
                    event = json.loads(record.value)
                    if event["type"] == "milestream.points.refused.v1":
                        found.append(event["data"])
    return found


async def defined(admin: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> None:
    """Put a definition in force."""
    answer = await admin.put(f"/definitions/{kind}/{id_}", json=fields)
    assert answer.status_code in (200, 201), answer.text


GIFT = {"title": "Gift", "type": "TRANSACTION", "rewardValueField": "n", "reward": {"default": 1}}


async def test_a_wallet_shows_what_waits_is_held_and_lapses_next(full_stack: Served) -> None:
    project = "wallets"
    async with await full_stack.client(project=project) as admin:
        await defined(admin, "event", "gift", **GIFT, challengeGroup="slow")
        cap = {"points": 50, "period": "yearly"}
        await defined(
            admin, "wallet", "slow", name="Slow", expiry={"type": "rolling", "after": "P30D"},
            pendingFor="P14D", earnCap=cap, noticeDays=[7],
        )  # fmt: skip
        listed = (await admin.get("/definitions/wallet")).json()["data"]
        assert [(each["id"], each["earnCap"]) for each in listed] == [("slow", cap)]
        user = await made(admin, "waits")
        event = {"eventId": "gift", "userId": user, "metadata": {"n": 60}}
        assert (await admin.post("/event", json=event)).json()["data"]["points"] == 50
        by_hand = {"reason": "opening balance", "challengeGroup": "slow"}
        ends = "2027-06-30T22:00:00Z"
        await good(
            admin, user, "adjust", points=10, uniqueIdentifier="a", expiresAt=ends, **by_hand
        )
        await good(admin, user, "adjust", points=5, uniqueIdentifier="b", **by_hand)
        await good(admin, user, "hold", points=4, uniqueIdentifier="h", challengeGroup="slow")
        found = (await admin.get(f"/user/{user}/points")).json()
        assert (found["points"], found["held"], found["available"]) == (15, 4, 11)
        assert found["groups"] == {"slow": 15}
        [slow] = found["wallets"].values()
        assert (slow["balance"], slow["held"], slow["available"], slow["pending"]) == (
            (15, 4, 11, 50)
        )  # fmt: skip
        assert [lapse["points"] for lapse in slow["expiring"]] == [5, 10]
        assert slow["expiring"][1]["at"] == ends
        cuts = "SELECT points, cut, cut_by FROM milestream.points_ledger WHERE project = %s"
        await caught_up(full_stack.settings)
        assert (50, 10, "earnCap") in query(full_stack.settings, cuts, project)

        answer = await admin.delete("/definitions/wallet/slow")
        assert (answer.status_code, answer.json()["code"]) == (409, "wallet_in_use")
        assert (await admin.delete("/definitions/wallet/none")).status_code == 404
        await defined(admin, "wallet", "empty", name="Empty")
        assert (await admin.delete("/definitions/wallet/empty")).status_code == 204
        bad = {"name": "Bad", "expiry": {"type": "calendar"}}
        answer = await admin.put("/definitions/wallet/bad", json=bad)
        assert answer.status_code == 400
        assert [each["field"] for each in answer.json()["errors"]] == ["expiry.dates"]


async def test_points_lapse_by_a_tick_and_then_their_wallet_can_go(full_stack: Served) -> None:
    settings, project = full_stack.settings, "lapses"
    async with await full_stack.client(project=project) as admin:
        await defined(admin, "event", "gift", **GIFT, challengeGroup="quick")
        await defined(
            admin, "wallet", "quick", name="Quick", expiry={"type": "rolling", "after": "PT1S"},
            pendingFor="PT1S",
        )  # fmt: skip
        user = await made(admin, "late")
        event = {"eventId": "gift", "userId": user, "metadata": {"n": 7}}
        assert (await admin.post("/event", json=event)).json()["data"]["points"] == 7
        entries = (
            "SELECT operation, points, balance FROM milestream.points_ledger WHERE project = %s"
        )
        async with asyncio.timeout(150):
            while len(query(settings, entries, project)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert query(settings, f"{entries} ORDER BY sequence", project) == [
            ("grant", 7, 0),
            ("expire", -7, 0),
        ]
        lots = "SELECT points FROM milestream.points_lots WHERE project = %s"
        assert query(settings, lots, project) == []
        found = (await admin.get(f"/user/{user}/points")).json()
        assert (found["groups"], found["wallets"]) == ({"quick": 0}, {})
        assert (await admin.delete("/definitions/wallet/quick")).status_code == 204


async def test_what_is_not_answered_in_time_is_taken_and_has_its_id(
    api_without_worker: Served,
) -> None:
    member_id = ids.member_id(PROJECT, "nobody")
    source_id = ids.command_source(member_id, "u")
    expected = {
        "spend": ids.points_entry_id(PROJECT, ids.SPEND, source_id),
        "hold": ids.hold_id(PROJECT, member_id, "u"),
        "hold/h/capture": ids.points_entry_id(PROJECT, ids.CAPTURE, source_id),
        "hold/h/release": ids.hold_id(PROJECT, member_id, "h"),
        "adjust": ids.points_entry_id(PROJECT, ids.ADJUST, source_id),
    }
    async with await api_without_worker.client() as admin:
        answers = await asyncio.gather(
            *(
                move(admin, "nobody", what, **body_of(what, reason="r", uniqueIdentifier="u"))
                for what in expected
            )
        )
    for answer, id_ in zip(answers, expected.values(), strict=True):
        said = answer.json()
        assert (answer.status_code, said["statusCode"], said["id"]) == (202, 202, id_)
        assert said.keys() == {"statusCode", "message", "id", "uniqueIdentifier"}


def body_of(what: str, **fields: Any) -> dict[str, Any]:
    """Return a body of any of the calls: all but those of a hold name points."""
    return fields if "hold/" in what else {"points": 1, **fields}


OPENING_BALANCES = """\
type,userId,points,uniqueIdentifier,reason,occurredAt,expiresAt
adjust-points,joe,1200,joe-2025,moved here,2025-12-31T22:59:59Z,2099-01-01T00:00:00+01:00
adjust-points,joe,80,joe-2026,moved here,2026-06-30T12:00:00Z,
"""


async def test_opening_balances_are_imported_with_their_ends(
    full_stack: Served, tmp_path: Path
) -> None:
    project = "imported"
    path = tmp_path / "balances.csv"
    path.write_text(OPENING_BALANCES)
    async with await full_stack.client(project=project) as admin:
        await defined(
            admin, "wallet", "_default", name="Points",
            expiry={"type": "calendar", "dates": ["12-31"], "after": "P50Y"}, earnCap={
                "points": 1, "period": "daily"
            }, pendingFor="P14D",
        )  # fmt: skip
        user = await made(admin, "joe")
        command = ("import", "member-commands", str(path), "--project", project)
        done = await asyncio.to_thread(run, full_stack.settings, *command)
        assert done.returncode == 0, done.stderr
        async with asyncio.timeout(120):
            while (await purse(admin, user))[0] < 1280:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        found = (await admin.get(f"/user/{user}/points")).json()
        assert found["wallets"]["_default"] == {
            "balance": 1280,
            "held": 0,
            "available": 1280,
            "pending": 0,
            "expiring": [
                {"at": "2077-01-01T00:00:00Z", "points": 80},
                {"at": "2098-12-31T23:00:00Z", "points": 1200},
            ],
        }
    times = "SELECT occurred_at FROM milestream.points_ledger WHERE project = %s ORDER BY 1"
    assert query(full_stack.settings, times, project) == [
        (datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC),),
        (datetime(2026, 6, 30, 12, tzinfo=UTC),),
    ]
