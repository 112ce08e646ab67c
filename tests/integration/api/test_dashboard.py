"""The dashboard: what it shows of challenges and members, to whom, and in a browser."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from api.auth import sessions
from api.auth.credentials import Role
from tests.integration.api.browser import browser, is_there
from tests.integration.api.serving import PATIENCE_SECONDS, Served
from tests.integration.api.test_pathway_logs import activity, did, enrol, send
from tests.integration.api.test_pathway_logs import member as upserted

NAME = "<img src=x onerror=alert(1)>"
TIME = "2026-11-20T10:00:00Z"
PROJECT = "shown"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def member(full_stack: Served) -> str:
    """The id of a member that reached a milestone; challenge and member have a name to escape."""
    async with await full_stack.client(project=PROJECT) as admin:
        challenge = {
            "name": f"Spend {NAME}", "aggregationMethod": "sum", "aggregationPeriod": "monthly",
            "completionTargetValue": 100, "timezone": "UTC",
        }  # fmt: skip
        made = (await admin.post("/schema/challenge/record", json=challenge)).json()
        milestone = {
            "name": "Half", "milestoneTargetValue": 50, "linkedSchemaRecordId": made["id"],
            "linkedSchemaSlug": "challenge",
        }  # fmt: skip
        created = await admin.post("/schema/milestone/record", json=milestone)
        assert created.status_code == 201, created.text
        log = {
            "challengeId": made["id"],
            "ownedBy": {"externalId": "ada", "firstName": NAME, "email": "ada@example.com"},
            "activityAt": TIME, "activityId": "bought", "uniqueIdentifier": "o-1",
            "activityValue": 60,
        }  # fmt: skip
        definitions = {
            "event/visited": {"title": "Visited", "type": "FIXED", "reward": {"default": 7}},
            "streak/visits": {"eventIds": ["visited"], "period": "daily", "targetLength": 3},
            "pathway/steps": {
                "name": "First steps",
                "activities": [
                    {"id": "read", "name": "Read it", "type": "video", "fulfilmentType": "view"}
                ],
            },
        }
        for path, definition in definitions.items():
            put = await admin.put(f"/definitions/{path}", json=definition)
            assert put.status_code < 300, put.text
        logged = (await admin.post("/schema/challenge_log/record", json=log)).json()
        # A read of records waits until the tables have it; the dashboard does not wait.
        await admin.get(f"/schema/challenge_log/record/{logged['id']}")
        await admin.get("/schema/reward_log/record")
        visited = await admin.post("/event", json={"eventId": "visited", "userId": "ada"})
        assert visited.status_code == 200, visited.text
        await admin.get("/user/ada/points")
        await admin.get("/analytics/streak", params={"streakId": "visits"})
    return str(logged["ownedById"])


async def found(admin: httpx.AsyncClient, text: str) -> list[Any]:
    answer = await admin.get("/dashboard/members", params={"search": text})
    assert answer.status_code == 200, answer.text
    return [each["memberId"] for each in answer.json()["members"]]


@pytest.mark.asyncio(loop_scope="module")
async def test_members_are_found_by_what_names_them(full_stack: Served, member: str) -> None:
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        for text in ("ada", "ad", "ADA@example.com", "ada@", "<IMG src", "onerror", member):
            assert await found(analyst, text) == [member], text
        for text in ("nobody", "%", "_", "00000000-0000-4000-8000-000000000000"):
            assert await found(analyst, text) == [], text
        for bad in ("", " ", "x" * 257, "a\x00b"):
            answer = await analyst.get("/dashboard/members", params={"search": bad})
            assert answer.status_code == 400, bad


@pytest.mark.asyncio(loop_scope="module")
async def test_a_member_is_shown_with_names(full_stack: Served, member: str) -> None:
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        shown = (await analyst.get(f"/dashboard/members/{member}")).json()
        challenges = (await analyst.get("/dashboard/challenges")).json()["challenges"]
    assert shown["member"]["externalId"] == "ada"
    assert [(p["name"], p["value"], p["target"]) for p in shown["progress"]] == [
        (f"Spend {NAME}", 60, 100)
    ]
    assert [(r["milestone"], r["status"]) for r in shown["rewards"]] == [("Half", "granted")]
    assert [(t["kind"], t["what"]) for t in shown["timeline"]] == [
        ("event", "Visited"),
        ("log", f"Spend {NAME}"),
    ]
    (funnel,) = challenges
    assert (funnel["periodKey"], funnel["started"], funnel["completed"]) == ("2026-11", 1, 0)
    assert funnel["milestones"] == [{"name": "Half", "target": 50, "reached": 1}]


@pytest.mark.asyncio(loop_scope="module")
async def test_others_are_shown_nothing(full_stack: Served, member: str) -> None:
    paths = (
        *(f"/dashboard/{name}" for name in ("session", "data", "rewards", "streaks", "points")),
        "/dashboard/pathways",
        "/dashboard/challenges",
        "/dashboard/members?search=ada",
        f"/dashboard/members/{member}",
    )
    async with await full_stack.client(Role.PRODUCER, PROJECT) as producer:
        assert {(await producer.get(path)).status_code for path in paths} == {403}
    async with await full_stack.client(project="elsewhere") as other:
        assert (await other.get(f"/dashboard/members/{member}")).status_code == 404
        assert await found(other, "ada") == []
        assert (await other.get("/dashboard/members/no-uuid")).status_code == 404
    async with await full_stack.end_user("ada", PROJECT) as user:
        assert {(await user.get(path)).status_code for path in paths} == {403}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("GET /dashboard/data?project=elsewhere", "project"),
        ("GET /dashboard/members?search=ada&search=bob", "search"),
        ("GET /dashboard/members?search=ada&serach=bob", "serach"),
        ("GET /dashboard/dead-letters?reason=poison&reason=invalid", "reason"),
        ("GET /dashboard/definition?kind=challenge&id=1&version=1&version=2", "version"),
        ("POST /dashboard/redrive?dryRun=true", "dryRun"),
        ("POST /dashboard/redrive?letters=0", "letters"),
    ],
)
async def test_what_the_query_has_beside_what_is_known_is_refused(
    full_stack: Served, call: str, named: str
) -> None:
    method, path = call.split()
    async with await full_stack.client(project=PROJECT) as admin:
        refused = await admin.request(method, path, json={} if method == "POST" else None)
    assert refused.status_code == 400
    assert named in refused.text


@pytest.mark.asyncio(loop_scope="module")
async def test_pages_have_their_figures(full_stack: Served, member: str) -> None:
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        session = (await analyst.get("/dashboard/session")).json()
        live = (await analyst.get("/dashboard/data")).json()
        rewards = (await analyst.get("/dashboard/rewards")).json()
        streaks = (await analyst.get("/dashboard/streaks")).json()
        points = (await analyst.get("/dashboard/points")).json()
        pathways = (await analyst.get("/dashboard/pathways")).json()
        by_name = (await analyst.get("/dashboard/members/ada")).json()
    assert (session["project"], session["role"]) == (PROJECT, "analyst")
    assert (live["deadLettersPerSecond"], live["askAgainSeconds"]) == (0, 2.0)
    assert live["replies"][-1][1] >= 1
    (milestone,) = rewards["milestones"]
    assert (milestone["name"], milestone["reached"]) == ("Half", 1)
    assert rewards["days"] == [{"day": "2026-11-20", "reached": 1}]
    assert [each["member"] for each in rewards["rewards"]] == ["ada"]
    ((streak,), (pathway,)) = (streaks["streaks"], pathways["pathways"])
    assert (streak["id"], streak["participants"], streak["share"]) == ("visits", 1, 1)
    assert (pathway["name"], pathway["enrolled"]) == ("First steps", 0)
    assert [each["name"] for each in pathway["activities"]] == ["Read it"]
    assert points["owed"]["share"] == points["flow"]["share"] == 1
    assert [(row["balance"], row["members"]) for row in points["owed"]["rows"]] == [(7, 1)]
    assert [(row["operation"], row["points"]) for row in points["flow"]["rows"]] == [("grant", 7)]
    assert by_name["member"]["memberId"] == member


async def read_in(connection: AsyncConnection, table: str) -> None:
    """Wait until a read of a table waits for its lock."""
    waits = """
        SELECT EXISTS (SELECT FROM pg_locks
            WHERE NOT granted AND mode = 'AccessShareLock' AND relation = %s::regclass)
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await (await connection.execute(waits, (table,))).fetchone()) != (True,):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("page", ["points", "members/ada"])
@pytest.mark.usefixtures("member")
async def test_a_page_shows_one_moment(full_stack: Served, page: str) -> None:
    """What is written between two of its statements is in none of its parts."""

    async def add(connection: AsyncConnection, points: int) -> None:
        for table in ("points_ledger", "event_log"):
            await connection.execute(
                f"UPDATE milestream.{table} SET points = points + %s WHERE project = %s",
                (points, PROJECT),
            )

    between = "milestream.points_lots"
    database = await AsyncConnection.connect(full_stack.settings.database_url)
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst, database:
        before = (await analyst.get(f"/dashboard/{page}")).json()
        await database.execute(f"LOCK TABLE {between}")
        await add(database, 1)
        asked = asyncio.create_task(analyst.get(f"/dashboard/{page}"))
        await read_in(database, between)
        await database.commit()
        shown = (await asked).json()
        after = (await analyst.get(f"/dashboard/{page}")).json()
        await add(database, -1)
    assert shown == before != after


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_pathway_gives_is_called_by_its_name(full_stack: Served) -> None:
    project, milestone_id = "walked", "00000000-0000-4000-8000-00000000a1ed"
    linked = {"linkedSchemaSlug": "pathway", "linkedSchemaRecordId": "steps"}
    milestone = {"name": "Reader", "milestoneTargetValue": 1, **linked}
    steps = {"name": "First steps", "activities": [activity("read", "Read it")]}
    async with await full_stack.client(project=project) as admin:
        for path, body in (("pathway/steps", steps), (f"milestone/{milestone_id}", milestone)):
            put = await admin.put(f"/definitions/{path}", json=body)
            assert put.status_code < 300, put.text
        walked = did(project, "steps", "read", "ada", TIME)
        await send(full_stack, upserted(project, "ada"), enrol(project, "steps", "ada"), walked)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            shown = (await admin.get("/dashboard/rewards")).json()
            live = (await admin.get("/dashboard/data")).json()
            if shown["rewards"] and shown["milestones"] and live["milestones"]:
                break
            assert time.monotonic() < deadline, (shown, live)
            await asyncio.sleep(0.1)
        owner = (await admin.get(f"/dashboard/members/{shown['rewards'][0]['memberId']}")).json()
    assert [(p["name"], p["enrolled"]) for p in owner["pathways"]] == [("First steps", True)]
    assert [(p["completed"], p["activities"]) for p in owner["pathways"]] == [(1, 1)]
    rows = (*shown["rewards"], *shown["milestones"], *owner["rewards"])
    assert [each["of"] for each in rows] == ["First steps"] * 3
    assert [each["challenge"] for each in live["milestones"]] == ["First steps"]


