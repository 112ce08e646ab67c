"""Sending corrections, so that none is lost: each acts once, however often it is sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from processor.recalculation.correction import Correction
from schemas.kafka import sequences
from schemas.settings import Settings
from schemas.topics import MAX_RECORD_BYTES, MEMBER_COMMANDS, partition_for

Send = Callable[[Iterable[Correction], str], Awaitable[Mapping[int, int]]]
"""Sends the commands of corrections for a recalculation, by its id; returns by partition of
``member-commands`` the offset after the last one, once all replicas in sync have them. Raises
KafkaError where they do not, or do not say so."""

_ROOM = 4096
"""For a record's key and headers."""


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer whose records all replicas in sync have once it says so.

    Raises:
        KafkaError: no broker answers.
    """
    sequences.install()
    client = AIOKafkaProducer(
        **settings.kafka_options(),
        enable_idempotence=True,
        acks="all",
        compression_type="zstd",
        linger_ms=5,
        max_request_size=MAX_RECORD_BYTES + _ROOM,
    )
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def sending(settings: Settings) -> AsyncIterator[Send]:
    """Give what sends corrections.

    Whoever was frozen meanwhile, and is followed by another by now, may send some again: these act
    no second time.

    Raises:
        KafkaError: no broker answers.
    """
    async with producer(settings) as client:
        topic = settings.topic(MEMBER_COMMANDS)

        async def send(corrections: Iterable[Correction], recalculation_id: str) -> dict[int, int]:
            sent = [
                await client.send(
                    topic,
                    each.command(recalculation_id),
                    key=each.member_id.encode(),
                    partition=partition_for(each.member_id, settings.partitions),
                )
                for each in corrections
                if each.changes
            ]
            ends: dict[int, int] = {}
            for written in await asyncio.gather(*sent):
                ends[written.partition] = max(ends.get(written.partition, 0), written.offset + 1)
            return ends

        yield send
