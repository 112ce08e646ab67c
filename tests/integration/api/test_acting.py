"""What admins do on the dashboard and analysts look at: dead letters sent back, definitions."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from api.auth import sessions
from api.auth.credentials import Role
from api.dead_letters.turns import NotNow, Turns
from api.queries.dashboard import dead_letters as queries
from api.resources import connection_pool
from schemas.places import place
from tests.integration.api.serving import PATIENCE_SECONDS, Served

PROJECT = "acting"
CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e0a"
TIME = "2026-11-20T10:00:00Z"
LETTERS = "/dashboard/dead-letters"


def log(number: int, member: str = "bob") -> dict[str, Any]:
    return {
        "challengeId": CHALLENGE,
        "ownedBy": {"externalId": member, "firstName": "<b>Bob</b>"},
        "activityAt": TIME, "activityId": "bought", "uniqueIdentifier": f"o-{number}",
        "activityValue": 60,
    }  # fmt: skip


async def refused(admin: httpx.AsyncClient, *logs: dict[str, Any]) -> None:
    """Send logs that become dead letters, and wait until these are listed."""
    before = (await listed(admin))["letters"]
    for each in logs:
        answer = await admin.post("/schema/challenge_log/record", json=each)
        assert answer.status_code == 404, answer.text
    wanted = len(before) + len(logs)
    await until(lambda: listed(admin), lambda shown: len(shown["letters"]) == wanted)


async def until(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], bool]) -> Any:
    """Ask until the answer is good; return it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not good(found := await ask()):  # noqa: ASYNC110  (the state is another process's)
            await asyncio.sleep(0.05)
    return found


