"""What was acknowledged behind another producer's open transaction is waited for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from processor.definitions import DefinitionsReader
from schemas import ids
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, MEMBER_COMMANDS, partition_for
from tests.integration.processor.driving import (
    CHALLENGE,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    log,
    produce,
    values,
    wait_folded,
    wait_until,
)

LONG_MS = 600_000
"""The broker ends no transaction that a test holds open, however busy the machine is."""


@asynccontextmanager
async def open_transaction(settings: Settings, record: Record) -> AsyncIterator[None]:
    """Hold a transaction open that wrote a record; it is aborted in the end."""
    topic, partition, key, value, _ = record
    async with AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic_prefix}slow",
        transaction_timeout_ms=LONG_MS,
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(settings.topic(topic), value, key=key, partition=partition)
        try:
            yield
        finally:
            await producer.abort_transaction()


def upsert(settings: Settings, name: str) -> Record:
    value = json.dumps({"type": "upsert-member", "externalId": name}).encode()
    home = partition_for(ids.member_id("default", name), settings.partitions)
    return (MEMBER_COMMANDS, home, None, value, ())


def log_by_id(settings: Settings, name: str) -> Record:
    topic, partition, key, text, headers = log(name, "order-1", "5", settings=settings)
    value = json.loads(text or b"")
    del value["ownedBy"]
    value["ownedById"] = ids.member_id("default", name)
    return (topic, partition, key, json.dumps(value).encode(), headers)


def test_a_log_waits_for_its_member_behind_an_open_transaction(settings: Settings) -> None:
    late, home = "late", upsert(settings, "late")[1]
    other = next(
        name for name in (f"user-{n}" for n in range(100)) if upsert(settings, name)[1] != home
    )

    def folded_logs() -> set[int]:
        chunks = [json.loads(r.value) for r in drain(settings, "chunk-log", settled=False)]
        return {
            chunk["partition"]
            for chunk in chunks
            for span in chunk["inputs"]
            if span["topic"] == "challenge-logs"
        }

    async def run(worker: Worker) -> None:
        async with open_transaction(settings, upsert(settings, late)):
            inputs = [upsert(settings, late), log_by_id(settings, late)]
            inputs += [upsert(settings, other), log_by_id(settings, other)]
            await asyncio.to_thread(produce, settings, inputs)
            await asyncio.to_thread(
                wait_until, lambda: bool(folded_logs()), 180, lambda: worker.text()[-2000:]
            )
            assert await asyncio.to_thread(folded_logs) == {upsert(settings, other)[1]}

    produce(settings, definitions())
    with Worker(settings, "w") as worker:
        worker.ready()
        asyncio.run(run(worker))
        wait_folded(settings, 4, 180, worker)
    recorded = [
        event["subject"]
        for event in values(settings, "progress-events")
        if event["type"] == "milestream.challenge_log.recorded.v1"
    ]
    assert sorted(recorded) == sorted(ids.member_id("default", name) for name in (late, other))
    assert values(settings, "dead-letters") == []


def test_definitions_are_read_to_where_the_log_ends(settings: Settings) -> None:
    _, partition, key, value, _ = definitions()[0]

    async def run(reader: DefinitionsReader, producer: AIOKafkaProducer) -> None:
        async with open_transaction(settings, definition("project", "p")):
            sent = await producer.send_and_wait(
                settings.topic(DEFINITIONS), value, key=key, partition=partition
            )
            assert await reader.end_offset() == sent.offset + 1
            assert await reader.committed_end() < sent.offset
            async with DefinitionsReader(settings) as starting:  # which does not wait
                assert known(starting) is None
            catching_up = asyncio.create_task(reader.catch_up())
            await reader.follow()
            assert not catching_up.done()
        async with asyncio.timeout(60):
            assert await catching_up >= sent.offset + 1
        assert known(reader) is not None

    async def with_both() -> None:
        async with (
            AIOKafkaProducer(**settings.kafka_options()) as producer,
            DefinitionsReader(settings) as reader,
        ):
            await run(reader, producer)

    asyncio.run(with_both())


def known(reader: DefinitionsReader) -> Any:
    return reader.definitions.challenge("default", CHALLENGE)
