"""The game-mechanics face with worker and projector: the published example, and every code."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from api.auth.credentials import Role
from api.faces.game_mechanics.actions_log import BATCH
from schemas import ids
from schemas.topics import EVENTS
from tests.integration.api.game_mechanics import (
    PUBLISHED,
    Caller,
    caller,
    define_action,
    make_member,
)
from tests.integration.api.serving import PROJECT, Served


@pytest_asyncio.fixture
async def gm(full_stack: Served) -> AsyncIterator[Caller]:
    """Calls methods with role admin."""
    made = await caller(full_stack)
    async with made.client:
        yield made


@pytest_asyncio.fixture
async def ann(admin: httpx.AsyncClient) -> str:
    """A member that no other test knows."""
    user = f"ann-{uuid.uuid4().hex[:8]}"
    await make_member(admin, user)
    return user


async def produce(api: Served, *events: dict[str, Any]) -> None:
    """Write events onto the topic, as a producer with no key does."""
    producer = AIOKafkaProducer(**api.settings.kafka_options())
    await producer.start()
    try:
        for event in events:
            value = json.dumps({"project": PROJECT, **event}).encode()
            await producer.send_and_wait(api.settings.topic(EVENTS), value)
    finally:
        await producer.stop()


async def logged(gm: Caller, count: int, **params: str | int) -> list[dict[str, Any]]:
    """Return a user's actions once there are so many."""
    actions: list[dict[str, Any]] = []
    for _ in range(1000):
        answer = await gm("getActionsLog", **params)
        assert answer["errorCode"] == 0, answer
        actions = answer["actions"]
        if len(actions) >= count:
            break
        await asyncio.sleep(0.1)
    assert len(actions) == count
    return actions


async def test_the_published_example_field_for_field(
    full_stack: Served, admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "1", 10)
    await define_action(admin, "_siteLogin", 10, challengeGroup="books")
    await produce(
        full_stack,
        {"eventId": "_siteLogin", "userId": ann, "occurredAt": "2012-04-16T09:16:45Z"}
        | {"ip": "192.0.2.7"},
        {"eventId": "1", "userId": ann, "occurredAt": "2012-04-16T11:17:00.9+02:00"}
        | {"ip": "192.0.2.7"},
    )
    await logged(gm, 2, UID=ann)
    answer = await gm("getActionsLog", UID=ann)
    assert list(answer) == list(PUBLISHED)
    assert [list(action) for action in answer["actions"]] == [list(a) for a in PUBLISHED["actions"]]
    anew = {"callId": answer["callId"], "time": answer["time"]}
    assert answer == PUBLISHED | anew


async def test_a_redemption_over_the_balance_is_written_in_full(
    admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "read", 30, challengeGroup="books")
    notified = await gm("notifyAction", UID=ann, action="read", ip="198.51.100.4")
    assert (notified["errorCode"], notified["actionID"], notified["points"]) == (0, "read", 30)
    taken = await gm("redeemPoints", UID=ann, points=100, challenge="books")
    assert taken["errorCode"] == 0, taken
    assert (taken["challengeID"], taken["points"], taken["pointsTotal"]) == ("books", -100, 0)
    redemption, grant = (await gm("getActionsLog", UID=ann))["actions"]
    assert {key: redemption[key] for key in ("points", "challengeID", "operation")} == {
        "points": -100, "challengeID": "books", "operation": "redeem",
    }  # fmt: skip
    assert redemption["ip"] == "127.0.0.1"
    assert (grant["points"], grant["operation"], grant["ip"]) == (30, "grant", "198.51.100.4")
    status = await gm("getChallengeStatus", UID=ann, includeChallenges="books")
    assert status["achievements"] == [{"challengeID": "books", "pointsTotal": 0, "points7Days": 30}]


async def test_a_repeated_identifier_counts_once(
    admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "visit", 50)
    for _ in range(2):
        answer = await gm("notifyAction", UID=ann, action="visit", uniqueIdentifier="v-1")
        assert answer["points"] == 50
        assert answer["uniqueIdentifier"] == "v-1"
    first = await gm("redeemPoints", UID=ann, points=20, uniqueIdentifier="r-1")
    again = await gm("redeemPoints", UID=ann, points=999, uniqueIdentifier="r-1")
    assert (first["points"], first["pointsTotal"]) == (again["points"], again["pointsTotal"])
    assert [a["points"] for a in (await gm("getActionsLog", UID=ann))["actions"]] == [-20, 50]


