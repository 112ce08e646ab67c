"""Many records as few batches: built in order for each partition, then sent together."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder


class Batches:
    """Records on their way; building needs no event loop and may be done in a thread."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._open: dict[tuple[str, int], BatchBuilder] = {}
        self._all: list[tuple[str, int, BatchBuilder]] = []

    def add(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp: int | None = None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> None:
        """Add a record; `topic` is a full name, `timestamp` in milliseconds, None for now."""
        batch = self._open.get((topic, partition))
        if batch is not None:
            fits = batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
            if fits is not None:
                return
        batch = self._producer.create_batch()
        self._open[topic, partition] = batch
        self._all.append((topic, partition, batch))
        batch.append(timestamp=timestamp, key=key, value=value, headers=headers)

    def __bool__(self) -> bool:
        """Tell whether there is any record."""
        return bool(self._all)

    async def send(self) -> None:
        """Send all, and wait until the broker has them.

        To be called before a commit: aiokafka commits a transaction although a batch of it failed.
        """
        sent = [
            await self._producer.send_batch(batch, topic, partition=partition)
            for topic, partition, batch in self._all
        ]
        await asyncio.gather(*sent)
