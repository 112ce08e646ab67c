"""Definitions over HTTP and from files: validated alike, in force at once."""

import asyncio
import json
import re
import uuid

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from api.kafka import barrier
from schemas.topics import DEFINITIONS, REPLIES
from tests.integration.api.serving import PROJECT, Served, run
from tests.odd_headers import poison

NO_STRAY_REPLY = "milestream_api_stray_replies_total 0.0"
CHALLENGE = {"name": "Spend", "completionTargetValue": 500}


def numbered() -> str:
    return str(uuid.uuid4())


async def test_every_kind_is_put_got_listed_and_deleted(api_without_worker: Served) -> None:
    kinds = {
        "challenge": (numbered(), CHALLENGE),
        "event": ("buy", {"title": "Buy", "reward": {"default": 0.5}}),
        "streak": ("daily", {"eventIds": ["buy"], "targetLength": 7}),
        "leaderboard": ("all", {}),
        "pathway": ("EV67-ZCNS-56AD", {"name": "Start", "activities": []}),
        "project": (PROJECT, {"timezone": "Europe/Oslo"}),
    }
    async with await api_without_worker.client() as admin:
        for kind, (id_, fields) in kinds.items():
            path = f"/definitions/{kind}/{id_}"
            made = await admin.put(path, json=fields)
            assert made.status_code == 201, made.text
            assert made.json()["kind"] == kind
            got = await admin.get(path)
            assert got.json() == made.json()
            again = await admin.put(path, json=got.json())
            assert again.status_code == 200
            assert again.headers["etag"] == got.headers["etag"]
            listed = (await admin.get(f"/definitions/{kind}")).json()
            assert got.json() in listed["data"]
            assert (await admin.delete(path)).status_code == 204
            assert (await admin.get(path)).status_code == 404
            assert (await admin.delete(path)).status_code == 404
        assert (await admin.get("/definitions/nonsense")).status_code == 404
        assert (await admin.put("/definitions/project/another", json={})).status_code == 404


