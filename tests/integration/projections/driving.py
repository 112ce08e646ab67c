"""Writing output events, running projectors, and looking at the tables."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg import sql

from projections.catalogue import PROJECTIONS
from projections.feed import partitions_of
from projections.runner import Runner
from schemas import outputs
from schemas.event_types import EVENT_TYPES
from schemas.outputs import CloudEvent
from schemas.settings import Settings
from schemas.topics import partition_for


class Writer:
    """Writes output events with transactions, as the processor does."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def commit(self, *events: CloudEvent) -> None:
        """Write the events in one transaction."""
        async with self._producer.transaction():
            await self._send(events)

    async def abort(self, *events: CloudEvent) -> None:
        """Write the events in a transaction, and abort it."""
        await self._producer.begin_transaction()
        await self._send(events)
        await self._producer.abort_transaction()

    async def put(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Write any record, in a transaction of its own."""
        async with self._producer.transaction():
            await self._producer.send_and_wait(
                self._settings.topic(topic), value, key, partition=partition
            )

    async def _send(self, events: Iterable[CloudEvent]) -> None:
        sent = [
            await self._producer.send(
                self._settings.topic(EVENT_TYPES[event.type].topic),
                outputs.encode(event),
                event.subject.encode(),
                partition=partition_for(event.subject, self._settings.partitions),
            )
            for event in events
        ]
        await asyncio.gather(*sent)


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Writer]:
    """Open a writer."""
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.application_id}-{os.urandom(4).hex()}",
        linger_ms=5,
    )
    async with producer:
        yield Writer(settings, producer)


@asynccontextmanager
async def projecting(runner: Runner) -> AsyncIterator[asyncio.Task[None]]:
    """Run a projector beside the test, and stop it."""
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        runner.stop()
        await asyncio.wait_for(task, 60)


async def caught_up(settings: Settings, within_s: float = 120) -> None:
    """Wait until every read model has all that is written now, or has passed it where it is
    aborted.

    Written, not committed: the markers of a commit reach the partitions a moment after whoever
    commits has its answer, and until then the last stable offset is that of before.
    """
    async with AIOKafkaConsumer(**settings.kafka_options()) as consumer:
        ends: dict[tuple[str, int], int] = {}
        topics = {topic for projection in PROJECTIONS.values() for topic in projection.topics}
        for topic, number in await partitions_of(settings, topics):
            tp = TopicPartition(settings.topic(topic), number)
            ends[topic, number] = (await consumer.end_offsets([tp]))[tp]
    deadline = time.monotonic() + within_s
    behind: Any = ["nothing read"]
    while behind:
        assert time.monotonic() < deadline, f"not caught up: {behind}"
        await asyncio.sleep(0.05)
        rows = await asyncio.to_thread(
            query,
            settings,
            "SELECT projection, topic, partition, next_offset "
            "FROM milestream.projection_checkpoints",
        )
        stored = {(p, t, n): offset for p, t, n, offset in rows}
        behind = [
            (table, topic, partition, stored.get((table, topic, partition)), end)
            for table, projection in PROJECTIONS.items()
            for (topic, partition), end in ends.items()
            if topic in projection.topics and stored.get((table, topic, partition), 0) < end
        ]


def query(settings: Settings, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(text.encode(), arguments).fetchall()


def table(settings: Settings, name: str) -> list[tuple[Any, ...]]:
    """Return a read model's rows, in its projection's columns, ordered by key."""
    projection = PROJECTIONS[name]
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(
            sql.SQL("SELECT {} FROM milestream.{} ORDER BY {}").format(
                sql.SQL(", ").join(map(sql.Identifier, projection.columns)),
                sql.Identifier(name),
                sql.SQL(", ").join(map(sql.Identifier, projection.key)),
            )
        ).fetchall()
