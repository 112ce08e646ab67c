"""Writing a chunk, once: one Kafka transaction, by a producer that belongs to the partition.

The transactional id is application + partition, so a new owner of the partition fences the old one
(``init_transactions``), whatever the consumer group thinks of either. aiokafka sends no group
generation with the offsets: this fence is the only one, and it must stand before the changelog's
end is read.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from processor import metrics
from processor.destinations import Destination, Destinations, room
from processor.domain.effects import Answer, Effects
from schemas import outputs
from schemas.kafka import sequences
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

WRITE_SECONDS = 60
"""A transaction that takes longer is over, one way or the other: the broker ends it after
``TRANSACTION_TIMEOUT_MS`` and looks for such ones every 10 s."""
FENCE_SECONDS = 60
CLOSE_SECONDS = 5

_PLAIN = frozenset({CHUNK_LOG, DEAD_LETTERS})
_Headers = list[tuple[str, bytes | None]]
_Record = tuple[bytes | None, bytes | None, _Headers]
_CLOUD_EVENT: _Headers = [outputs.CONTENT_TYPE]
_NONE: _Headers = []


class Fenced(RuntimeError):
    """Another worker owns the partition now; nothing of the chunk was written."""


class Overdue(RuntimeError):
    """The broker did not answer in time. Whether a transaction was committed is unknown: the worker
    must stop, and its next start finds out."""


class Superseded(RuntimeError):
    """A rebalance came before the partition was taken; nothing was taken."""


class RecordTooLarge(RuntimeError):
    """One of our topics does not take a record that it should take; nothing was written."""


def always() -> bool:
    """For a partition that no rebalance takes away."""
    return True


class PartitionProducer:
    """The transactional producer of one input partition."""

    def __init__(
        self,
        settings: Settings,
        partition: int,
        destinations: Destinations | None = None,
        is_ours: Callable[[], bool] = always,
    ) -> None:
        """``destinations`` tell what topics take; without, it is what the catalogue says, and all
        replies can arrive. ``is_ours`` tells whether the partition may still be taken."""
        sequences.install()
        self.partition = partition
        self._settings = settings
        self._destinations = destinations
        self._is_ours = is_ours
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

        if is_ours is not always:
            self._guard()

    def _guard(self) -> None:
        # aiokafka asks for the producer's id, which is what fences, again and again until it has
        # it. Before each time it is looked whether the partition is still ours.
        sender: Any = self._producer._sender
        ask = sender._do_init_pid

        async def ask_if_ours(node: int) -> Any:
            if not self._is_ours():
                raise Superseded(f"partition {self.partition} is about to move again")
            return await ask(node)

        sender._do_init_pid = ask_if_ours

    async def fence(self) -> None:
        """Take the partition: an earlier owner's transaction is aborted, its next one fails.

        Raises:
            Superseded: the partition is not ours any more; its new owner was not fenced.
            Overdue: the broker did not answer in time.
            KafkaError: it refused.
        """
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await self._producer.start()
        except TimeoutError as error:
            raise Overdue(
                f"partition {self.partition} could not be taken within {FENCE_SECONDS} s: the "
                "broker's transaction coordinator does not answer"
            ) from error

    async def close(self) -> None:
        """Stop, and give up what is not committed."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._producer.stop()
        except (TimeoutError, KafkaError) as error:  # one that is fenced says so once more
            logger.warning("partition %d: its producer does not stop: %r", self.partition, error)
            sending = self._producer._sender.sender_task
            if sending is not None:
                sending.cancel()
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._producer.client.close()

    async def write(self, effects: Effects) -> int:
        """Write a chunk's effects and its input offsets in one transaction.

        Returns the changelog offset after its last record. Every delivery is awaited before the
        commit: aiokafka would commit a transaction of which a batch failed. Replies that cannot
        arrive are left out and counted.

        Raises:
            Fenced: the partition has another owner; nothing was written.
            RecordTooLarge: a topic takes less than the catalogue says; nothing was written.
            Overdue: it took too long; whether it was committed is unknown.
            KafkaError: anything else; whether it was committed is unknown.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                answers = await self._arriving(effects.answers)
                return await self._write(effects, answers)
        except ProducerFenced as error:
            raise Fenced(f"partition {self.partition} has another owner") from error
        except TimeoutError as error:
            raise Overdue(
                f"partition {self.partition}: a transaction was not over after {WRITE_SECONDS} s; "
                "whether it was committed is found out at the next start"
            ) from error

    async def _write(self, effects: Effects, answers: Iterable[Answer]) -> int:
        topic = self._settings.topic
        tasks: list[Any] = []
        await self._producer.begin_transaction()
        tasks.append(self._send_all(self._changelog, self.partition, _entries(effects)))
        for name, records in effects.outputs.items():
            headers = _NONE if name in _PLAIN else _CLOUD_EVENT
            sent = [(r.key, r.value, headers) for r in records]
            tasks.append(self._send_all(topic(name), self.partition, sent))
        for partition, forwards in _by_partition(effects).items():
            tasks.append(self._send_all(topic(FORWARDED), partition, forwards))
        for (name, partition), replies in _by_place(answers).items():
            tasks.append(self._send_all(name, partition, replies))
        offsets = {
            TopicPartition(topic(name), self.partition): offset
            for name, offset in effects.offsets.items()
        }
        if offsets:
            tasks.append(self._producer.send_offsets_to_transaction(offsets, self._group))
        ends = await _all(tasks)
        await self._producer.commit_transaction()
        return int(ends[0])

    async def _arriving(self, answers: list[Answer]) -> list[Answer]:
        """Leave out the replies that cannot arrive: there is no such partition (any more), none
        leads it, or its topic does not take so large a record."""
        if not answers:
            return answers
        unreachable = (
            await self._destinations.unreachable({(a.topic, a.partition) for a in answers})
            if self._destinations is not None
            else ()
        )
        arriving = [
            answer
            for answer in answers
            if (answer.topic, answer.partition) not in unreachable
            and _size(answer) <= self._room(answer.topic)
        ]
        if len(arriving) < len(answers):
            refused = len(answers) - len(arriving)
            metrics.OUTCOMES.labels("replies_refused").inc(refused)
            logger.warning("partition %d: %d replies cannot arrive", self.partition, refused)
        return arriving

    def _room(self, topic: str) -> int:
        """Return how large a batch may be, before compression."""
        if self._destinations is None:
            return BATCH_BYTES
        return min(BATCH_BYTES, room(self._destinations.limit(topic)))

    def _new_batch(self, topic: str) -> BatchBuilder:
        return BatchBuilder(self._room(topic), DefaultRecordBatch.CODEC_ZSTD, is_transactional=True)

    async def _send_all(self, topic: str, partition: int, records: Iterable[_Record]) -> int:
        """Send records in batches and await them; return the offset after the last."""
        deliveries: list[tuple[asyncio.Future[Any], int]] = []
        batch = self._new_batch(topic)
        for key, value, headers in records:
            appended = batch.append(key=key, value=value, timestamp=None, headers=headers)
            if appended is None:
                deliveries.append(await self._send(batch, topic, partition))
                batch = self._new_batch(topic)
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            deliveries.append(await self._send(batch, topic, partition))
        try:
            metadata = await asyncio.gather(*(future for future, _ in deliveries))
        except MessageSizeTooLargeError as error:
            raise RecordTooLarge(
                f"{topic} does not take a record that it should: set its max.message.bytes to what "
                "`milestream topics` says"
            ) from error
        return int(metadata[-1].offset) + deliveries[-1][1]

    async def _send(
        self, batch: Any, topic: str, partition: int
    ) -> tuple[asyncio.Future[Any], int]:
        return await self._producer.send_batch(batch, topic, partition=partition), (
            batch.record_count()
        )


class Producers:
    """The producers of the partitions that this worker has."""

    def __init__(self, settings: Settings, destinations: Destinations | None = None) -> None:
        self._settings = settings
        self._destinations = destinations
        self._open: dict[int, PartitionProducer] = {}

    async def fence(self, partitions: Iterable[int], is_ours: Callable[[], bool] = always) -> None:
        """Take these partitions anew, side by side, and give up all others.

        Raises:
            Superseded: ``is_ours`` said no before all were taken.
            Overdue: the broker did not answer in time.
            KafkaError: it refused.
        """
        await self.close()
        producers = [self._new(partition, is_ours) for partition in sorted(partitions)]
        self._open = {producer.partition: producer for producer in producers}
        await _all([producer.fence() for producer in producers])

    async def fence_again(
        self, partition: int, is_ours: Callable[[], bool] = always
    ) -> PartitionProducer:
        """Take one partition anew, of which this worker was fenced; the others stay.

        Raises:
            Superseded, Overdue, KafkaError: see ``fence``.
        """
        await self.discard(partition)
        producer = self._new(partition, is_ours)
        try:
            await producer.fence()
        except BaseException:
            await producer.close()
            raise
        self._open[partition] = producer
        return producer

    def _new(self, partition: int, is_ours: Callable[[], bool]) -> PartitionProducer:
        return PartitionProducer(self._settings, partition, self._destinations, is_ours)

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


async def _all(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Await them side by side; where one fails, none goes on in the background."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _entries(effects: Effects) -> Iterable[_Record]:
    """Return the changelog's records; one without value deletes its entry (a tombstone)."""
    return ((key, value, _NONE) for key, value in effects.writes.items())


def _by_partition(effects: Effects) -> Mapping[int, list[_Record]]:
    grouped: dict[int, list[_Record]] = defaultdict(list)
    for forward in effects.forwards:
        grouped[forward.partition].append((forward.key, forward.value, list(forward.headers)))
    return grouped


def _by_place(answers: Iterable[Answer]) -> Mapping[Destination, list[_Record]]:
    grouped: dict[Destination, list[_Record]] = defaultdict(list)
    for answer in answers:
        grouped[answer.topic, answer.partition].append((None, answer.value, _headers(answer)))
    return grouped


def _headers(answer: Answer) -> _Headers:
    return [(CORRELATION_ID, answer.correlation_id)]


def _size(answer: Answer) -> int:
    """Return the bytes of a batch with nothing but this reply, at most."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(
        None, answer.value, _headers(answer)
    )
    return size