async def listed(client: httpx.AsyncClient, **query: str) -> Any:
    answer = await client.get(LETTERS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def redrive(client: httpx.AsyncClient, **body: Any) -> Any:
    answer = await client.post("/dashboard/redrive", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def admin(full_stack: Served) -> Any:
    async with await full_stack.client(project=PROJECT) as client:
        await refused(client, *(log(number) for number in range(4)))
        yield client


@pytest.mark.asyncio(loop_scope="module")
async def test_letters_go_back_one_by_one_and_then_the_rest_each_once(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    shown = await listed(admin, reason="unknown_challenge")
    (reason,) = shown["reasons"]
    assert (reason["reason"], reason["letters"], reason["waiting"]) == ("unknown_challenge", 4, 4)
    first, *others = shown["letters"]
    whole = (await admin.get(f"{LETTERS}/{first['id']}")).json()
    assert CHALLENGE in whole["value"]

    challenge = {
        "id": CHALLENGE, "name": "Spend", "aggregationMethod": "sum",
        "aggregationPeriod": "all_time", "completionTargetValue": 1000,
    }  # fmt: skip
    made = await admin.post("/schema/challenge/record", json=challenge)
    assert made.status_code == 201, made.text
    gone = f"0-{10**9}"
    chosen = {"letters": [first["id"], gone, "99-1"]}
    done = await redrive(admin, **chosen)
    sent = {"topic": "challenge-logs", "reason": "unknown_challenge"}
    assert done == {
        "sent": [sent | {"letters": 1}], "failed": [], "redriven": 0, "gone": 2, "more": False,
    }  # fmt: skip
    assert (await redrive(admin, **chosen))["redriven"] == 1
    waiting = (await listed(admin))["letters"]
    assert {each["id"] for each in waiting} == {each["id"] for each in others}
    everything = (await listed(admin, state="all"))["letters"]
    assert [each["id"] for each in everything if not each["waits"]] == [first["id"]]
    assert len(everything) == 4

    async with await full_stack.client(project="elsewhere") as other:
        nothing = {"reasons": [], "letters": [], "more": False, "whole": True}
        assert await listed(other) == nothing
        assert (await other.get(f"{LETTERS}/{others[0]['id']}")).status_code == 404
        assert (await redrive(other, letters=[others[0]["id"]]))["gone"] == 1
        assert (await redrive(other))["sent"] == []

    both = await asyncio.gather(redrive(admin, reason="unknown_challenge"), redrive(admin))
    assert sum(s["letters"] for done in both for s in done["sent"]) == 3
    assert (await listed(admin))["letters"] == []

    async def total() -> int:
        query = {"fetchTotalCount": "true"}
        logs = await admin.get("/schema/challenge_log/record", params=query)
        return int(logs.json()["paging"]["totalCount"])

    await until(total, lambda count: count == 4)


@pytest.mark.asyncio(loop_scope="module")
async def test_very_many_letters_are_not_all_counted(
    full_stack: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "COUNTED", 3)
    monkeypatch.setattr(queries, "LOOKED_THROUGH", 4)
    passed = queries.Passed([(None, place(0, 2)), ("invalid", place(0, 4))], [place(0, 1)], [])
    async with await AsyncConnection.connect(full_stack.settings.database_url) as connection:
        await connection.execute(
            """
            INSERT INTO milestream.dead_letters (project, reason, message, topic, partition,
                "offset", key_encoding, headers, attempts, at, place)
            SELECT 'many', (ARRAY['inactive', 'invalid'])[n % 2 + 1], '', 'events', 9, n, 'utf-8',
                '[]', 1, now() + n * interval '1 s', n FROM generate_series(0, 6) AS n
            """
        )
        found = await queries.reasons(connection, "many", passed)
        told = {r["reason"]: (r["letters"], r["waiting"], r["more"]) for r in found}
        assert told == {"inactive": (3, 3, True), "invalid": (3, 2, False)}
        every = {"offset": 0, "limit": 10}
        page = await queries.page(connection, "many", passed, reason=None, waiting=True, **every)
        assert [each["id"] for each in page] == ["0-6", "0-5", "0-4"]
        page = await queries.page(
            connection, "many", passed, reason="invalid", waiting=False, **every
        )
        states = [(each["id"], each["waits"]) for each in page]
        assert states == [("0-5", True), ("0-3", False), ("0-1", True)]
        await connection.execute("DELETE FROM milestream.dead_letters WHERE project = 'many'")


@pytest.mark.asyncio(loop_scope="module")
async def test_redrives_of_several_processes_take_turns(full_stack: Served) -> None:
    settings = full_stack.settings
    async with connection_pool(settings) as one, connection_pool(settings) as another:
        async with Turns(one).turn("acme", PATIENCE_SECONDS):
            for project in ("acme", "other"):
                with pytest.raises(NotNow):
                    async with Turns(another).turn(project, 0.2):
                        pytest.fail("two at once")
        async with Turns(another).turn("acme", PATIENCE_SECONDS):
            pass


@pytest.mark.asyncio(loop_scope="module")
async def test_letters_of_before_there_were_places_stay_in_sight(full_stack: Served) -> None:
    async with await full_stack.client(project="unplaced") as client:
        await refused(client, log(1), log(2))
        async with await AsyncConnection.connect(full_stack.settings.database_url) as connection:
            await connection.execute(
                """
                UPDATE milestream.dead_letters SET place = NULL WHERE ctid = (
                    SELECT ctid FROM milestream.dead_letters WHERE project = 'unplaced' LIMIT 1
                )
                """
            )
        shown = await listed(client)
        assert states(shown) == [(False, True), (True, None)]
        (id_,) = [each["id"] for each in shown["letters"] if each["id"]]
        assert (await redrive(client, letters=[id_]))["sent"][0]["letters"] == 1
        # The challenge is not there, so that it comes back as another letter.
        shown = await until(lambda: listed(client), lambda found: len(found["letters"]) == 2)
        assert states(shown) == [(False, True), (True, None)]
        (reason,) = shown["reasons"]
        assert (reason["letters"], reason["waiting"], reason["unplaced"]) == (3, 1, 1)


def states(shown: Any) -> list[tuple[bool, bool | None]]:
    """Return of each letter whether it has no id, and whether it waits."""
    return sorted((each["id"] is None, each["waits"]) for each in shown["letters"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("admin")
async def test_analysts_look_and_do_not_act(full_stack: Served) -> None:
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        shown = await listed(analyst, state="all")
        letter = shown["letters"][0]["id"]
        assert (await analyst.get(f"{LETTERS}/{letter}")).status_code == 200
        for body in ({}, {"letters": [letter]}, {"reason": "invalid"}):
            assert (await analyst.post("/dashboard/redrive", json=body)).status_code == 403
    async with await full_stack.client(Role.PRODUCER, PROJECT) as producer:
        for path in (LETTERS, f"{LETTERS}/{letter}", "/dashboard/definitions"):
            assert (await producer.get(path)).status_code == 403


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_no_redrive_is_refused(admin: httpx.AsyncClient) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {"letters": []},
        {"letters": ["0-1"] * 101},
        {"letters": ["x"]},
        {"letters": ["0-1"], "reason": "invalid"},
        {"reason": "boredom"},
        {"all": True},
    )
    for body in bodies:
        answer = await admin.post("/dashboard/redrive", json=body)
        assert answer.status_code == 400, (body, answer.text)
    for query in ({"reason": "boredom"}, {"state": "x"}, {"offset": "-1"}, {"offset": "10001"}):
        assert (await admin.get(LETTERS, params=query)).status_code == 400, query
    for letter in ("0-99999999", "x", "0-" + "9" * 15, "99999-0"):
        assert (await admin.get(f"{LETTERS}/{letter}")).status_code == 404, letter


@pytest.mark.asyncio(loop_scope="module")
async def test_another_site_cannot_redrive_with_a_browsers_login(full_stack: Served) -> None:
    key = await full_stack.key(project=PROJECT)
    async with await AsyncConnection.connect(full_stack.settings.database_url) as connection:
        token = await sessions.make_link(connection, key.key_id)
    async with full_stack.guest() as browser:
        await browser.get("/login", params={"token": token})
        assert sessions.COOKIE in browser.cookies
        path = "/dashboard/redrive"
        assert (await browser.post(path, json={})).status_code == 401
        page = {sessions.HEADER: "1"}
        assert (await browser.post(path, json={}, headers=page)).status_code == 200
        basic = httpx.BasicAuth(key.key_id, key.secret)
        foreign = {"origin": "https://elsewhere.example"}
        answer = await browser.post(path, json={}, auth=basic, headers=foreign)
        assert answer.status_code == 403


@pytest.mark.asyncio(loop_scope="module")
async def test_a_forgotten_members_record_comes_back_without_names(
    admin: httpx.AsyncClient,
) -> None:
    unknown = log(9, "eve") | {"challengeId": CHALLENGE.replace("0a", "0b")}
    await refused(admin, unknown)
    (letter,) = (await listed(admin))["letters"]
    member = {"externalId": "eve", "firstName": "Eve"}
    assert (await admin.post("/schema/member/record", json=member)).status_code == 201
    assert (await admin.post("/user/eve/forget", json={})).status_code == 200
    challenge = {
        "id": unknown["challengeId"], "name": "Other", "aggregationMethod": "sum",
        "aggregationPeriod": "all_time", "completionTargetValue": 1000,
    }  # fmt: skip
    assert (await admin.post("/schema/challenge/record", json=challenge)).status_code == 201
    done = await redrive(admin, letters=[letter["id"]])
    assert done["sent"][0]["letters"] == 1

    async def found() -> Any:
        return (await admin.get("/dashboard/members", params={"search": "eve"})).json()["members"]

    (eve,) = await until(found, lambda members: len(members) == 1)
    assert eve["name"] is None


@pytest.mark.asyncio(loop_scope="module")
async def test_definitions_are_shown_as_yaml_with_what_changed(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    path = "/definitions/event/visit"
    event = {"title": "<i>Visit</i>", "type": "FIXED", "reward": {"default": 5}}
    assert (await admin.put(path, json=event, headers={"x-actor": "ann"})).status_code == 201
    assert (await admin.put(path, json=event | {"reward": {"default": 7}})).status_code == 200
    named = {"kind": "event", "id": "visit"}

    async def read() -> Any:
        return (await admin.get("/dashboard/definition", params=named)).json()

    shown = await until(read, lambda found: len(found.get("versions", ())) == 2)
    assert shown["yaml"].startswith(f"kind: event\nproject: {PROJECT}\nid: visit\n")
    assert [line for line in shown["changes"] if line[0] in "+-"] == [
        ["-", "  default: 5"], ["+", "  default: 7"],
    ]  # fmt: skip
    newest, first = shown["versions"]
    assert (first["actor"], newest["actor"]) == ("ann", None)
    old = {**named, "version": first["version"]}
    shown = (await admin.get("/dashboard/definition", params=old)).json()
    assert "default: 5\n" in shown["yaml"]
    assert shown["against"] is None
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        listed = (await analyst.get("/dashboard/definitions")).json()["definitions"]
        assert ("event", "visit", "<i>Visit</i>") in {
            (each["kind"], each["id"], each["name"]) for each in listed
        }
    async with await full_stack.client(project="elsewhere") as other:
        assert (await other.get("/dashboard/definition", params=named)).status_code == 404
        assert (await other.get("/dashboard/definitions")).json()["definitions"] == []
    for bad in ({"kind": "x", "id": "visit"}, {**named, "version": "1"}, {**named, "against": "0"}):
        answer = await admin.get("/dashboard/definition", params=bad)
        assert answer.status_code == 404, (bad, answer.text)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_report_is_looked_at_and_applied_as_it_was_asked_for(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    path = "/dashboard/recalculations"
    text = (await admin.get(f"{path}/of/{CHALLENGE}")).json()["definitions"]
    body = f'{{"definitions": {text.replace("1000", "123.123456789")}}}'
    begun = await admin.post("/recalculations", content=body)
    assert begun.status_code == 202, begun.text
    report = f"{path}/{begun.json()['id']}"

    async def read(address: str = report) -> Any:
        return (await admin.get(address)).json()

    shown = await until(read, lambda found: found["status"] != "running")
    assert (shown["status"], shown["members"], shown["completions"]) == ("reported", 1, 1)
    assert "123.123456789" in shown["definitions"]
    assert {each["kind"] for each in shown["sums"]} >= {"completion"}
    assert {each["externalId"] for each in shown["changes"]} == {"bob"}
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        assert (await analyst.get(report)).status_code == 200
        assert (await analyst.post(f"{report}/apply", json={})).status_code == 403
        assert (await analyst.post("/recalculations", content=body)).status_code == 403
    async with await full_stack.client(project="elsewhere") as other:
        assert (await other.get(report)).status_code == 404
        assert (await other.post(f"{report}/apply", json={})).status_code == 404
        assert (await other.get(path)).json() == {"recalculations": []}
    bounds = {"maxPoints": 0, "maxRewards": 0}
    challenge = f"/definitions/challenge/{CHALLENGE}"
    was = (await admin.get(challenge)).json()
    assert (await admin.put(challenge, json={**was, "name": "Of others"})).is_success
    refused = await admin.post(f"{report}/apply", json=bounds)
    assert (refused.status_code, refused.json()["code"]) == (409, "definitions_changed")
    assert f"challenge {CHALLENGE}" in refused.json()["detail"]
    assert (await admin.put(challenge, json=was)).is_success
    applied = await admin.post(f"{report}/apply", json=bounds)
    assert applied.status_code == 202, applied.text
    address = f"{path}/{applied.json()['id']}"
    shown = await until(lambda: read(address), lambda found: found["status"] != "running")
    assert (shown["status"], shown["completions"]) == ("applied", 1)
    assert (await admin.post(f"{address}/apply", json={})).json()["code"] == "not_reported"
    assert [each["id"] for each in (await read(path))["recalculations"]] == [
        shown["id"], begun.json()["id"],
    ]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
async def test_a_report_calls_what_is_only_proposed_by_its_name(admin: httpx.AsyncClient) -> None:
    milestone = {
        "kind": "milestone", "id": "0a0a0a0a-0000-4000-8000-00000000a1ed", "name": "Proposed",
        "linkedSchemaRecordId": CHALLENGE, "milestoneTargetValue": 1,
    }  # fmt: skip
    begun = await admin.post("/recalculations", json={"definitions": [milestone]})
    assert begun.status_code == 202, begun.text

    async def read() -> Any:
        return (await admin.get(f"/dashboard/recalculations/{begun.json()['id']}")).json()

    shown = await until(read, lambda found: found["status"] != "running")
    assert (shown["status"], shown["rewards"]) == ("reported", 1)
    for rows in (shown["sums"], shown["changes"]):
        assert ("milestone", "Proposed") in {(each["kind"], each["name"]) for each in rows}