async def test_points_outlive_the_definition_of_their_challenge(
    full_stack: Served, admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    group = f"gone-{ann}"
    await define_action(admin, group, 30, challengeGroup=group)
    await gm("notifyAction", UID=ann, action=group)
    assert (await admin.delete(f"/definitions/event/{group}")).status_code == 204
    taken = await gm("redeemPoints", UID=ann, points=10, challenge=group, uniqueIdentifier="r")
    assert (taken["errorCode"], taken["pointsTotal"]) == (0, 20), taken
    source = f"{ids.member_id(PROJECT, ann)}:r"
    entry = ids.points_entry_id(PROJECT, "redeem", source)
    found = None
    for _ in range(1000):
        with psycopg.connect(full_stack.settings.database_url) as connection:
            found = connection.execute(
                "SELECT points FROM milestream.points_ledger WHERE id = %s", (entry,)
            ).fetchone()
        if found:
            break
        await asyncio.sleep(0.1)
    assert found == (-10,), "the id that a pending redemption names is the entry's"


async def test_the_window_includes_both_of_its_ends(
    full_stack: Served, admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "step", 1)
    await produce(
        full_stack,
        *(
            {"eventId": "step", "userId": ann, "ip": str(number)}
            | {"occurredAt": f"2012-04-16T09:17:0{number}.{number}Z"}
            for number in range(5)
        ),
    )
    await logged(gm, 5, UID=ann)
    start = 1334567820  # 2012-04-16T09:17:00Z
    window = await logged(gm, 3, UID=ann, startTime=start + 1, endTime=start + 3)
    assert [action["ip"] for action in window] == ["3", "2", "1"]
    assert len(await logged(gm, 1, UID=ann, endTime=start)) == 1
    assert len(await logged(gm, 1, UID=ann, startTime=start + 4)) == 1
    assert await logged(gm, 0, UID=ann, startTime=start + 5) == []


async def test_pages_make_the_whole_log(
    full_stack: Served, admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "step", 1)
    same = {"eventId": "step", "userId": ann, "occurredAt": "2012-04-16T09:17:00Z"}
    await produce(full_stack, *({**same, "ip": str(number)} for number in range(25)))
    everything = await logged(gm, 25, UID=ann)
    paged: list[dict[str, Any]] = []
    page = await gm("getActionsLog", UID=ann, limit=10)
    while True:
        paged += page["actions"]
        if "next" not in page:
            break
        page = await gm("getActionsLog", UID=ann, limit=10, start=page["next"])
    assert paged == everything
    twenty = await gm("getActionsLog", UID=ann, limit=20)
    rest = await gm("getActionsLog", UID=ann, start=twenty["next"])
    assert rest["actions"] == everything[20:]


async def test_challenges_have_points_and_ranks(admin: httpx.AsyncClient, gm: Caller) -> None:
    board = f"board-{uuid.uuid4().hex[:8]}"
    await define_action(admin, board, 10, challengeGroup=board)
    users = {f"{name}-{board}": count for name, count in (("a", 3), ("b", 2), ("c", 2), ("d", 1))}
    for user, count in users.items():
        await make_member(admin, user, firstName=user[0].upper(), lastName="Lee")
        for _ in range(count):
            assert (await gm("notifyAction", UID=user, action=board))["errorCode"] == 0
    nameless = f"e-{board}"
    await make_member(admin, nameless)
    await gm("redeemPoints", UID=f"a-{board}", points=25, challenge=board)

    top = await gm("getTopUsers", challenge=board)
    assert [(user["UID"][0], user["rank"]) for user in top["users"]] == [
        ("a", 1), ("b", 2), ("c", 2), ("d", 4),
    ]  # fmt: skip
    assert top["users"][0] == {
        "UID": f"a-{board}",
        "name": "A Lee",
        "rank": 1,
        "achievements": [{"challengeID": board, "pointsTotal": 5, "points7Days": 30}],
    }
    now = await gm("getTopUsers", challenge=board, period="all", totalCount=1, UID=f"a-{board}")
    assert [(user["UID"][0], user["rank"]) for user in now["users"]] == [("b", 1), ("a", 4)]
    alone = {"challenge": board, "totalCount": 1, "UID": f"d-{board}", "includeSelf": "false"}
    assert [u["UID"][0] for u in (await gm("getTopUsers", **alone))["users"]] == ["a"]  # type: ignore[arg-type]
    assert len((await gm("getTopUsers", challenge=board, UID=nameless))["users"]) == 4
    assert (await gm("getTopUsers", challenge="nothing"))["users"] == []

    full = await gm("getChallengeStatus", UID=f"a-{board}", details="full", includeChallenges=board)
    assert full["achievements"] == [
        {"challengeID": board, "pointsTotal": 5, "points7Days": 30, "rank": 4, "rank7Days": 1}
    ]
    listed = (await gm("getChallengeStatus", UID=nameless))["achievements"]
    assert listed[0] == {"challengeID": "_default", "pointsTotal": 0, "points7Days": 0}
    assert board in [entry["challengeID"] for entry in listed]
    without = await gm("getChallengeStatus", UID=nameless, excludeChallenges=f"x, {board}")
    assert board not in [entry["challengeID"] for entry in without["achievements"]]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("getActionsLog", {}, 400002),
        ("notifyAction", {"action": "x"}, 400002),
        ("redeemPoints", {"points": 1}, 400002),
        ("getChallengeStatus", {}, 400002),
        ("getActionsLog", {"UID": "nobody"}, 403005),
        ("notifyAction", {"UID": "nobody", "action": "known"}, 403005),
        ("redeemPoints", {"UID": "nobody", "points": 1}, 403005),
        ("getChallengeStatus", {"UID": "nobody"}, 403005),
        ("getTopUsers", {"UID": "nobody"}, 403005),
        ("getActionsLog", {"UID": "ann", "startTime": "yesterday"}, 400006),
        ("getActionsLog", {"UID": "ann", "startTime": 2, "endTime": 1}, 400006),
        ("getActionsLog", {"UID": "ann", "dontHandleScreenSet": "perhaps"}, 400006),
        ("notifyAction", {"UID": "ann", "action": "unknown"}, 400006),
        ("notifyAction", {"UID": "ann", "action": "inactive"}, 400006),
        ("notifyAction", {"UID": "ann"}, 400002),
        ("notifyAction", {"UID": "ann", "action": "picky"}, 400006),
        ("notifyAction", {"UID": "ann", "action": "known", "actionAttributes": "[]"}, 400006),
        ("notifyAction", {"UID": "ann", "action": "known", "ip": "here"}, 400006),
        ("redeemPoints", {"UID": "ann"}, 400002),
        ("redeemPoints", {"UID": "ann", "points": 0}, 400006),
        ("redeemPoints", {"UID": "ann", "points": -5}, 400006),
        ("redeemPoints", {"UID": "ann", "points": 10**12 + 1}, 400006),
        ("redeemPoints", {"UID": "ann", "points": 1, "challenge": "nobody's"}, 400006),
        ("redeemPoints", {"UID": "nobody", "points": 1, "challenge": "nobody's"}, 403005),
        ("getChallengeStatus", {"UID": "ann", "details": "more"}, 400006),
        ("getTopUsers", {"totalCount": 101}, 400006),
        ("getTopUsers", {"period": "30days"}, 400006),
    ],
)
async def test_bad_input_has_its_code(
    admin: httpx.AsyncClient, gm: Caller, method: str, params: dict[str, Any], code: int
) -> None:
    await make_member(admin, "ann")
    await define_action(admin, "known", 1)
    await define_action(admin, "inactive", 1, status="INACTIVE")
    field = {"key": "amount", "type": "number", "required": True}
    await define_action(admin, "picky", 1, metadataFields=[field])
    answer = await gm(method, **params)
    assert answer["errorCode"] == code, answer
    assert answer["statusCode"] == code // 1000
    if code == 400002:
        missing = {"getActionsLog": "UID", "getChallengeStatus": "UID"}.get(method)
        assert missing is None or missing in answer["errorMessage"]
    given = {"apiKey": gm.key.key_id, "secret": gm.key.secret, "httpStatusCodes": "true", **params}
    told = await gm.client.get(f"/gm.{method}", params=given)
    assert (told.status_code, told.json()["errorCode"]) == (code // 1000, code)


async def test_credentials_that_are_not_good(gm: Caller, ann: str) -> None:
    for key_id, secret in (
        (gm.key.key_id, "wrong"),
        ("f" * 24, gm.key.secret),
        ("\u00fc", gm.key.secret),
        ("' OR 1=1 --", "x"),
    ):
        answer = await gm("getActionsLog", UID=ann, apiKey=key_id, secret=secret)
        assert answer["errorCode"] == 403005


ROLES = {
    "getActionsLog": {Role.ADMIN, Role.ANALYST},
    "getChallengeStatus": {Role.ADMIN, Role.ANALYST},
    "getTopUsers": {Role.ADMIN, Role.ANALYST},
    "notifyAction": {Role.ADMIN, Role.PRODUCER},
    "redeemPoints": {Role.ADMIN, Role.PRODUCER},
}


@pytest.mark.parametrize("role", list(Role))
async def test_roles_have_their_methods(full_stack: Served, role: Role) -> None:
    made = await caller(full_stack, role)
    async with made.client:
        for method, roles in ROLES.items():
            code = (await made(method))["errorCode"]
            assert (code != 403007) == (role in roles), method


async def test_a_key_sees_its_own_project_only(
    full_stack: Served, admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "visit", 50)
    await gm("notifyAction", UID=ann, action="visit")
    other = await caller(full_stack, project="other")
    async with other.client:
        for method, more in ROLES_BY_UID.items():
            assert (await other(method, UID=ann, **more))["errorCode"] == 403005, method
        assert (await other("getTopUsers"))["users"] == []
    assert len((await gm("getActionsLog", UID=ann))["actions"]) == 1


ROLES_BY_UID: dict[str, dict[str, str | int]] = {
    "getActionsLog": {},
    "getChallengeStatus": {},
    "redeemPoints": {"points": 1},
}


async def test_a_deleted_member_is_nobody(admin: httpx.AsyncClient, gm: Caller, ann: str) -> None:
    await define_action(admin, "visit", 50, challengeGroup=ann)
    await gm("notifyAction", UID=ann, action="visit")
    assert len((await gm("getTopUsers", challenge=ann))["users"]) == 1
    member_id = ids.member_id(PROJECT, ann)
    assert (await admin.delete(f"/schema/member/record/{member_id}")).status_code == 204
    assert (await gm("getActionsLog", UID=ann))["errorCode"] == 403005
    assert (await gm("getTopUsers", challenge=ann))["users"] == []


async def test_attributes_are_the_events_metadata(
    admin: httpx.AsyncClient, gm: Caller, ann: str
) -> None:
    await define_action(admin, "buy", 2, type="TRANSACTION", rewardValueField="amount")
    answer = await gm("notifyAction", UID=ann, action="buy", actionAttributes='{"amount": 10.5}')
    assert answer["points"] == 21


@pytest.mark.parametrize("callback", [None, "cb"])
async def test_a_very_long_log_comes_whole_and_its_newest_at_once(
    full_stack: Served, gm: Caller, ann: str, callback: str | None
) -> None:
    count = 2 * BATCH + 345
    with psycopg.connect(full_stack.settings.database_url) as connection:
        connection.execute(
            """
            INSERT INTO milestream.points_ledger
            SELECT %s, gen_random_uuid(), %s, %s, 'step', '_default', n, n, n, 'grant', 'step',
                   'default', n::text, NULL, to_timestamp(n / 2), to_timestamp(n), 0, n
            FROM generate_series(1, %s) AS n
            """,
            (PROJECT, ids.member_id(PROJECT, ann), ann, count),
        )
    script: dict[str, str] = {} if callback is None else {"format": "jsonp", "callback": callback}
    given = {"apiKey": gm.key.key_id, "secret": gm.key.secret, "UID": ann, "context": "<c>"}
    answer = await gm.client.get("/gm.getActionsLog", params=given | script)
    text = answer.text
    if callback is not None:
        assert (text[:7], text[-2:]) == ("/**/cb(", ");")
        assert "<" not in text
        text = text[7:-2]
    shown = json.loads(text)
    assert [action["points"] for action in shown["actions"]] == list(range(count, 0, -1))
    assert (shown["errorCode"], shown["context"]) == (0, "<c>")


async def test_without_an_answer_it_is_pending_and_named(api_without_worker: Served) -> None:
    made = await caller(api_without_worker)
    async with made.client:
        both = await asyncio.gather(
            made("notifyAction", UID="ann", action="visit", uniqueIdentifier="v-1"),
            made("redeemPoints", UID="ann", points=1),
        )
    notified, redeemed = both
    for answer in both:
        assert (answer["errorCode"], answer["statusCode"]) == (100001, 202)
        assert answer["statusReason"] == "Accepted"
    assert notified["id"] == ids.event_log_id(PROJECT, ids.member_id(PROJECT, "ann"), "v-1")
    assert notified["uniqueIdentifier"] == "v-1"
    source = f"{ids.member_id(PROJECT, 'ann')}:{redeemed['uniqueIdentifier']}"
    assert redeemed["id"] == ids.points_entry_id(PROJECT, "redeem", source)
