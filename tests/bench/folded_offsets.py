"""How far workers have folded an input, by what they committed of it: the chunk log.

The group's offsets say the same a second later, which is too coarse for a rate.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaConsumer

from deploy.clients import partitions_of_topic, reader
from processor.domain.fold import ChunkLogged
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class FoldedOffsets:
    """Follows the chunk log."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._reached: dict[int, int] = {}

    async def total(self) -> int:
        """Return the offsets of the input that are folded by now, of all partitions together."""
        while fetched := await self._consumer.getmany(timeout_ms=0):
            for record in (record for records in fetched.values() for record in records):
                chunk = _CHUNK.decode(record.value)
                for taken in chunk.inputs:
                    if taken.topic == self._topic:
                        self._reached[chunk.partition] = taken.last + 1
        return sum(self._reached.values())


@asynccontextmanager
async def folded_offsets(settings: Settings, topic: str) -> AsyncIterator[FoldedOffsets]:
    """Give what follows the chunk log, for an input topic (without prefix)."""
    async with reader(settings, "read_committed") as consumer:
        places = await partitions_of_topic(settings, settings.topic(CHUNK_LOG))
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        yield FoldedOffsets(consumer, topic)
