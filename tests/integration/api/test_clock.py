"""`/clock`: a year of a project in a second, what is refused, and who may change a clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection

from api.auth.credentials import Role
from tests.integration.api.serving import Served, passed, run

LAB = "lab"
LIVE = "shopfront"
CHALLENGE = "00000000-0000-4000-8000-0000000000c1"


async def put(client: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> httpx.Response:
    """Put a definition in force."""
    return await client.put(f"/definitions/{kind}/{id_}", json=fields)


async def clock(client: httpx.AsyncClient) -> tuple[str, datetime, int]:
    """Return how the clock of a client's project stands."""
    found = (await client.get("/clock")).json()
    return found["clock"], datetime.fromisoformat(found["now"]), found["behind"]


async def moved(client: httpx.AsyncClient, to: datetime) -> datetime:
    """Move the clock of a client's project, and wait until it has arrived."""
    answer = await client.post("/clock", json={"now": to.isoformat()})
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["now"]
    return datetime.fromisoformat(answer.json()["now"])


@pytest.fixture
async def lab(
    full_stack: Served, request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of a project of this test's own, on a test clock."""
    project = request.node.name.replace("_", "-")[:63].rstrip("-")
    async with await full_stack.client(project=project) as client:
        answer = await put(client, "project", project, clock="manual")
        assert answer.status_code == 201, answer.text
        yield client


async def test_a_year_passes_in_one_call(lab: httpx.AsyncClient) -> None:
    await put(lab, "event", "visit", title="Visit", reward={"default": 10})
    await put(lab, "streak", "daily", eventIds=["visit"], targetLength=3)
    await put(lab, "wallet", "_default", name="Points", expiry={"type": "rolling", "after": "P30D"})
    await put(
        lab, "challenge", CHALLENGE, name="Visit", aggregationMethod="count",
        completionTargetValue=5, eventIds=["visit"], aggregationPeriod="monthly",
    )  # fmt: skip
    tiers = [
        {"id": "new", "name": "New", "threshold": 0},
        {"id": "old", "name": "Old", "threshold": 10},
    ]
    await put(
        lab, "tier-set", "status", name="Status", tiers=tiers, basis={"type": "earned"},
        window={"type": "calendar_year"},
    )  # fmt: skip
    kind, begins, behind = await clock(lab)
    assert (kind, behind) == ("manual", 0)
    assert abs(datetime.now(UTC) - begins) < timedelta(minutes=10)
    begins = datetime(begins.year + 1, 6, 1, 12, tzinfo=UTC)  # no month nor year ends soon
    await lab.post("/schema/member/record", json={"externalId": "ann"})
    for day in range(3):
        at = begins + timedelta(days=day)
        assert await moved(lab, at) == at
        answer = await lab.post("/event", json={"eventId": "visit", "userId": "ann"})
        assert answer.status_code == 200, answer.text

    streak = (await lab.get("/user/ann/streak")).json()["streaks"][0]
    assert (streak["currentLength"], streak["status"]) == (3, "completed")
    stats = (await lab.get("/stats/event?period=7d")).json()
    assert stats["endDate"] == f"{begins + timedelta(days=2):%Y-%m-%d}"
    assert stats["data"]["totalEvents"] == 3
    board = (await lab.get("/leaderboard?timeframe=7d")).json()
    assert [user["points"] for user in board["users"]] == [30]
    (tier,) = (await lab.get("/user/ann/tier")).json()["tiers"]
    assert tier["tierId"] == "old"
    days = await active_days(lab)
    assert days == [f"{begins + timedelta(days=day):%Y-%m-%d}" for day in range(3)]

    reads = [f"/user/ann/{what}" for what in ("points", "streak", "tier")]
    then, told = await passed(), [(await lab.get(path)).json() for path in reads]

    year = begins + timedelta(days=366)
    assert await moved(lab, year) == year
    assert await clock(lab) == ("manual", year, 0)
    points = (await lab.get("/user/ann/points")).json()
    assert (points["points"], points["wallets"]) == (0, {})
    streak = (await lab.get("/user/ann/streak")).json()["streaks"][0]
    assert (streak["currentLength"], streak["longestLength"], streak["status"]) == (0, 3, "broken")
    (tier,) = (await lab.get("/user/ann/tier")).json()["tiers"]
    assert (tier["tierId"], tier["since"]) == ("new", f"{begins.year + 1}-01-01T00:00:00Z")
    progress = (await lab.get("/schema/challenge_progress/record")).json()["data"]
    assert {each["challengeProgressStatus"] for each in progress} == {"failed"}
    assert (await lab.get("/leaderboard?timeframe=7d")).json()["users"] == []
    (current,) = (await lab.get("/user/ann/challenge")).json()["challenges"]
    assert current["periodKey"] == f"{year:%Y-%m}"
    was = {"asOf": then.isoformat()}
    assert [(await lab.get(path, params=was)).json() for path in reads] == told


async def active_days(client: httpx.AsyncClient) -> list[str]:
    """Return the days on which statistics have events."""
    found = (await client.get("/stats/event?period=30d")).json()
    return sorted(found["data"]["dailyData"])


async def test_what_cannot_be_is_refused(lab: httpx.AsyncClient) -> None:
    _, begins, _ = await clock(lab)
    start = begins + timedelta(days=1)
    await moved(lab, start)
    six_years = start + timedelta(days=6 * 366)
    for now in (
        six_years.isoformat(),
        (start - timedelta(microseconds=1)).isoformat(),
        f"{start:%Y-%m-%dT%H:%M:%S}",
        "yesterday",
        7,
        None,
    ):
        answer = await lab.post("/clock", json={"now": now})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.text
        assert [error["field"] for error in answer.json()["errors"]] == ["now"]
    for body in ({}, {"now": start.isoformat(), "by": "me"}):
        assert (await lab.post("/clock", json=body)).status_code == 400
    assert await moved(lab, start) == start  # the same again
    assert await clock(lab) == ("manual", start, 0)


async def test_a_live_project_s_clock_is_not_moved(full_stack: Served) -> None:
    async with await full_stack.client(project=LIVE) as client:
        answer = await client.post("/clock", json={"now": "2030-01-01T00:00:00Z"})
        assert (answer.status_code, answer.json()["code"]) == (403, "clock_is_live")
        kind, now, behind = await clock(client)
        assert (kind, behind) == ("live", 0)
        assert abs(datetime.now(UTC) - now) < timedelta(minutes=10)


async def test_only_an_admin_moves_a_clock(full_stack: Served) -> None:
    body = {"now": "2030-01-01T00:00:00Z"}
    for role, reads in ((Role.PRODUCER, 403), (Role.ANALYST, 200)):
        async with await full_stack.client(role, project=LIVE) as client:
            assert (await client.post("/clock", json=body)).status_code == 403
            assert (await client.get("/clock")).status_code == reads
    async with await full_stack.end_user("ann", LIVE) as user:
        assert (await user.post("/clock", json=body)).status_code == 403
    async with full_stack.guest() as guest:
        assert (await guest.post("/clock", json=body)).status_code == 401


async def test_two_moves_at_once_end_at_the_later_moment(lab: httpx.AsyncClient) -> None:
    _, begins, _ = await clock(lab)
    times = [begins + timedelta(days=day) for day in (3, 9)]
    answers = await asyncio.gather(
        *(lab.post("/clock", json={"now": time.isoformat()}) for time in times)
    )
    assert [answer.status_code for answer in answers][1] == 200
    assert answers[0].status_code in (200, 400)
    assert await clock(lab) == ("manual", times[1], 0)


async def test_a_clock_stays_what_it_is_once_there_are_members(
    full_stack: Served, lab: httpx.AsyncClient
) -> None:
    (stored,) = (await lab.get("/definitions/project")).json()["data"]
    name = stored["id"]
    for to in ("live", "manual"):  # either way, while nobody is there
        assert (await put(lab, "project", name, clock=to)).status_code == 200
    assert (await lab.post("/schema/member/record", json={"externalId": "ann"})).status_code == 201
    refused = await put(lab, "project", name, clock="live")
    assert (refused.status_code, refused.json()["code"]) == (409, "clock_in_use")
    refused = await lab.delete(f"/definitions/project/{name}")
    assert (refused.status_code, refused.json()["code"]) == (409, "clock_in_use")
    answer = await put(lab, "project", name, clock="manual", timezone="Asia/Tokyo")
    assert answer.status_code == 200

    document = json.dumps({"kind": "project", "id": name})
    applied = await asyncio.to_thread(run, full_stack.settings, "apply", "-f", "-", stdin=document)
    assert applied.returncode == 1
    assert "clock: cannot be changed" in applied.stderr


async def test_a_call_that_was_cut_off_is_finished_by_the_same_call(
    full_stack: Served, lab: httpx.AsyncClient
) -> None:
    """The call is noted, and nothing of it was written."""
    _, begins, _ = await clock(lab)
    to = begins + timedelta(days=40)
    (stored,) = (await lab.get("/definitions/project")).json()["data"]
    statement = "INSERT INTO milestream_private.clock_calls VALUES (%s, %s)"
    await execute(full_stack, statement, stored["id"], to)
    assert await clock(lab) == ("manual", to, full_stack.settings.partitions)
    assert await moved(lab, to) == to
    assert await clock(lab) == ("manual", to, 0)


async def execute(api: Served, statement: str, *values: object) -> None:
    async with await AsyncConnection.connect(api.settings.database_url) as connection:
        await connection.execute(statement.encode(), values)


async def test_where_nobody_folds_the_clock_is_on_its_way(api_without_worker: Served) -> None:
    partitions = api_without_worker.settings.partitions
    async with await api_without_worker.client(project=LAB) as client:
        assert (await put(client, "project", LAB, clock="manual")).status_code == 201
        to = datetime.now(UTC) + timedelta(days=1)
        answer = await client.post("/clock", json={"now": to.isoformat()})
        assert answer.status_code == 202, answer.text
        assert (answer.json()["behind"], list(answer.json())) == (partitions, ["now", "behind"])
        assert await clock(client) == ("manual", to, partitions)
