"""Voids of events, of what was spent, and of activities' logs: points, statistics, boards, fed
challenges, streaks."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from schemas import ids
from schemas.topics import ACTIVITY_LOGS, MEMBER_COMMANDS, partition_for
from tests.integration.api.serving import Served, let_the_hour_begin
from tests.integration.api.test_voids import LOGS, points, refused, voided
from tests.integration.processor.driving import produce
from tests.integration.projections.driving import caught_up, query

BUY = {
    "title": "Buy",
    "type": "TRANSACTION",
    "rewardValueField": "amount",
    "reward": {"default": 1},
    "limit": 2,
}


@pytest.fixture(autouse=True)
def one_day() -> None:
    """What a test compares lies in one day, one week and one month, in whatever zone."""
    let_the_hour_begin()


async def defined(admin: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> None:
    """Put a definition in force."""
    answer = await admin.put(f"/definitions/{kind}/{id_}", json=fields)
    assert answer.status_code in (200, 201), answer.text


async def made(admin: httpx.AsyncClient, user: str) -> str:
    """Make a member known."""
    answer = await admin.post("/schema/member/record", json={"externalId": user})
    assert answer.status_code == 201, answer.text
    return user


async def bought(admin: httpx.AsyncClient, user: str, key: str, amount: float) -> dict[str, Any]:
    """Send a purchase; return what the answer has of it."""
    metadata = {"amount": amount}
    body = {"eventId": "buy", "userId": user, "metadata": metadata, "idempotencyKey": key}
    answer = await admin.post("/event", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def path_of(project: str, user: str, key: str) -> str:
    """Return the path of an event that a user sent."""
    return f"/event/{ids.event_log_id(project, ids.member_id(project, user), key)}"


async def figures(admin: httpx.AsyncClient) -> tuple[int, int, int, int]:
    """Return the events, unique users and points of today, and the events of its hours."""
    parameters = {"period": "1d", "eventId": "buy"}
    data = (await admin.get("/stats/event", params=parameters)).json()["data"]
    hours = sum(sum(day["hourlyDistribution"]) for day in data["dailyData"].values())
    return data["totalCount"], data["uniqueUsers"], data["pointsAwarded"], hours


async def test_an_event_gives_back_what_it_led_to(full_stack: Served) -> None:
    project = "voided-events"
    async with await full_stack.client(project=project) as admin:
        await defined(admin, "event", "buy", **BUY)
        await defined(admin, "streak", "days", eventIds=["buy"], period="daily", targetLength=3)
        fed = "11111111-2222-4333-8444-555555555555"
        await defined(
            admin, "challenge", fed, name="Spend", completionTargetValue=100, eventIds=["buy"],
            valueField="amount", aggregationPeriod="all_time",
        )  # fmt: skip
        for user in ("ann", "bob"):
            await made(admin, user)
        assert (await bought(admin, "ann", "a-1", 11))["points"] == 11
        first = await bought(admin, "ann", "a-2", 20)
        await bought(admin, "bob", "b-1", 5)
        assert (await bought(admin, "ann", "a-3", 7))["limitReached"]
        assert await figures(admin) == (4, 2, 36, 4)

        part = await voided(admin, path_of(project, "ann", "a-1"), "v-1", portion=0.5)
        assert (part["voided"]["what"], part["voided"]["voidedPortion"]) == ("event", 0.5)
        assert part["points"] == {"reversed": 6, "notRecovered": 0}
        [progress] = part["progress"]
        assert (progress["challengeId"], progress["currentProgressValue"]) == (fed, 32.5)
        assert await figures(admin) == (4, 2, 30, 4)
        assert (await bought(admin, "ann", "a-4", 7))["limitReached"]  # the slot is still taken
        rest = await voided(admin, path_of(project, "ann", "a-1"), "v-2", portion=0.5)
        assert rest["points"] == {"reversed": 5, "notRecovered": 0}
        assert rest["progress"][0]["currentProgressValue"] == 34
        assert await figures(admin) == (4, 2, 25, 4)
        assert (await bought(admin, "ann", "a-5", 7))["points"] == 7
        assert await points(admin, "ann") == 27
        assert await bought(admin, "ann", "a-2", 20) == first

        board = (await admin.get("/leaderboard")).json()["users"]
        assert [(each["userId"], each["points"]) for each in board] == [("ann", 27), ("bob", 5)]
        whole = {"what": "event", "of": {"idempotencyKey": "b-1"}}
        assert (await voided(admin, "/user/bob", "v", **whole))["points"]["reversed"] == 5
        assert await figures(admin) == (4, 1, 27, 4)
        board = (await admin.get("/leaderboard")).json()["users"]
        assert [(each["userId"], each["points"]) for each in board] == [("ann", 27)]
        streaks = (await admin.get("/user/bob/streak")).json()["streaks"]
        assert [each["currentLength"] for each in streaks] in ([], [0])
        assert (await admin.get("/user/ann/streak")).json()["streaks"][0]["currentLength"] == 1
        await refused(admin, "/user/bob", 409, "over_voided", "portion", **whole, portion=0.1)
        await caught_up(full_stack.settings)
    rows = query(
        full_stack.settings,
        "SELECT what, portion::float FROM milestream.voids WHERE project = %s "
        "ORDER BY at, sequence",
        project,
    )
    assert rows == [("event", 0.5), ("event", 0.5), ("event", 1.0)]


async def test_a_log_that_an_event_fed_goes_with_it(full_stack: Served) -> None:
    project = "fed-logs"
    async with await full_stack.client(project=project) as admin:
        await defined(admin, "event", "buy", **BUY)
        fed = "11111111-2222-4333-8444-666666666666"
        await defined(
            admin, "challenge", fed, name="Visits", completionTargetValue=1, eventIds=["buy"],
            aggregationMethod="count", pointsOnCompletion=4,
        )  # fmt: skip
        await made(admin, "cid")
        await bought(admin, "cid", "k", 10)
        assert await points(admin, "cid") == 14
        [log] = (await admin.get(LOGS)).json()["data"]
        await refused(admin, f"{LOGS}/{log['id']}", 409, "belongs_to_event", "id")
        event = path_of(project, "cid", "k")
        found = await voided(admin, event, "v", rewards="revoke")
        assert found["points"] == {"reversed": 14, "notRecovered": 0}
        assert [each["currentProgressValue"] for each in found["progress"]] == [0]
        assert found["progress"][0]["challengeProgressStatus"] == "in_progress"
        shown = (await admin.get(f"{LOGS}/{log['id']}")).json()
        assert shown["voidedPortion"] == 1
        assert await points(admin, "cid") == 0


async def test_what_is_spent_is_given_back_and_what_is_gone_is_not_recovered(
    full_stack: Served,
) -> None:
    project = "void-spends"
    async with await full_stack.client(project=project) as admin:
        await defined(admin, "event", "buy", **BUY)
        await made(admin, "dan")
        await bought(admin, "dan", "k", 100)
        spend = {"points": 40, "uniqueIdentifier": "mug"}
        assert (await admin.post("/user/dan/spend", json=spend)).json()["balance"] == 60
        hold = {"points": 30, "uniqueIdentifier": "h"}
        assert (await admin.post("/user/dan/hold", json=hold)).json()["available"] == 30
        of = {"what": "spend", "of": {"uniqueIdentifier": "mug"}}
        found = await voided(admin, "/user/dan", "half", portion=0.5, **of)
        assert found["points"] == {"reversed": 20, "notRecovered": 0}
        assert await points(admin, "dan") == 80
        # What is held cannot be taken: 50 of the 100 points are there to be.
        found = await voided(admin, path_of(project, "dan", "k"), "event")
        assert found["points"] == {"reversed": 50, "notRecovered": 50}
        assert await points(admin, "dan") == 30
        captured = {"uniqueIdentifier": "c", "points": 10}
        assert (await admin.post("/user/dan/hold/h/capture", json=captured)).status_code == 200
        of = {"what": "capture", "of": {"uniqueIdentifier": "c"}}
        found = await voided(admin, "/user/dan", "capture", **of)
        assert found["points"] == {"reversed": 10, "notRecovered": 0}
        assert await points(admin, "dan") == 30
        assert (await admin.get("/leaderboard")).json()["users"] == []
        await caught_up(full_stack.settings)
    entries = query(
        full_stack.settings,
        "SELECT operation, points::bigint, not_recovered::bigint, balance::bigint, "
        "granted_at IS NULL FROM milestream.points_ledger WHERE project = %s "
        "ORDER BY sequence, operation",
        project,
    )
    assert entries == [
        ("grant", 100, 0, 100, True),
        ("spend", -40, 0, 60, True),
        ("reverse", 20, 0, 80, True),
        ("reverse", -50, 50, 30, False),
        ("capture", -10, 0, 20, True),
        ("reverse", 10, 0, 30, True),
    ]


async def test_an_activity_falls_back_and_is_completed_again(full_stack: Served) -> None:
    project, settings = "void-activities", full_stack.settings
    data = {"category": "Steps", "formula": "sum", "target": 200}
    activity = {"id": "steps", "name": "Steps", "type": "data", "fulfilmentType": "tracking"}
    member_id = ids.member_id(project, "eve")
    partition = partition_for(member_id, settings.partitions)

    async def done(identifier: str, value: int, complete: bool) -> None:
        log = {
            "project": project, "pathwayId": "way", "activityId": "steps", "userId": "eve",
            "occurredAt": "2026-11-20T10:00:00Z", "uniqueIdentifier": identifier,
            "fulfilment": {"value": value},
        }  # fmt: skip
        record = (ACTIVITY_LOGS, partition, None, json.dumps(log).encode(), ())
        await asyncio.to_thread(produce, settings, [record])
        await shows(complete)

    async def shows(complete: bool) -> None:
        """Wait until the tables tell whether the activity is completed."""
        of_pathway = "WHERE project = %s AND activity_id = 'steps'"
        text = (
            f"SELECT (SELECT complete FROM milestream.pathway_logs {of_pathway}), "
            f"(SELECT coalesce(max(members), 0) FROM milestream.pathway_stats {of_pathway})"
        )
        async with asyncio.timeout(120):
            while query(settings, text, project, project) != [(complete, int(complete))]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async with await full_stack.client(project=project) as admin:
        await defined(admin, "pathway", "way", name="A way", activities=[activity | {"data": data}])
        await made(admin, "eve")
        enrol = {"type": "enrol", "project": project, "pathwayId": "way", "userId": "eve"}
        record = (MEMBER_COMMANDS, partition, None, json.dumps(enrol).encode(), ())
        await asyncio.to_thread(produce, settings, [record])
        await done("a", 150, complete=False)
        await done("b", 100, complete=True)
        key = {"pathwayId": "way", "activityId": "steps"}
        first = {"what": "activity_log", "of": {**key, "uniqueIdentifier": "a"}}
        found = await voided(admin, "/user/eve", "v", **first)
        log_id = ids.activity_log_id(project, "way", "steps", member_id, "a")
        assert (found["voided"]["id"], found["voided"]["voidedPortion"]) == (log_id, 1)
        await shows(complete=False)
        await refused(admin, "/user/eve", 409, "over_voided", "portion", **first)
        await done("c", 100, complete=True)
        await caught_up(settings)
    text = "SELECT what, id::text, portion::integer FROM milestream.voids WHERE project = %s"
    assert query(settings, text, project) == [("activity_log", log_id, 1)]