async def test_a_page_of_definitions_is_got_as_one_of_records(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project="paged") as admin:
        for name in ("z", "y", "x"):
            assert (await admin.put(f"/definitions/leaderboard/{name}", json={})).is_success
        whole = (await admin.get("/definitions/leaderboard")).json()
        assert whole["paging"] == {"offset": 0, "limit": 3, "totalCount": 3}
        for query, named in (("offset=1", "yx"), ("limit=2", "zy"), ("limit=1&offset=2", "x")):
            page = (await admin.get(f"/definitions/leaderboard?{query}")).json()
            assert "".join(each["id"] for each in page["data"]) == named
            assert page["paging"]["totalCount"] == 3
            assert page["paging"]["limit"] == len(named)
        beyond = (await admin.get("/definitions/leaderboard?offset=3")).json()
        assert beyond == {"data": [], "paging": {"offset": 3, "limit": 0, "totalCount": 3}}
        for wrong in ("limit=0", "limit=1001", "offset=-1", "limit=x", "page=2"):
            answer = await admin.get(f"/definitions/leaderboard?{wrong}")
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["field"] == wrong.partition("=")[0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": 5}, "name"),
        ({"completionTargetValue": "500"}, "completionTargetValue"),
        ({"completionTargetValue": 0}, "completionTargetValue"),
        ({"completionTargetValue": 10**20}, "completionTargetValue"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"startsAt": "2026-11-21T00:00:00"}, "startsAt"),
        ({"aggregationPeriod": "hourly"}, "aggregationPeriod"),
        ({"colour": "red"}, "colour"),
        ({"id": "x"}, "id"),
        ({"kind": "event"}, "kind"),
        ({"project": "another"}, "project"),
    ],
)
async def test_a_bad_field_is_named_by_both_faces(
    api_without_worker: Served, fields: dict[str, object], field: str
) -> None:
    async with await api_without_worker.client() as admin:
        for answer in (
            await admin.put(f"/definitions/challenge/{numbered()}", json=CHALLENGE | fields),
            await admin.post("/schema/challenge/record", json=CHALLENGE | fields),
        ):
            assert answer.status_code == 400, answer.text
            assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_numbers_that_are_none_are_named(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        for number in ("NaN", "Infinity", "1e400", "1e-10", "123456789012345678901"):
            body = f'{{"name":"x","completionTargetValue":{number}}}'
            answer = await admin.post("/schema/challenge/record", content=body)
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["field"] == "completionTargetValue", number


async def test_a_record_is_created_once_and_patched_by_merging(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        made = await admin.post("/schema/challenge/record", json=CHALLENGE | {"description": "d"})
        assert made.status_code == 201
        path, id_ = made.headers["location"], made.json()["id"]
        repeated = await admin.post("/schema/challenge/record", json=CHALLENGE | {"id": id_})
        assert repeated.status_code == 409
        tag = {"if-match": made.headers["etag"]}
        patch = {"status": "paused", "description": None}
        patched = await admin.patch(path, json=patch, headers=tag)
        assert patched.status_code == 200
        assert patched.json() == {
            **made.json(), "status": "paused", "description": "",
            "updatedAt": patched.json()["updatedAt"],
        }  # fmt: skip
        assert (await admin.patch(path, json=patch, headers=tag)).status_code == 412
        assert (await admin.patch(path, json={"id": numbered()})).status_code == 400
        assert (await admin.delete(path)).status_code == 204
        assert (await admin.patch(path, json=patch)).status_code == 404
        assert (await admin.delete("/schema/challenge/record/nonsense")).status_code == 404


async def test_a_milestone_needs_its_challenge(api_without_worker: Served) -> None:
    milestone = {"name": "M", "milestoneTargetValue": 5, "linkedSchemaRecordId": numbered()}
    async with await api_without_worker.client() as admin:
        for answer in (
            await admin.post("/schema/milestone/record", json=milestone),
            await admin.put(f"/definitions/milestone/{numbered()}", json=milestone),
        ):
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["field"] == "linkedSchemaRecordId"


async def test_a_definition_belongs_to_one_project(api_without_worker: Served) -> None:
    path = f"/definitions/challenge/{numbered()}"
    async with (
        await api_without_worker.client() as admin,
        await api_without_worker.client(project="another") as other,
    ):
        await admin.put(path, json=CHALLENGE)
        assert (await other.get(path)).status_code == 404
        assert (await other.delete(path)).status_code == 404
        assert (await other.put(path, json=CHALLENGE)).status_code == 201
        assert (await admin.get(path)).json()["project"] == PROJECT


async def test_a_file_is_applied_whole_or_not_at_all(api_without_worker: Served) -> None:
    challenge, milestone = numbered(), numbered()
    good = f"""
kind: challenge
id: {challenge}
project: {PROJECT}
name: no
completionTargetValue: 12345678901234567890.123456789
startsAt: 2026-01-01T00:00:00+01:00
---
kind: milestone
id: {milestone}
project: {PROJECT}
name: "100"
linkedSchemaRecordId: {challenge}
milestoneTargetValue: 1e2
"""
    end = await _end_of_definitions(api_without_worker)
    refused = run(
        api_without_worker.settings,
        "apply",
        "-f",
        "-",
        stdin=good.replace("Value: 1e2", "Value: -1"),
    )
    assert refused.returncode == 1
    assert "document 2: milestoneTargetValue" in refused.stderr
    assert await _end_of_definitions(api_without_worker) == end
    for what in ("created", "unchanged"):
        applied = run(api_without_worker.settings, "apply", "-f", "-", stdin=good)
        assert applied.returncode == 0, applied.stderr
        assert applied.stdout.splitlines() == [
            f"{what} {PROJECT}/challenge/{challenge}",
            f"{what} {PROJECT}/milestone/{milestone}",
        ]
    changed = run(
        api_without_worker.settings, "apply", "-f", "-", stdin=good.replace("name: no", "name: yes")
    )
    assert changed.stdout.startswith("changed")
    async with await api_without_worker.client() as admin:
        got = await admin.get(f"/definitions/challenge/{challenge}")
    assert b'"completionTargetValue":12345678901234567890.123456789,' in got.content
    assert got.json()["name"] == "yes"


def test_json_is_applied_too(api_without_worker: Served) -> None:
    def event(id_: str) -> dict[str, object]:
        return {"kind": "event", "eventId": id_, "title": "T", "reward": {"default": 1}}

    text = json.dumps([event("a"), event("b")]) + json.dumps(event("c"))
    applied = run(api_without_worker.settings, "apply", "-f", "-", stdin=text)
    assert applied.stdout.split() == [
        "created", "default/event/a", "created", "default/event/b", "created", "default/event/c",
    ]  # fmt: skip
    assert run(api_without_worker.settings, "apply").returncode == 2
    assert run(api_without_worker.settings, "apply", "-f", "/nowhere.yaml").returncode == 2


async def test_reads_wait_for_the_projection_but_not_for_long(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        made = await admin.post("/schema/challenge/record", json=CHALLENGE)
        begun = await _waits_in_vain(admin)
        lates = [await admin.get(made.headers["location"]) for _ in range(3)]
        assert {late.status_code for late in lates} == {404}, "there is no projector here"
        assert min(late.elapsed.total_seconds() for late in lates) > 0.9
        assert barrier.MAX_WAIT_SECONDS == 1
        in_vain = await _waits_in_vain(admin)
        assert in_vain == begun + len(lates)
        _pretend_to_have_projected(
            api_without_worker, made.json()["id"], await _end_of_definitions(api_without_worker)
        )
        reads = [await admin.get(made.headers["location"]) for _ in range(10)]
        assert {read.status_code for read in reads} == {200}
        assert {read.headers["etag"] for read in reads} == {made.headers["etag"]}
        # To ask the broker how far the topics go may take as long where the machine stands still.
        assert await _waits_in_vain(admin) < in_vain + len(reads)


async def _waits_in_vain(client: httpx.AsyncClient) -> float:
    """Return how many reads waited for the projection for as long as they do."""
    found = re.search(
        r"^milestream_api_barrier_timeouts_total (\S+)",
        (await client.get("/metrics")).text,
        re.MULTILINE,
    )
    assert found is not None
    return float(found[1])


def _pretend_to_have_projected(api_without_worker: Served, id_: str, end: int) -> None:
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        connection.execute(
            """
            INSERT INTO milestream.challenges (project, id, name, description, status,
                aggregation_method, aggregation_period, completion_target_value, challenge_group,
                created_at, updated_at, version)
            VALUES (%s, %s, '', '', '', '', '', 1, '', now(), now(), %s)
            """,
            (PROJECT, id_, end - 1),
        )
        connection.execute(
            """
            INSERT INTO milestream.projection_checkpoints
                (projection, topic, partition, next_offset)
            VALUES ('challenges', 'definitions', 0, %s)
            """,
            (end,),
        )


async def _end_of_definitions(api_without_worker: Served) -> int:
    consumer = AIOKafkaConsumer(**api_without_worker.settings.kafka_options())
    await consumer.start()
    try:
        place = TopicPartition(api_without_worker.settings.topic(DEFINITIONS), 0)
        return int((await consumer.end_offsets([place]))[place])
    finally:
        await consumer.stop()


async def test_a_header_name_that_is_no_text_stops_neither_the_api_nor_its_replies(
    api_without_worker: Served,
) -> None:
    await poison(api_without_worker.settings, DEFINITIONS, REPLIES)
    async with await api_without_worker.client() as admin, api_without_worker.guest() as guest:
        path = f"/definitions/challenge/{numbered()}"
        assert (await admin.put(path, json=CHALLENGE)).status_code == 201
        async with asyncio.timeout(60):
            metrics = NO_STRAY_REPLY
            while NO_STRAY_REPLY in metrics:
                metrics = (await guest.get("/metrics")).text
        assert (await guest.get("/healthz")).json() == {"status": "ok"}


async def test_an_event_feeds_so_many_streaks_and_no_more_at_every_door(
    api_without_worker: Served,
) -> None:
    fields = {"eventIds": ["crowded"], "targetLength": 7}
    documents = [{"kind": "streak", "id": f"s{n}", "project": PROJECT, **fields} for n in range(51)]
    applied = run(
        api_without_worker.settings, "apply", "-f", "-", stdin="\n".join(map(json.dumps, documents))
    )
    assert applied.returncode == 1
    assert "document 51: eventIds: the event crowded feeds 50 streaks" in applied.stderr
    most = "\n".join(map(json.dumps, documents[:50]))
    assert run(api_without_worker.settings, "apply", "-f", "-", stdin=most).returncode == 0
    async with await api_without_worker.client() as admin:
        one_more = await admin.put("/definitions/streak/s50", json=fields)
        assert one_more.status_code == 400
        assert one_more.json()["errors"][0]["field"] == "eventIds"
        assert (await admin.put("/definitions/streak/s0", json=fields)).status_code == 200
        large = {**CHALLENGE, "activityIds": ["y" * 250] * 260}
        too_large = await admin.put(f"/definitions/challenge/{numbered()}", json=large)
        assert too_large.status_code == 400
        assert too_large.json()["errors"][0]["field"] == "activityIds"
