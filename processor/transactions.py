"""Writing a chunk, once: one Kafka transaction, by a producer that belongs to the partition.

The transactional id is application + partition, so a new owner of the partition fences the old one
(``init_transactions``), whatever the consumer group thinks of either. aiokafka sends no group
generation with the offsets: this fence is the only one, and it must stand before the changelog's
end is read.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced

from processor.domain.effects import Effects
from schemas import outputs
from schemas.replies import CORRELATION_ID
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEAD_LETTERS, FORWARDED, changelog_topic

logger = logging.getLogger(__name__)

BATCH_BYTES = 3_900_000
"""Below what our topics take (``max.message.bytes``), counted before compression. A partition's
batches go one after the other, so few large ones save round trips."""
LARGEST_RECORD_BYTES = 4 * 1024 * 1024
TRANSACTION_TIMEOUT_MS = 10_000
"""A frozen worker's open transaction holds up every read_committed reader for so long."""

_PLAIN = frozenset({CHUNK_LOG, DEAD_LETTERS})
_Headers = list[tuple[str, bytes | None]]
_Record = tuple[bytes | None, bytes | None, _Headers]
_CLOUD_EVENT: _Headers = [outputs.CONTENT_TYPE]
_NONE: _Headers = []


class Fenced(RuntimeError):
    """Another worker owns the partition now; nothing of the chunk was written."""


class Superseded(RuntimeError):
    """A rebalance came before the partition was taken; nothing was taken."""


class RecordTooLarge(RuntimeError):
    """One of our topics does not take a record that it should take; nothing was written."""


class PartitionProducer:
    """The transactional producer of one input partition."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self._settings = settings
        self._group = settings.topic(settings.application_id)
        self._changelog = settings.topic(changelog_topic(settings.application_id).name)
        self._producer = AIOKafkaProducer(
            **settings.kafka_options(),
            transactional_id=f"{self._group}-{partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            # aiokafka runs lz4 at its level 9: 7 ms for a batch of 900 kB, where zstd takes 1.5 ms
            # and leaves a quarter as much.
            compression_type="zstd",
            max_batch_size=BATCH_BYTES,
            max_request_size=LARGEST_RECORD_BYTES + 65536,
            # The next transaction often comes before the markers of the last one are written, and
            # is told to retry: after 100 ms by default, which would be most of its latency.
            retry_backoff_ms=10,
        )

    async def fence(self) -> None:
        """Take the partition: an earlier owner's transaction is aborted, its next one fails."""
        await self._producer.start()

    async def close(self) -> None:
        """Stop, and give up what is not committed."""
        await self._producer.stop()

    async def write(self, effects: Effects) -> int:
        """Write a chunk's effects and its input offsets in one transaction.

        Returns the changelog offset after its last record. Every delivery is awaited before the
        commit: aiokafka would commit a transaction of which a batch failed.

        Raises:
            Fenced: the partition has another owner; nothing was written.
            KafkaError: anything else; whether it was committed is unknown.
        """
        topic = self._settings.topic
        tasks: list[Any] = []
        try:
            await self._producer.begin_transaction()
            tasks.append(self._send_all(self._changelog, self.partition, _entries(effects)))
            for name, records in effects.outputs.items():
                headers = _NONE if name in _PLAIN else _CLOUD_EVENT
                sent = [(r.key, r.value, headers) for r in records]
                tasks.append(self._send_all(topic(name), self.partition, sent))
            for partition, forwards in _by_partition(effects).items():
                tasks.append(self._send_all(topic(FORWARDED), partition, forwards))
            for (name, partition), answers in _by_place(effects).items():
                tasks.append(self._send_all(name, partition, answers))
            tasks.append(self._producer.send_offsets_to_transaction(
                {TopicPartition(topic(t), self.partition): o for t, o in effects.offsets.items()},
                self._group,
            ))  # fmt: skip
            ends = await asyncio.gather(*tasks)
            await self._producer.commit_transaction()
        except ProducerFenced as error:
            raise Fenced(f"partition {self.partition} has another owner") from error
        return int(ends[0])

    async def _send_all(self, topic: str, partition: int, records: Iterable[_Record]) -> int:
        """Send records in batches and await them; return the offset after the last."""
        deliveries: list[tuple[asyncio.Future[Any], int]] = []
        batch = self._producer.create_batch()
        for key, value, headers in records:
            appended = batch.append(key=key, value=value, timestamp=None, headers=headers)
            if appended is None:
                deliveries.append(await self._send(batch, topic, partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            deliveries.append(await self._send(batch, topic, partition))
        metadata = await asyncio.gather(*(future for future, _ in deliveries))
        return int(metadata[-1].offset) + deliveries[-1][1]

    async def _send(
        self, batch: Any, topic: str, partition: int
    ) -> tuple[asyncio.Future[Any], int]:
        return await self._producer.send_batch(batch, topic, partition=partition), (
            batch.record_count()
        )


class Producers:
    """The producers of the partitions that this worker has."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[int, PartitionProducer] = {}

    async def fence(self, partitions: Iterable[int]) -> None:
        """Take these partitions anew, side by side, and give up all others."""
        await self.close()
        producers = [PartitionProducer(self._settings, p) for p in sorted(partitions)]
        self._open = {producer.partition: producer for producer in producers}
        await asyncio.gather(*(producer.fence() for producer in producers))

    async def fence_again(self, partition: int, is_ours: Callable[[], bool]) -> PartitionProducer:
        """Take one partition anew, of which this worker was fenced; the others stay.

        Raises:
            Superseded: ``is_ours`` says no.
            KafkaError: the broker refuses.
        """
        await self.discard(partition)
        if not is_ours():
            raise Superseded(f"partition {partition} is about to move")
        producer = PartitionProducer(self._settings, partition)
        try:
            await producer.fence()
        except BaseException:
            await producer.close()
            raise
        self._open[partition] = producer
        return producer

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this worker took over and was not fenced from."""
        return frozenset(self._open)

    def __getitem__(self, partition: int) -> PartitionProducer:
        return self._open[partition]

    async def discard(self, partition: int) -> None:
        """Give up a partition that was fenced."""
        producer = self._open.pop(partition, None)
        if producer is not None:
            await producer.close()

    async def close(self) -> None:
        """Give up all partitions."""
        producers, self._open = list(self._open.values()), {}
        await asyncio.gather(*(producer.close() for producer in producers))


def _entries(effects: Effects) -> Iterable[_Record]:
    """Return the changelog's records; one without value deletes its entry (a tombstone)."""
    return ((key, value, _NONE) for key, value in effects.writes.items())


def _by_partition(effects: Effects) -> Mapping[int, list[_Record]]:
    grouped: dict[int, list[_Record]] = defaultdict(list)
    for forward in effects.forwards:
        grouped[forward.partition].append((forward.key, forward.value, list(forward.headers)))
    return grouped


def _by_place(effects: Effects) -> Mapping[tuple[str, int], list[_Record]]:
    grouped: dict[tuple[str, int], list[_Record]] = defaultdict(list)
    for answer in effects.answers:
        headers: _Headers = [(CORRELATION_ID, answer.correlation_id)]
        grouped[answer.topic, answer.partition].append((None, answer.value, headers))
    return grouped
