"""The pathway logs face with worker and projector: Kafka in, the published answer out."""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from api.auth.credentials import Role
from schemas import ids
from schemas.topics import ACTIVITY_LOGS, DEFINITIONS, MEMBER_COMMANDS
from tests.integration.api import published_pathway_logs as published
from tests.integration.api.serving import PATIENCE_SECONDS, Served
from tests.integration.projections.driving import caught_up
from tests.plain_http import NO_TLS

URL = "/v1/logs/pathway-logs"
FORM = {"content-type": "application/x-www-form-urlencoded"}
"""What `curl -d` says of a body."""
STORE_OWNER = "EV67-ZCNS-56AD"
TRACKING, STORY = "EVPA-WVZF-56QJ", "EVPA-KWOI-80AI"

Record = tuple[str, bytes, dict[str, Any]]


async def send(served: Served, *records: Record) -> None:
    """Write records in this order. Keyed by member, for order across partitions is not kept."""
    async with AIOKafkaProducer(**served.settings.kafka_options()) as producer:
        for topic, key, value in records:
            text = json.dumps(value).encode()
            await producer.send_and_wait(served.settings.topic(topic), text, key=key)


def pathway(project: str, id_: str, name: str, *activities: dict[str, Any]) -> Record:
    """The definition of a pathway."""
    fields = {"id": id_, "name": name, "activities": activities}
    return (DEFINITIONS, f"{project}/pathway/{id_}".encode(), fields)


def activity(
    id_: str, name: str, type_: str = "video", by: str = "view", **more: Any
) -> dict[str, Any]:
    """An activity of a pathway."""
    return {"id": id_, "name": name, "type": type_, "fulfilmentType": by, **more}


def member(project: str, user: str, **fields: Any) -> Record:
    """The command that makes or changes a member."""
    command = {"type": "upsert-member", "project": project, "externalId": user, **fields}
    return (MEMBER_COMMANDS, ids.member_id(project, user).encode(), command)


def enrol(project: str, pathway_id: str, user: str, type_: str = "enrol") -> Record:
    """The command that enrols a member."""
    command = {"type": type_, "project": project, "pathwayId": pathway_id, "userId": user}
    return (MEMBER_COMMANDS, ids.member_id(project, user).encode(), command)


def did(
    project: str, pathway_id: str, activity_id: str, user: str, at: str, **fulfilment: Any
) -> Record:
    """An activity log."""
    log = {
        "project": project,
        "pathwayId": pathway_id,
        "activityId": activity_id,
        "userId": user,
        "occurredAt": at,
        "uniqueIdentifier": f"{activity_id}-{at}",
        "fulfilment": fulfilment,
    }
    return (ACTIVITY_LOGS, ids.member_id(project, user).encode(), log)


async def basic(served: Served, project: str, role: Role = Role.ANALYST) -> httpx.AsyncClient:
    """Return a client with Basic credentials."""
    key = await served.key(role, project)
    login = httpx.BasicAuth(key.key_id, key.secret)
    return httpx.AsyncClient(
        base_url=served.url, auth=login, timeout=PATIENCE_SECONDS, verify=NO_TLS
    )


Logs = dict[str, Any]


async def post(client: httpx.AsyncClient, body: str | dict[str, Any]) -> httpx.Response:
    """Send a body as `curl -d` does."""
    text = body if isinstance(body, str) else json.dumps(body)
    return await client.post(URL, content=text, headers=FORM)


async def ask(client: httpx.AsyncClient, body: str | dict[str, Any]) -> list[Logs]:
    """Return the activities of an answer, which is looked at as a whole."""
    answer = await post(client, body)
    assert answer.status_code == 200, answer.text
    decoded = answer.json()
    assert list(decoded) == ["status", "data", "hash", "response_time"]
    sent = re.fullmatch(
        r'\{"status":"success","data":(.*),"hash":"[^"]*",.*\}', answer.text, re.DOTALL
    )
    assert sent is not None
    assert hashlib.md5(sent[1].encode()).hexdigest() == decoded["hash"]  # noqa: S324
    assert 0 < decoded["response_time"] < 300
    (only,) = decoded["data"]
    activities: list[Logs] = only["activities"]
    return activities


