"""The events and analytics face with worker and projector: the published examples, replayed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection

from api.auth.credentials import Role
from processor.domain.aggregates.period import period_key
from tests.integration.api import published_events as published
from tests.integration.api.published_events import assert_same_shape
from tests.integration.api.serving import Served, let_the_hour_begin

VERSIONS = ("", "/v0", "/v1", "/v2", "/v3")
PURCHASE = {
    **{name: value for name, value in published.EVENT.items() if name != "eventId"},
    "reward": {"default": 1},
    "rewardValueField": "amount",
}
"""The published event, but with the reward that makes 49.99 the 50 points of its other example."""


@pytest.fixture(autouse=True)
def one_day() -> None:
    """What a test compares lies in one day, one week and one month, in whatever zone."""
    let_the_hour_begin()


async def define(admin: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> None:
    answer = await admin.put(f"/definitions/{kind}/{id_}", json=fields)
    assert answer.status_code in (200, 201), answer.text


async def member(admin: httpx.AsyncClient, user: str, **fields: Any) -> str:
    body = {"externalId": user, **fields}
    answer = await admin.post("/schema/member/record", json=body)
    assert answer.status_code in (200, 201), answer.text
    return user


async def send(client: httpx.AsyncClient, event: str, user: str, **fields: Any) -> httpx.Response:
    return await client.post("/v1/event", json={"eventId": event, "userId": user, **fields})


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_published_event_is_answered_as_printed(full_stack: Served, version: str) -> None:
    project = f"seed{version[1:]}"
    async with await full_stack.client(project=project) as admin:
        await define(admin, "event", "purchase_completed", **PURCHASE)
        await member(admin, "user-123")
        async with await full_stack.end_user("user-123", project) as user:
            answer = await user.post(f"{version}/event", json=published.REQUEST)
            assert answer.status_code == 200
            assert answer.json() == published.POSTED
            assert list(answer.json()["data"]) == list(published.POSTED["data"])
            listed = await user.get(f"{version}/event")
            shown = {**published.EVENT, "reward": {"default": 1}}
            assert listed.json() == [shown]
            assert_same_shape(listed.json(), [published.EVENT])
            one = await user.get(f"{version}/event/purchase_completed")
            assert one.json() == shown
            stats = await user.get(f"{version}/stats/event")
            assert_same_shape(stats.json(), published.GLOBAL_STATS)
            data = stats.json()["data"]
            assert (data["totalEvents"], data["uniqueUsers"], data["totalPoints"]) == (1, 1, 50)
            parameters = {"period": "30d", "eventId": "purchase_completed"}
            stats = await user.get(f"{version}/stats/event", params=parameters)
            assert_same_shape(stats.json(), published.EVENT_STATS)


async def test_the_limit_is_said_in_the_message(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    await define(admin, "event", "once", title="Once", reward={"default": 5}, limit=1)
    async with await full_stack.end_user(await member(admin, "limited")) as user:
        first, second = [(await send(user, "once", "limited")).json() for _ in range(2)]
    assert first["message"] == "Event erfolgreich geloggt"
    assert (first["data"]["points"], first["data"]["limitReached"]) == (5, False)
    assert second["message"] == "Event Limit erreicht"
    assert (second["data"]["points"], second["data"]["limitReached"]) == (0, True)
    assert first["data"]["maximumReward"] is None
    assert first["data"]["metadata"] == {}


async def test_a_repetition_is_answered_as_the_first_time(admin: httpx.AsyncClient) -> None:
    await define(admin, "event", "visit", title="Visit", reward={"default": 3})
    user = await member(admin, "repeater")
    first = await send(admin, "visit", user)
    key = first.headers["idempotency-key"]
    body = {"eventId": "visit", "userId": user}
    again = await admin.post("/event", json=body, headers={"Idempotency-Key": key})
    assert again.content == first.content
    assert again.headers["idempotency-key"] == key
    field = await admin.post("/event", json={**body, "idempotencyKey": key})
    assert field.content == first.content
    both = {**body, "idempotencyKey": "another"}
    differing = await admin.post("/event", json=both, headers={"Idempotency-Key": key})
    assert differing.status_code == 400
    answers = await asyncio.gather(
        *(send(admin, "visit", user, idempotencyKey="k") for _ in "12345")
    )
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (await admin.get(f"/user/{user}/points")).json()["points"] == 6


async def test_what_was_posted_is_read_at_once(admin: httpx.AsyncClient) -> None:
    await define(admin, "event", "drip", title="Drip", reward={"default": 1}, challengeGroup="wet")
    user = await member(admin, "dripper", firstName="Dora", lastName="Drop", groups=["wet-ones"])
    for number in range(1, 11):
        assert (await send(admin, "drip", user)).status_code == 200
        points = (await admin.get(f"/user/{user}/points")).json()
        assert (points["points"], points["available"]) == (number, number)
        assert points["groups"] == {"wet": number}
        stats = await admin.get("/stats/event", params={"eventId": "drip", "period": "1d"})
        assert stats.json()["data"]["totalCount"] == number
        board = (await admin.get("/leaderboard", params={"groupId": "wet-ones"})).json()
        place = {"userId": user, "username": "Dora D.", "points": number, "rank": 1}
        assert board == {"groupId": "wet-ones", "users": [place]}
        rank = (await admin.get(f"/user/{user}/rank", params={"groupId": "wet-ones"})).json()
        assert (rank["points7d"], rank["rank30d"]) == (number, 1)


async def test_an_event_moves_a_challenge_and_a_streak(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    await define(admin, "event", "login", title="Login", reward={"default": 0})
    await define(admin, "streak", "daily_login", eventIds=["login"], targetLength=2)
    challenge = {"name": "Log in", "completionTargetValue": 2, "aggregationMethod": "count"}
    challenge |= {"aggregationPeriod": "monthly", "eventIds": ["login"], "pointsOnCompletion": 7}
    made = await admin.post("/schema/challenge/record", json=challenge)
    challenge_id = made.json()["id"]
    user = await member(admin, "streaker")
    now = datetime.now(UTC)
    for days in (1, 0):
        at = (now - timedelta(days=days)).isoformat()
        assert (await send(admin, "login", user, occurredAt=at)).status_code == 200
    async with await full_stack.end_user(user) as client:
        streaks = (await client.get(f"/user/{user}/streak")).json()
        challenges = (await client.get(f"/user/{user}/challenge")).json()["challenges"]
        analytics = (await client.get("/v1/analytics/streak?streakId=daily_login")).json()
        unknown = await client.get("/v1/analytics/streak?streakId=weekly_sleep")
    shown = {"streakId": "daily_login", "currentLength": 2, "longestLength": 2}
    assert streaks == {"streaks": [{**shown, "status": "completed", "freezesLeft": 0}]}
    (own,) = [each for each in challenges if each["challengeId"] == challenge_id]
    assert own["goal"] == 2
    assert own["progress"] == (2 if now.day > 1 else 1)
    assert own["completed"] == (own["progress"] == 2)
    assert_same_shape(analytics, published.STREAK)
    assert analytics == {
        "streakId": "daily_login",
        "totalParticipants": 1,
        "activeParticipants": 1,
        "averageStreakLength": 2.0,
        "longestUserStreak": 2,
        "completionRate": 1.0,
    }
    assert unknown.status_code == 200
    assert unknown.content == b"null"


async def test_a_challenge_is_shown_in_its_period_of_now(admin: httpx.AsyncClient) -> None:
    await define(admin, "event", "step", title="Step", reward={"default": 0})
    user = await member(admin, "periodic")
    base = {"name": "Steps", "completionTargetValue": 0.5, "eventIds": ["step"]}
    wanted: dict[str, str] = {}
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", None):
        for period in ("daily", "weekly", "monthly", "yearly", "all_time"):
            body = {**base, "aggregationPeriod": period, "timezone": zone}
            made = await admin.post("/schema/challenge/record", json=body)
            key = period_key(period, zone or "UTC", datetime.now(UTC))
            wanted[made.json()["id"]] = key
    for fields in ({"status": "paused"}, {"endsAt": "2026-01-01T00:00:00Z"}, {"startsAt": FUTURE}):
        await admin.post("/schema/challenge/record", json={**base, **fields})
    before = await shown_challenges(admin, user)
    assert {id_: before[id_]["periodKey"] for id_ in wanted} == wanted
    assert {before[id_]["progress"] for id_ in wanted} == {0}
    await send(admin, "step", user)
    after = await shown_challenges(admin, user)
    assert {after[id_]["progress"] for id_ in wanted} == {1}
    assert {after[id_]["goal"] for id_ in wanted} == {0.5}
    assert all(after[id_]["completed"] and after[id_]["completedDate"] for id_ in wanted)
    assert set(after) & set(await shown_challenges(admin, user, completed="true")) >= set(wanted)
    assert not set(wanted) & set(await shown_challenges(admin, user, completed="false"))
    assert len([each for each in after.values() if each["title"] == "Steps"]) == len(wanted)


FUTURE = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def shown_challenges(
    admin: httpx.AsyncClient, user: str, **parameters: str
) -> dict[str, dict[str, Any]]:
    """Return a user's challenges by their ids."""
    answer = await admin.get(f"/user/{user}/challenge", params=parameters)
    assert answer.status_code == 200, answer.text
    return {each["challengeId"]: each for each in answer.json()["challenges"]}