@pytest.mark.skipif(not is_there(), reason="there is no browser")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_browser_signs_in_and_shows_every_page(
    full_stack: Served, member: str, tmp_path: Path
) -> None:
    key = await full_stack.key(project=PROJECT)
    async with await AsyncConnection.connect(full_stack.settings.database_url) as connection:
        token = await sessions.make_link(connection, key.key_id)
    shown = (
        "document.querySelector('#place > div')?.childElementCount"
        " && !document.querySelector('[aria-busy]')"
    )
    with browser(tmp_path) as tab:
        tab.look(400, dark=True)
        tab.open(f"{full_stack.url}/login?token={token}")
        tab.wait(shown)
        links = "[...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href'))"
        pages = [link for link in tab.value(links) if link.startswith("#")]
        assert len(pages) > 7
        title = ""
        for page in (*pages, f"#member/{member}"):
            tab.value(
                f"document.querySelector('#place').replaceChildren(); location.hash = '{page}'"
            )
            tab.wait(shown)
            title, trouble, over = tab.value(
                "[document.title, document.querySelector('#trouble').textContent,"
                " document.documentElement.scrollWidth - document.documentElement.clientWidth]"
            )
            assert (trouble, over) == ("", 0), f"{page} ({title})"
        assert title == f"{NAME} (ada) · Milestream"
        text = tab.value("document.body.innerText").replace("\u00a0", " ")
        for part in ("ada@example.com", "Half", "November 2026", "What if"):
            assert part in text, part
        assert tab.value("document.images.length") == 0
        assert tab.faults == []
