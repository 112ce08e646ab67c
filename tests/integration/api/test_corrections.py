"""Corrections of progress with worker and projector: what tables, reads of now and then, and
explanations make of them."""

import json
from datetime import datetime
from typing import Any

import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from schemas import ids
from schemas.records import Cut, Tick, encode
from schemas.topics import MEMBER_COMMANDS, TICKS, partition_for
from tests.integration.api.serving import Served, passed
from tests.integration.projections.driving import caught_up, query

PROJECT = "corrected"
CHALLENGE = "00000000-0000-4000-8000-00000000c001"
MILESTONE = "00000000-0000-4000-8000-00000000c002"
RECALCULATION = "00000000-0000-4000-8000-00000000c003"
USER = "carla"
MEMBER = ids.member_id(PROJECT, USER)
AT = "2026-11-20T10:00:00Z"
REWARD = ids.reward_log_id(PROJECT, MILESTONE, MEMBER, "all")
PROGRESS = ids.progress_id(PROJECT, CHALLENGE, MEMBER, "all")
CORRECTION = {
    "type": "correct-progress",
    "project": PROJECT,
    "userId": USER,
    "recalculationId": RECALCULATION,
    "challengeId": CHALLENGE,
    "periodKey": "all",
    "difference": 70,
    "completedAt": AT,
    "reached": [{"milestoneId": MILESTONE, "at": AT, "value": 55}],
    "uniqueIdentifier": ids.correction_identifier(RECALCULATION, CHALLENGE, "all"),
}


@pytest_asyncio.fixture
async def admin(full_stack: Served) -> Any:
    """An admin of the project, in which somebody has 30 of 100."""
    async with await full_stack.client(project=PROJECT) as client:
        fields: dict[str, Any] = {"name": "Walk", "completionTargetValue": 100}
        await _put(client, "challenge", CHALLENGE, **fields, aggregationPeriod="all_time")
        linked = {"linkedSchemaRecordId": CHALLENGE, "milestoneTargetValue": 50, "points": 3}
        await _put(client, "milestone", MILESTONE, name="Half", **linked)
        log = {"challengeId": CHALLENGE, "activityAt": AT, "activityId": "walk"}
        owner = {"ownedBy": {"externalId": USER}, "uniqueIdentifier": "a", "activityValue": 30}
        answer = await client.post("/schema/challenge_log/record", json=log | owner)
        assert answer.status_code == 201, answer.text
        yield client


async def _put(client: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> None:
    answer = await client.put(f"/definitions/{kind}/{id_}", json=fields)
    assert answer.status_code in (200, 201), answer.text


async def _shown(client: httpx.AsyncClient, at: datetime | None = None) -> tuple[Any, ...]:
    """Return value and status of the progress, and how many points there are, now or then."""
    params = {} if at is None else {"asOf": at.isoformat()}
    progress = await client.get(f"/schema/challenge_progress/record/{PROGRESS}", params=params)
    points = await client.get(f"/user/{USER}/points", params=params)
    assert (progress.status_code, points.status_code) == (200, 200), (progress.text, points.text)
    record = progress.json()
    return (
        record["currentProgressValue"],
        record["challengeProgressStatus"],
        points.json()["points"],
    )


async def test_a_correction_shows_wherever_progress_does(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    home = partition_for(MEMBER, settings.partitions)
    before = (30, "in_progress", 0)
    assert await _shown(admin) == before
    then = await passed()
    cut = encode(Tick(project=PROJECT, cut=Cut(recalculation_id=RECALCULATION)))
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        await producer.send_and_wait(settings.topic(TICKS), cut, partition=home)
        topic, value = settings.topic(MEMBER_COMMANDS), json.dumps(CORRECTION).encode()
        sent = await producer.send_and_wait(topic, value, partition=home)
        await producer.send_and_wait(topic, value, partition=1 - home)  # astray, and a repeat
    await caught_up(settings)

    assert await _shown(admin) == (100, "completed", 3)
    assert await _shown(admin, then) == before
    text = """
        SELECT difference, value_before, value_after, recalculation_id::text, progress_id::text
        FROM milestream.progress_corrections WHERE project = %s
    """
    assert query(settings, text, PROJECT) == [(70, 30, 100, RECALCULATION, PROGRESS)]

    place = (MEMBER_COMMANDS, home, sent.offset)
    for kind, id_ in (("reward_log", REWARD), ("progress", PROGRESS)):
        told = (await admin.get(f"/explain/{kind}/{id_}")).json()
        assert told["recalculation"] == RECALCULATION
        correction = told["inputs"][-1]
        assert (correction["topic"], correction["partition"], correction["offset"]) == place
        assert [each["after"] for each in told["inputs"]] == [30, 100]
        assert (correction["value"], correction["added"]) == (70, 70)