async def until(
    client: httpx.AsyncClient, pathway_id: str, holds: Callable[[list[Logs]], bool]
) -> list[Logs]:
    """Ask until what was sent has been folded: until something holds."""
    deadline = time.monotonic() + 180
    while True:
        answer = await post(client, {"pathway": pathway_id})
        found = answer.json()["data"][0]["activities"] if answer.status_code == 200 else []
        if found and holds(found):
            return await ask(client, {"pathway": pathway_id})
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


def stats(activities: Sequence[Logs]) -> list[tuple[str, int, int]]:
    """Return (id, total, completed) of each activity."""
    return [(a["ID"], a["stats"]["total"], a["stats"]["completed"]) for a in activities]


def emails(activities: Sequence[Logs]) -> set[str]:
    """Return whose logs there are, the same ones in each activity."""
    (found,) = {tuple(sorted(log["email"] for log in a["logs"])) for a in activities}
    return set(found)


def without_offsets(value: Any) -> Any:
    """Return JSON with its timestamps as moments: 15:09+02:00 is 13:09Z."""
    if isinstance(value, dict):
        return {
            k: datetime.fromisoformat(v) if k == "timestamp" and v else without_offsets(v)
            for k, v in value.items()
        }
    return [without_offsets(each) for each in value] if isinstance(value, list) else value


def order_of_keys(value: Any) -> Any:
    """Return the keys of JSON objects in their order."""
    if isinstance(value, dict):
        return [(k, order_of_keys(v)) for k, v in value.items()]
    return [order_of_keys(each) for each in value] if isinstance(value, list) else None


async def test_the_published_answer_comes_back_from_records(full_stack: Served) -> None:
    data = {"category": "Current Score", "target": 159}
    profile = {"country": "South Africa", "city": "Cape Town", "groups": ["Group A", "Group B"]}
    at = "2022-02-24T{}+02:00".format
    await send(
        full_stack,
        pathway(
            "seed",
            STORE_OWNER,
            "Become A Store Owner",
            activity(TRACKING, "Data Tracking", "data", "tracking", data=data),
            activity(STORY, "Story A", "story", "complete"),
        ),
        member(
            "seed",
            "one",
            firstName="User",
            lastName="One",
            email="user.one@example.com",
            **profile,
        ),
        member("seed", "two", firstName="User", lastName="Two", email="user.two@example.com"),
        enrol("seed", STORE_OWNER, "one"),
        enrol("seed", STORE_OWNER, "two"),
        did("seed", STORE_OWNER, TRACKING, "one", at("15:09:57"), value=500),
        did("seed", STORE_OWNER, TRACKING, "two", at("15:09:57.25"), value=159),
        did("seed", STORE_OWNER, STORY, "one", at("14:56:56"), score=100),
    )
    async with await basic(full_stack, "seed") as client:
        wanted = [(TRACKING, 2, 2), (STORY, 2, 1)]
        await until(client, STORE_OWNER, lambda found: stats(found) == wanted)
        await caught_up(full_stack.settings)  # with the members' names, which lie elsewhere
        answer = (await post(client, {"pathway": "become a store owner"})).json()
    others = []
    for each in answer["data"][0]["activities"]:
        each["logs"].sort(key=lambda log: str(log["email"]))
        others.append(each["logs"].pop())
    expected = published.ANSWER | {name: answer[name] for name in ("hash", "response_time")}
    assert without_offsets(answer) == without_offsets(expected)
    assert order_of_keys(answer) == order_of_keys(published.ANSWER)
    assert [other["fulfilment"] for other in others][1:] == [[]]
    assert [other["status"]["complete"] for other in others] == [True, False]
    assert others[1] == {
        "firstname": "User",
        "lastname": "Two",
        "email": "user.two@example.com",
        "telephone": "",
        "country": "",
        "city": "",
        "groups": [],
        "status": {"complete": False, "progress": 0, "state": "not started", "timestamp": ""},
        "fulfilment": [],
    }


ALL = ["D", "S", "C", "V", "A", "X"]
EVERYBODY = {"joe.soap@example.com", "user.two@example.com", "zoe@example.com", ""}