async def test_definitions_act_and_are_seen_at_once(admin: httpx.AsyncClient) -> None:
    path = "/definitions/event/flag"
    user = await member(admin, "flagger")
    fields = {"eventId": "flag", "title": "Flag", "reward": {"default": 1}}
    assert (await admin.put(path, json=fields)).status_code == 201
    assert (await send(admin, "flag", user)).json()["data"]["points"] == 1
    await define(admin, "event", "flag", title="Flag", reward={"default": 2.5})
    assert (await send(admin, "flag", user)).json()["data"]["points"] == 3
    await define(admin, "event", "flag", title="F", reward={"default": 2}, status="INACTIVE")
    refused = await send(admin, "flag", user)
    assert refused.json() == {"statusCode": 400, "message": "eventId: the event is not active"}
    active = (await admin.get("/event", params={"showAll": "false"})).json()
    everything = (await admin.get("/event", params={"showAll": "true"})).json()
    assert "flag" not in [event["eventId"] for event in active]
    assert "flag" in [event["eventId"] for event in everything]
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get("/event/flag")).status_code == 404
    assert (await send(admin, "flag", user)).status_code == 404


async def test_refusals_say_why(full_stack: Served, admin: httpx.AsyncClient) -> None:
    required = [{"key": "amount", "type": "number", "required": True}]
    guarded = {"title": "Keyed", "reward": {"default": 1}, "requiresApiKey": True}
    await define(admin, "event", "keyed", **guarded)
    await define(admin, "event", "bill", title="B", reward={"default": 1}, metadataFields=required)
    user = await member(admin, "refused")
    async with await full_stack.end_user(user) as client:
        keyed = await send(client, "keyed", user)
        elsewhen = await send(client, "bill", user, occurredAt="2026-01-01T00:00:00Z")
        another = await send(client, "nowhere", "somebody-else")
    assert keyed.json() == {"statusCode": 403, "message": "eventId: this event needs an API key"}
    assert keyed.headers["idempotency-key"]
    assert (await send(admin, "keyed", user)).status_code == 200
    assert elsewhen.status_code == 403
    assert elsewhen.json()["message"].startswith("occurredAt: ")
    assert another.status_code == 403
    assert another.json()["message"].startswith("userId: ")
    for answer, status, field in (
        (await send(admin, "nowhere", user), 404, "eventId"),
        (await send(admin, "bill", "nobody"), 404, "userId"),
        (await send(admin, "bill", user), 400, "metadata.amount"),
        (await send(admin, "bill", user, metadata={"amount": "5"}), 400, "metadata.amount"),
        (await send(admin, "bill", user, occurredAt="2999-01-01T00:00:00Z"), 400, "occurredAt"),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["statusCode"] == status
        assert answer.json()["message"].startswith(f"{field}: ")


async def test_odd_metadata_is_taken_or_refused_but_breaks_nothing(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    await define(admin, "event", "🎉", title="Odd", reward={"default": 1})
    user = await member(admin, "user-🙂")
    deep = "[" * 100 + "]" * 100
    wide = json.dumps({f"key-{number}": number for number in range(10_000)})
    taken = ["{}", f'{{"deep":{deep}}}', wide, '{"big":1e300,"long":' + "9" * 2000 + "}"]
    taken += [
        '{"exact":12345678901234567890.123456789,"emoji":"🙂","":[]}',
        '{"e":"\\ud83d\\ude00"}',
    ]
    for metadata in taken:
        answer = await post_text(admin, user, metadata)
        assert answer.status_code == 200, (metadata[:50], answer.text[:200])
        assert f'"metadata":{metadata}'.encode() in answer.content
    refused = [
        '{"big":1e9999}',
        '{"n":NaN}',
        "[]",
        '{"a":"\\u0000"}',
        '{"a":"\\ud800"}',
        "[" * 5000,
    ]
    for metadata in refused:
        answer = await post_text(admin, user, metadata)
        assert answer.status_code == 400, (metadata[:50], answer.text[:200])
        assert set(answer.json()) == {"statusCode", "message"}
    large = await post_text(admin, user, json.dumps({"x": "y" * 1024 * 1024}))
    assert large.status_code == 413
    nearly = await post_text(admin, user, json.dumps({"x": "y" * (1024 * 1024 - 200)}))
    assert nearly.status_code in (200, 413)
    async with await full_stack.end_user(user) as client:
        points = (await client.get("/user/user-🙂/points")).json()
        stats = (await client.get("/stats/event", params={"eventId": "🎉"})).json()
    assert points["points"] == len(taken) + (nearly.status_code == 200)
    assert stats["data"]["totalCount"] == points["points"]


async def post_text(admin: httpx.AsyncClient, user: str, metadata: str) -> httpx.Response:
    """Post an event with metadata of just this text."""
    body = f'{{"eventId":"🎉","userId":"{user}","metadata":{metadata}}}'
    return await admin.post("/event", content=body.encode("utf-8", "surrogatepass"))


async def test_a_users_id_may_hold_slashes(full_stack: Served, admin: httpx.AsyncClient) -> None:
    await define(admin, "event", "hop", title="Hop", reward={"default": 4})
    user = await member(admin, "crm/7/rank")
    async with await full_stack.end_user(user) as client:
        assert (await send(client, "hop", user)).status_code == 200
        for id_ in (user, "crm%2F7%2Frank"):
            answer = await client.get(f"/v1/user/{id_}/points")
            assert answer.json()["points"] == 4


async def test_the_address_is_the_callers_and_no_proxys_word_for_it(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    await define(admin, "event", "ping", title="Ping", reward={"default": 0})
    user = await member(admin, "pinger")
    body = {"eventId": "ping", "userId": user, "idempotencyKey": "address"}
    await admin.post("/event", json=body, headers={"x-forwarded-for": "10.9.8.7"})
    question = "SELECT ip FROM milestream.event_log WHERE idempotency_key = 'address'"
    row = None
    url = full_stack.settings.database_url
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        for _ in range(1000):
            row = row or await (await connection.execute(question)).fetchone()
            await asyncio.sleep(0 if row else 0.1)
    assert row == ("127.0.0.1",)


async def test_an_end_users_group_counts_only_where_it_belongs(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    await define(admin, "event", "vip", title="Vip", reward={"default": 1, "gold": 100})
    outsider = await member(admin, "outsider")
    insider = await member(admin, "insider", groups=["gold"])
    gold = {"usergroup": ["gold"]}
    for user, points in ((outsider, 1), (insider, 100)):
        async with await full_stack.end_user(user) as client:
            data = (await send(client, "vip", user, metadata=gold)).json()["data"]
        assert (data["points"], data["userGroupId"]) == (
            points,
            "gold" if points > 1 else "default",
        )
    by_backend = (await send(admin, "vip", outsider, metadata=gold)).json()["data"]
    assert by_backend["points"] == 100
    async with await full_stack.end_user("boss", role="admin") as boss:
        as_admin = await send(
            boss, "vip", outsider, metadata=gold, occurredAt="2026-01-01T00:00:00Z"
        )
    assert as_admin.json()["data"]["points"] == 100


async def test_producers_only_send_and_analysts_only_read(full_stack: Served) -> None:
    async with (
        await full_stack.client() as admin,
        await full_stack.client(Role.PRODUCER) as producer,
    ):
        await define(admin, "event", "made", title="Made", reward={"default": 1})
        await member(admin, "maker")
        assert (await send(producer, "made", "maker")).status_code == 200
        for path in ("/event", "/stats/event", "/leaderboard", "/user/maker/points"):
            assert (await producer.get(path)).status_code == 403
    async with await full_stack.client(Role.ANALYST) as analyst:
        refused = await send(analyst, "made", "maker")
        assert refused.status_code == 403
        assert set(refused.json()) == {"statusCode", "message"}
        for path in ("/event", "/stats/event", "/leaderboard", "/user/maker/points"):
            assert (await analyst.get(path)).status_code == 200


TIERS = [
    {"id": "basic", "name": "Basic", "threshold": 0},
    {"id": "gold", "name": "Gold", "threshold": 100, "multiplier": 2},
]


async def tier(client: httpx.AsyncClient, user: str, tier_set: str) -> dict[str, Any]:
    """Return a user's tier in a set."""
    answer = await client.get(f"/v2/user/{user}/tier")
    assert answer.status_code == 200, answer.text
    (found,) = [each for each in answer.json()["tiers"] if each["tierSetId"] == tier_set]
    return dict(found)


@pytest.mark.parametrize(
    "window",
    [None, {"type": "calendar_year"}, {"type": "rolling", "length": "P1M"}],
    ids=["lifetime", "calendar_year", "rolling"],
)
async def test_a_tier_follows_what_is_earned(
    full_stack: Served, window: dict[str, str] | None
) -> None:
    project = f"tiers-{(window or {'type': 'lifetime'})['type'].replace('_', '-')}"
    async with await full_stack.client(project=project) as admin:
        await define(admin, "event", "buy", title="Buy", reward={"default": 60})
        fields = {"name": "Status", "basis": {"type": "earned"}, "tiers": TIERS, "window": window}
        await define(admin, "tier-set", "status", **fields)
        user = await member(admin, "climber")
        untouched = {
            "tierSetId": "status", "tierId": "basic", "name": "Basic", "since": None,
            "until": None, "value": 0, "toKeep": 0,
            "next": {"tierId": "gold", "threshold": 100, "missing": 100},
        }  # fmt: skip
        assert await tier(admin, user, "status") == untouched
        points = [(await send(admin, "buy", user)).json()["data"]["points"] for _ in range(3)]
        assert points == [60, 60, 120]
        async with await full_stack.end_user(user, project) as own:
            found = await tier(own, user, "status")
        assert (found["tierId"], found["name"], found["value"]) == ("gold", "Gold", 240)
        assert (found["toKeep"], found["next"], found["until"]) == (0, None, None)
        assert found["since"] is not None


async def test_a_tier_by_balance_or_progress_says_what_that_is_now(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    challenge = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1eaa"
    async with await full_stack.client(project="tiers-by") as other:
        fed = {"name": "C", "completionTargetValue": 10, "eventIds": ["buy"]}
        await define(other, "challenge", challenge, timezone="member", **fed)
        await define(other, "event", "buy", title="Buy", reward={"default": 60})
        for name, basis in (
            ("balance", {"type": "balance"}),
            ("progress", {"type": "progress", "challengeId": challenge}),
        ):
            await define(other, "tier-set", name, name="S", basis=basis, tiers=TIERS)
        user = await member(other, "climber", timezone="Pacific/Auckland")
        assert (await send(other, "buy", user)).status_code == 200
        values = [(await tier(other, user, name))["value"] for name in ("balance", "progress")]
        assert values == [60, 1]
        await define(other, "challenge", challenge, timezone="member", status="paused", **fed)
        assert (await tier(other, user, "progress"))["value"] == 1
    assert (await admin.get("/user/climber-nobody-knows/tier")).status_code == 404


async def test_a_set_for_life_counts_what_was_earned_before_it_was_defined(
    full_stack: Served,
) -> None:
    async with await full_stack.client(project="tiers-late") as admin:
        await define(admin, "event", "buy", title="Buy", reward={"default": 60})
        user = await member(admin, "climber")
        assert (await send(admin, "buy", user)).status_code == 200
        spent = {"points": 50, "uniqueIdentifier": "s"}
        assert (await admin.post(f"/user/{user}/spend", json=spent)).status_code == 200
        windows = {
            "life": None,
            "year": {"type": "calendar_year"},
            "month": {"type": "rolling", "length": "P1M"},
        }
        for name, window in windows.items():
            basis = {"type": "earned"}
            fields = {"name": "Status", "basis": basis, "tiers": TIERS, "window": window}
            await define(admin, "tier-set", name, **fields)
        assert [(await tier(admin, user, name))["value"] for name in windows] == [60, 0, 0]
        bought = await send(admin, "buy", user, idempotencyKey="k")
        assert bought.json()["data"]["points"] == 60
        found = [await tier(admin, user, name) for name in windows]
        assert [each["value"] for each in found] == [120, 60, 60]
        assert [each["tierId"] for each in found] == ["gold", "basic", "basic"]
        body = {"what": "event", "of": {"idempotencyKey": "k"}, "reason": "sent back"}
        void = await admin.post(f"/user/{user}/void", json={**body, "uniqueIdentifier": "v"})
        assert void.status_code == 200, void.text
        assert [(await tier(admin, user, name))["value"] for name in windows] == [60, 0, 0]


async def test_a_tier_is_assigned_by_an_admin_once(full_stack: Served) -> None:
    async with await full_stack.client(project="tiers-by-hand") as admin:
        basis = {"type": "earned"}
        await define(admin, "tier-set", "status", name="Status", basis=basis, tiers=TIERS)
        user = await member(admin, "favourite")
        path, until = f"/user/{user}/tier", "2099-01-01T00:00:00Z"
        body = {
            "tierSetId": "status", "tierId": "gold", "until": until, "reason": "a friend",
            "uniqueIdentifier": "1",
        }  # fmt: skip
        first, again = [await admin.post(path, json=body) for _ in range(2)]
        assert (first.status_code, first.content) == (200, again.content)
        assert (first.json()["tierId"], first.json()["assigned"]) == ("gold", True)
        found = await tier(admin, user, "status")
        assert (found["tierId"], found["until"], found["toKeep"]) == ("gold", until, 100)
        ended = {**body, "tierId": None, "uniqueIdentifier": "2"}
        del ended["until"]
        assert (await admin.post(path, json=ended)).json()["tierId"] == "basic"
        for change, status in (
            ({"tierSetId": "none"}, 404), ({"tierId": "none"}, 404), ({"reason": None}, 400),
            ({"until": "2020-01-01T00:00:00Z"}, 400), ({"extra": 1}, 400),
        ):  # fmt: skip
            bad = {**body, "uniqueIdentifier": "3", **change}
            assert (await admin.post(path, json=bad)).status_code == status, change
        assert (await admin.post("/user/nobody/tier", json=body)).status_code == 404
        async with await full_stack.end_user(user, "tiers-by-hand") as own:
            assert (await own.post(path, json=body)).status_code == 403
        async with await full_stack.client(Role.PRODUCER, project="tiers-by-hand") as producer:
            assert (await producer.post(path, json=body)).status_code == 403
