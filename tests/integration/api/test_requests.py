"""Request and reply without a worker: what is sent, what is answered, and when nobody answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from msgspec import Raw

from api import resources
from api.http.problems import Problem
from api.kafka import processor_client
from api.metrics import Metrics
from schemas import ids
from schemas.replies import CORRELATION_ID, FieldError, Refusal, Reply, reply_to
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, partition_for
from tests.integration.api.serving import PATIENCE_SECONDS, PROJECT, Served, served
from tests.stack import FreshSettings

LOGS = "/schema/challenge_log/record"
CHALLENGE = "00000000-0000-4000-8000-000000000001"


def log(identifier: str) -> dict[str, Any]:
    return {
        "challengeId": CHALLENGE,
        "ownedBy": {"externalId": "ann"},
        "activityAt": "2026-11-21T10:00:00Z",
        "activityId": "walk",
        "uniqueIdentifier": identifier,
        "activityValue": 0.10,
    }


@contextlib.asynccontextmanager
async def responder(
    settings: Settings, *answers: Reply
) -> AsyncIterator[list["ConsumerRecord[Any, Any]"]]:
    """Answer the next challenge logs in turn, each in a transaction; give what was received."""
    consumer = AIOKafkaConsumer(**settings.kafka_options(), auto_offset_reset="latest")
    producer = AIOKafkaProducer(
        **settings.kafka_options(), transactional_id=f"{settings.topic_prefix}responder"
    )
    await consumer.start()
    await producer.start()
    places = [TopicPartition(settings.topic(CHALLENGE_LOGS), number) for number in range(2)]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    received: list[ConsumerRecord[Any, Any]] = []

    async def respond() -> None:
        for answer in answers:
            record = await consumer.getone()
            received.append(record)
            to = reply_to(record.headers)
            assert to is not None
            async with producer.transaction():
                await producer.send_and_wait(
                    to.topic,
                    msgspec.json.encode(answer),
                    partition=to.partition,
                    headers=[(CORRELATION_ID, to.correlation_id)],
                )

    task = asyncio.create_task(respond())
    try:
        yield received
        await asyncio.wait_for(task, PATIENCE_SECONDS)
    finally:
        task.cancel()
        await consumer.stop()
        await producer.stop()


@pytest.fixture(scope="module")
def patient_api(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """An API that waits for the answers of a test, however busy the machine is."""
    with served(lasting_settings, log=tmp_path_factory.mktemp("patient"), patient=True) as api:
        yield api


async def test_a_log_is_sent_to_its_members_partition_and_its_reply_answered(
    patient_api: Served,
) -> None:
    body = b'{"id": "x",  "amount": 0.10}'
    async with (
        await patient_api.client(project=PROJECT) as admin,
        responder(patient_api.settings, Reply(201, Raw(body))) as received,
    ):
        answer = await admin.post(LOGS, json=log("one"))
    assert answer.status_code == 201
    assert answer.content == body
    (record,) = received
    member_id = ids.member_id(PROJECT, "ann")
    assert record.key == member_id.encode()
    assert record.partition == partition_for(member_id, 2)
    assert json.loads(record.value)["project"] == PROJECT
    assert b'"activityValue":0.1' in record.value


async def test_a_refusal_becomes_a_problem_document(patient_api: Served) -> None:
    refusal = Refusal(
        "duplicate", "seen", [FieldError("uniqueIdentifier", "seen")], Raw(b'{"a":1}')
    )
    reply = Reply(409, Raw(msgspec.json.encode(refusal)))
    async with (
        await patient_api.client() as admin,
        responder(patient_api.settings, reply),
    ):
        answer = await admin.post(LOGS, json=log("two"))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "uniqueIdentifier: seen",
        "code": "duplicate",
        "errors": [{"field": "uniqueIdentifier", "message": "seen"}],
        "record": {"a": 1},
    }


async def test_without_an_answer_it_is_a_202_with_the_id_after_five_seconds(
    api_without_worker: Served,
) -> None:
    async with await api_without_worker.client() as admin:
        answer = await admin.post(LOGS, json=log("three"))
    assert answer.status_code == 202
    member_id = ids.member_id(PROJECT, "ann")
    log_id = ids.challenge_log_id(PROJECT, CHALLENGE, member_id, "three")
    assert answer.json() == {"id": log_id}
    assert answer.headers["location"] == f"{LOGS}/{log_id}"
    assert processor_client.TIMEOUT_SECONDS == 5
    assert answer.elapsed.total_seconds() > 4.5, "it came before anybody could have answered"


@pytest.mark.parametrize(
    ("bound", "most"), [("MOST_WAITING", 2), ("MOST_WAITING_BYTES", 2 * len(b"{}"))]
)
async def test_more_than_may_wait_for_the_processor_is_not_sent(
    api_without_worker: Served, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(processor_client, bound, most)
    monkeypatch.setattr(processor_client, "TIMEOUT_SECONDS", 60.0)
    metrics = Metrics()
    member_id = ids.member_id(PROJECT, "ann")
    async with resources.opened(api_without_worker.settings, metrics) as held:
        waiting = [
            asyncio.create_task(held.processor.send(CHALLENGE_LOGS, member_id, b"{}"))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="wait for the processor") as refused:
            await held.processor.send(CHALLENGE_LOGS, member_id, b"{}")
        assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "5"})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        waiting = [asyncio.create_task(held.processor.send(CHALLENGE_LOGS, member_id, b"{}"))]
        await asyncio.sleep(0)
        assert not waiting[0].done()  # there is room again
        waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert b'shed_total{topic="challenge-logs"} 1.0' in metrics.exposition()