@pytest_asyncio.fixture
async def pathway_a(full_stack: Served) -> AsyncIterator[httpx.AsyncClient]:
    """The published "Pathway A" with some activities and members, and a client that may read it."""
    way = "EV-A"
    wild = 'All 100% of "it" \\ _é'
    async with await basic(full_stack, "way-a") as client:
        if (await post(client, {"pathway": way})).status_code == 200:
            yield client  # made for another test
            return
        await send(
            full_stack,
            pathway(
                "way-a",
                way,
                "Pathway A",
                activity("D", "Data A", "data", "data", data={"category": "Sales", "target": 10}),
                activity("S", "Story A", "story", "complete", passScore=50, level=2),
                activity("C", "Certificate A", "certificate", required=False),
                activity("V", "Video A"),
                activity("A", "Audio A", "audio"),
                activity("X", wild, "assessment"),
            ),
            pathway("way-a", "EV-B", 'Pathway "B" 100%', activity("V", "Video A")),
            pathway("way-a", "EV-C", "Pathway B 1000"),
            member("way-a", "j", firstName="Joe", lastName="Soap", email="Joe.Soap@example.com"),
            member(
                "way-a", "t", firstName="User", email="user.two@example.com", groups=["North", "A"]
            ),
            member("way-a", "z", firstName="Zoé", lastName="O'Hara %", email="zoe@example.com"),
            member("way-a", "nameless", groups=["north"]),
            member("way-a", "gone", firstName="Gone", email="gone@example.com"),
            *(enrol("way-a", way, user) for user in ("j", "t", "z", "nameless")),
            did("way-a", way, "V", "gone", "2026-01-01T00:00:00Z"),
            did("way-a", way, "V", "j", "2026-01-01T00:00:00Z"),
            did("way-a", way, "S", "j", "2026-01-01T00:00:00Z", score=20, progress=40),
            did("way-a", way, "S", "j", "2026-01-01T00:00:00Z", score=20, progress=40),  # once more
        )
        await until(
            client,
            way,
            lambda found: stats(found)[3] == ("V", 4, 1) and "in progress" in json.dumps(found[1]),
        )
        await caught_up(full_stack.settings)
        yield client


async def test_every_published_curl_as_it_is_written(pathway_a: httpx.AsyncClient) -> None:
    async def found(body: str) -> tuple[list[str], set[str]]:
        activities = await ask(pathway_a, body)
        return [a["ID"] for a in activities], {log["email"].lower() for log in logs(activities)}

    assert await found(published.PATHWAY_A) == (ALL, EVERYBODY)
    assert await found(published.ONE_TYPE) == (["D"], EVERYBODY)
    assert await found(published.SEVERAL_TYPES) == (["D", "S", "C"], EVERYBODY)
    assert await found(published.ONE_USER) == (ALL, {"joe.soap@example.com"})
    two = {"joe.soap@example.com", "user.two@example.com"}
    assert await found(published.SEVERAL_USERS) == (["D", "S", "X"], two)
    assert await found(published.ONE_ACTIVITY) == (["S"], EVERYBODY)
    assert await found(published.SEVERAL_ACTIVITIES) == (["S", "V", "A"], EVERYBODY)


def logs(activities: Sequence[Logs]) -> list[Logs]:
    """Return all logs of an answer."""
    return [log for each in activities for log in each["logs"]]


