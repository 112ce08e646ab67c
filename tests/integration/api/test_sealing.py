"""What the API writes of members into inputs is sealed, and is there all the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest_asyncio
from aiokafka import TopicPartition

from schemas import ids, sealing
from schemas.kafka import consumers
from schemas.topics import (
    CHALLENGE_LOGS,
    DEAD_LETTERS,
    DRY_RUNS,
    FORWARDED,
    MEMBER_COMMANDS,
    MEMBER_EVENTS,
    MEMBER_KEYS,
    partition_for,
)
from tests.integration.api.serving import PROJECT, Served

CHALLENGE = "5ea1ed00-0000-4000-8000-000000000001"
INPUTS = (CHALLENGE_LOGS, MEMBER_COMMANDS, FORWARDED, DRY_RUNS)


async def records_of(api: Served, member_id: str, *topics: str) -> Sequence[Any]:
    """Return what stands on a member's partition of topics."""
    settings = api.settings
    partition = partition_for(member_id, settings.partitions)
    places = [TopicPartition(settings.topic(topic), partition) for topic in topics]
    consumer = consumers.consumer(settings, group_id=None, auto_offset_reset="earliest")
    async with consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                found.extend(batch)
    return found


async def holding(api: Served, member_id: str, text: str, *topics: str) -> set[str]:
    """Return which of these topics have a text, in the open."""
    return {
        record.topic.removeprefix(api.settings.topic_prefix)
        for record in await records_of(api, member_id, *topics)
        if text.encode() in (record.value or b"")
    }


async def keys_of(api: Served, member_id: str) -> Sequence[str]:
    """Return the ids of the member's keys that were ever written."""
    places = [sealing.split_key_place(r.key) for r in await records_of(api, member_id, MEMBER_KEYS)]
    return [place[1] for place in places if place is not None and place[0] == member_id]


def log(identifier: str, **owner: Any) -> dict[str, Any]:
    """The body of a challenge log."""
    return {
        "challengeId": CHALLENGE,
        "activityAt": "2026-11-20T10:00:00Z",
        "activityId": "purchase",
        "uniqueIdentifier": identifier,
        "activityValue": 5,
        "ownedBy": owner,
    }


@pytest_asyncio.fixture
async def world(admin: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client, where there is a challenge."""
    body = {"name": "Spend", "completionTargetValue": 100}
    await admin.put(f"/definitions/challenge/{CHALLENGE}", json=body)
    yield admin


async def test_members_and_inline_members_are_sealed_under_one_key(
    full_stack: Served, world: httpx.AsyncClient
) -> None:
    member_id = ids.member_id(PROJECT, "sealed-ann")
    made = await world.post(
        "/schema/member/record",
        json={"externalId": "sealed-ann", "firstName": "Annabella", "groups": ["goldies"]},
    )
    assert made.status_code == 201
    assert made.json()["firstName"] == "Annabella"
    logged = await world.post(
        "/schema/challenge_log/record",
        json=log("sealed-1", externalId="sealed-ann", lastName="Sealington", city=None),
    )
    assert logged.status_code == 201
    changed = await world.patch(
        f"/schema/member/record/{member_id}", json={"email": "annabella@example.org"}
    )
    assert changed.json()["lastName"] == "Sealington"
    assert changed.json()["email"] == "annabella@example.org"
    assert len(await keys_of(full_stack, member_id)) == 1
    for text in ("Annabella", "goldies", "Sealington", "annabella@example.org"):
        topics = (*INPUTS, DEAD_LETTERS, MEMBER_EVENTS)
        assert await holding(full_stack, member_id, text, *topics) == {MEMBER_EVENTS}


async def test_writes_of_one_member_at_once_make_one_key_in_a_process(
    full_stack: Served, world: httpx.AsyncClient
) -> None:
    member_id = ids.member_id(PROJECT, "sealed-crowd")
    bodies = [log(f"crowd-{n}", externalId="sealed-crowd", city=f"City {n}") for n in range(20)]
    answers = await asyncio.gather(
        *(world.post("/schema/challenge_log/record", json=body) for body in bodies)
    )
    assert [answer.status_code for answer in answers] == [201] * 20
    assert len(await keys_of(full_stack, member_id)) == 1


async def test_members_without_fields_get_no_key(
    full_stack: Served, world: httpx.AsyncClient
) -> None:
    member_id = ids.member_id(PROJECT, "sealed-nobody")
    body = log("nobody-1", externalId="sealed-nobody")
    assert (await world.post("/schema/challenge_log/record", json=body)).status_code == 201
    assert await keys_of(full_stack, member_id) == []


async def test_a_dry_run_is_sealed_and_makes_no_key(
    full_stack: Served, world: httpx.AsyncClient
) -> None:
    member_id = ids.member_id(PROJECT, "sealed-trial")
    body = log("trial-1", externalId="sealed-trial", firstName="Trialina", city="Trialville")
    tried = await world.post("/schema/challenge_log/record?dryRun=true", json=body)
    assert (tried.status_code, tried.json()["dryRun"]) == (200, True)
    assert await keys_of(full_stack, member_id) == []
    for text in ("Trialina", "Trialville"):
        assert await holding(full_stack, member_id, text, *INPUTS) == set()


async def test_callers_cannot_send_sealed_text(world: httpx.AsyncClient) -> None:
    text = "1.abc.AAAA"
    member = {"externalId": "sealed-by-hand", "sealed": text}
    refused = await world.post("/schema/member/record", json=member)
    assert (refused.status_code, "sealed" in refused.text) == (400, True)
    refused = await world.post("/schema/challenge_log/record", json=log("hand", **member))
    assert (refused.status_code, "sealed" in refused.text) == (400, True)