@pytest.mark.parametrize(
    ("filters", "shown", "whose"),
    [
        ({"users": "joe soap"}, "DSCVAX", {"Joe.Soap@example.com"}),
        ({"users": ["JOE"], "user": "zoe@EXAMPLE.com"}, "DSCVAX", {"Joe.Soap@example.com", "z"}),
        ({"users": ["o'hara %", "nobody"]}, "DSCVAX", {"z"}),
        ({"users": "ZOÉ"}, "DSCVAX", {"z"}),
        ({"users": "Zoé O'Hara %"}, "DSCVAX", {"z"}),
        ({"users": "Zoe"}, "DSCVAX", set()),
        ({"users": ["%", "_", "o'hara _", "' OR true --", "{}", "", "null"]}, "DSCVAX", set()),
        ({"users": "nobody"}, "DSCVAX", set()),
        ({"groups": "north"}, "DSCVAX", {"user.two@example.com", ""}),
        ({"groups": ["NORTH", "a"]}, "DSCVAX", {"user.two@example.com", ""}),
        ({"groups": ["north"], "users": ["user", "joe"]}, "DSCVAX", {"user.two@example.com"}),
        ({"groups": "south"}, "DSCVAX", set()),
        ({"groups": [], "users": [], "types": [], "activities": []}, "DSCVAX", EVERYBODY),
        ({"activities": ["v", 'ALL 100% of "it" \\ _É']}, "VX", EVERYBODY),
        ({"activities": ['All 100% of "it" \\ _e', "%", "Video _"]}, "", set()),
        ({"types": ["videos", "unknown"], "users": "joe"}, "V", {"Joe.Soap@example.com"}),
        ({"types": "unknown"}, "", set()),
        ({"types": "story", "activities": "Video A"}, "", set()),
    ],
)
async def test_filters(
    pathway_a: httpx.AsyncClient, filters: dict[str, Any], shown: str, whose: set[str]
) -> None:
    activities = await ask(pathway_a, {"pathway": "ev-a", **filters})
    assert "".join(a["ID"] for a in activities) == shown
    everybody = await ask(pathway_a, {"pathway": "ev-a"})
    assert set(stats(activities)) <= set(stats(everybody))  # whatever the filters
    expected = {"zoe@example.com" if email == "z" else email.lower() for email in whose}
    if activities:
        assert {email.lower() for email in emails(activities)} == expected
    by_id = {each["ID"]: each["logs"] for each in everybody}
    for each in activities:
        kept = [log for log in by_id[each["ID"]] if log["email"].lower() in expected]
        assert each["logs"] == kept  # in the order in which they always are


async def test_the_same_data_has_the_same_hash(pathway_a: httpx.AsyncClient) -> None:
    first, second = [(await post(pathway_a, published.PATHWAY_A)).json() for _ in range(2)]
    assert first["hash"] == second["hash"]
    assert first["data"] == second["data"]
    other = (await post(pathway_a, published.ONE_USER)).json()
    assert other["hash"] != first["hash"]


async def test_what_is_in_progress_and_what_was_done_before_the_enrolment(
    full_stack: Served, pathway_a: httpx.AsyncClient
) -> None:
    (story,) = await ask(pathway_a, {"pathway": "EV-A", "users": "joe", "activities": "S"})
    (log,) = story["logs"]
    at = "2026-01-01T00:00:00Z"
    assert log["status"] == {
        "complete": False,
        "progress": 40,
        "state": "in progress",
        "timestamp": at,
    }
    assert log["fulfilment"] == {
        "type": "story",
        "state": "in progress",
        "progress": 40,
        "story": {"ID": "S", "name": "Story A", "score": 20},
        "timestamp": at,
    }
    await send(full_stack, enrol("way-a", "EV-A", "gone"))
    await until(pathway_a, "EV-A", lambda found: stats(found)[3] == ("V", 5, 2))
    (video,) = await ask(pathway_a, {"pathway": "EV-A", "users": "gone", "activities": "V"})
    assert [log["status"]["state"] for log in video["logs"]] == ["completed"]
    await send(full_stack, enrol("way-a", "EV-A", "gone", "unenrol"))
    found = await until(pathway_a, "EV-A", lambda found: stats(found)[3] == ("V", 4, 1))
    assert "gone@example.com" not in emails(found)


async def test_a_definition_changed_shows_at_once_and_keeps_its_counts(full_stack: Served) -> None:
    async with await basic(full_stack, "changing", Role.ADMIN) as client:

        async def put(*activities: dict[str, Any]) -> None:
            body = {"name": "Changing", "activities": activities}
            answer = await client.put("/definitions/pathway/P", json=body)
            assert answer.status_code in (200, 201), answer.text

        a, b = activity("a", "A"), activity("b", "B")
        await put(a, b)
        at = "2026-01-01T00:00:00Z"
        await send(
            full_stack,
            member("changing", "m"),
            enrol("changing", "P", "m"),
            did("changing", "P", "a", "m", at),
            did("changing", "P", "b", "m", at),
        )
        both = [("a", 1, 1), ("b", 1, 1)]
        await until(client, "P", lambda found: stats(found) == both)
        await put(b, activity("c", "C"))
        assert stats(await ask(client, {"pathway": "p"})) == [("b", 1, 1), ("c", 1, 0)]
        await put(a | {"name": "Other"}, b)
        found = await ask(client, {"pathway": "p"})
        assert stats(found) == both
        assert found[0]["name"] == "Other"
        assert (await client.delete("/definitions/pathway/P")).status_code == 204
        assert (await post(client, {"pathway": "P"})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("", 400, "not JSON"),
        ("pathway=EV-A", 400, "not JSON"),
        ("{}", 400, "pathway: is required"),
        ('{"pathway": ["EV-A", "EV-B"]}', 400, "pathway: must be one string"),
        ('{"pathway": "EV-A", "types": {"a": 1}}', 400, "types: must be"),
        ('{"pathway": "EV-A", "what": 1}', 400, "what: is not a known field"),
        ('{"pathway": "EV-A\\u0000"}', 400, "U+0000"),
        ('{"pathway": "nowhere"}', 404, "no pathway 'nowhere'"),
        ('{"pathway": "Pathway _"}', 404, "no pathway"),
        ('{"pathway": "Pathway \\"B\\" 100"}', 404, "no pathway"),
        ('{"pathway": "EV-A"' + " " * (1024 * 1024) + "}", 413, "at most"),
    ],
)
async def test_bad_bodies(pathway_a: httpx.AsyncClient, body: str, status: int, said: str) -> None:
    answer = await post(pathway_a, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()
    assert list(error) == ["status", "message"]
    assert error["status"] == "error"
    assert said in error["message"]
    assert answer.headers["x-request-id"]


async def test_a_pathway_without_activities_and_one_with_quotes(
    pathway_a: httpx.AsyncClient,
) -> None:
    assert await ask(pathway_a, {"pathway": "PATHWAY b 1000"}) == []
    assert stats(await ask(pathway_a, {"pathway": 'pathway "b" 100%'})) == [("V", 0, 0)]


async def test_who_may_read(full_stack: Served, pathway_a: httpx.AsyncClient) -> None:
    async def status(client: httpx.AsyncClient, body: str = '{"pathway":"EV-A"}') -> int:
        async with client:
            answer = await post(client, body)
            if answer.status_code != 200:
                assert list(answer.json()) == ["status", "message"]
                assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
            return answer.status_code

    assert await status(await basic(full_stack, "way-a", Role.ADMIN)) == 200
    assert await status(await basic(full_stack, "way-a", Role.PRODUCER)) == 403
    assert await status(await basic(full_stack, "way-a", Role.PRODUCER), "no JSON") == 403
    assert await status(await basic(full_stack, "way-b")) == 404  # another project's is not there
    assert await status(full_stack.guest()) == 401
    assert await status(await full_stack.end_user("j", "way-a")) == 403
    wrong, odd = full_stack.guest(), full_stack.guest()
    wrong.auth = httpx.BasicAuth("mk", "wrong")
    odd.headers["authorization"] = "Basic ????"
    assert await status(wrong) == 401
    assert await status(odd) == 401
    other = await pathway_a.get(URL)
    assert (other.status_code, list(other.json())) == (405, ["status", "message"])
    nowhere = await pathway_a.post("/v1/logs/other", content="{}")
    assert (nowhere.status_code, list(nowhere.json())) == (404, ["status", "message"])


async def test_a_caller_that_leaves_gives_the_connection_back(full_stack: Served) -> None:
    """Some megabytes, of which a few are read: the rest is not waited for."""
    settings = full_stack.settings
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO milestream.pathway_enrolments SELECT 'left', 'P', gen_random_uuid(), "
            "gen_random_uuid(), 'u' || n, true, now(), now(), 1, 0, 0 "
            "FROM generate_series(1, 100000) AS n"
        )
    await send(
        full_stack, pathway("left", "P", "Left", *(activity(str(n), "V") for n in range(20)))
    )
    async with await basic(full_stack, "left") as client:
        for _ in range(12):  # more than there are places and connections
            async with client.stream("POST", URL, content='{"pathway":"P"}') as answer:
                assert answer.status_code == 200, await answer.aread()
                async for _ in answer.aiter_bytes():
                    break
        deadline = time.monotonic() + 120
        while busy(settings.database_url):
            assert time.monotonic() < deadline, "a transaction is still open"
            await asyncio.sleep(0.1)


def busy(database_url: str) -> int:
    """Return how many of the API's connections are in a transaction."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'milestream-api' AND xact_start < now() - interval '1 s'"
        ).fetchone()
        assert row is not None
        return int(row[0])
