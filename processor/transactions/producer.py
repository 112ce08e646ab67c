"""A chunk's effects in one transaction, and the producers of the partitions that a worker has."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from aiokafka import TopicPartition

from processor import metrics
from processor.destinations import Destinations, room
from processor.domain.effects import Answer, Effects, Output
from processor.transactions.batches import (
    Batch,
    Pair,
    Record,
    batches_of,
    size_alone,
    uniform_batches,
)
from processor.transactions.brokers import Brokers
from processor.transactions.errors import Fenced, Overdue, Superseded
from processor.transactions.packing import encode_headers
from processor.transactions.writer import TransactionWriter, side_by_side
from schemas import outputs
from schemas.replies import CORRELATION_ID
from schemas.settings import Settings
from schemas.topics import (
    CHUNK_LOG,
    DEAD_LETTERS,
    FORWARDED,
    MEMBER_EVENTS,
    MEMBER_KEYS,
    changelog_topic,
)
from schemas.tracing import HEADER, NOT_TRACED

logger = logging.getLogger(__name__)

BATCH_BYTES = 3_900_000
"""Below what our topics take (``max.message.bytes``), counted before compression. A partition's
batches go one after the other, so few large ones save round trips."""

WRITE_SECONDS = 60
"""A transaction that takes longer is over, one way or the other: the broker ends it after
``TRANSACTION_TIMEOUT_MS`` and looks for such ones every 10 s."""
FENCE_SECONDS = 60
CLOSE_SECONDS = 5

_PLAIN = frozenset({CHUNK_LOG, DEAD_LETTERS})
_OF_FORGOTTEN = frozenset({MEMBER_EVENTS, MEMBER_KEYS})
"""Topics on which records without value are written, where a member was forgotten."""
_CLOUD_EVENT = encode_headers([outputs.CONTENT_TYPE])
_NONE = encode_headers([])


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
        self.partition = partition
        self._destinations = destinations
        self._is_ours = is_ours
        self._topic = settings.topic
        changelog = changelog_topic(settings.application_id).name
        self._changelog = TopicPartition(settings.topic(changelog), partition)
        transactional_id = f"{settings.topic(settings.application_id)}-{partition}"
        self._brokers = Brokers(settings, transactional_id)
        self._writer = TransactionWriter(self._brokers, transactional_id)

    async def fence(self) -> None:
        """Take the partition: an earlier owner's transaction is aborted, its next one fails.

        Raises:
            Superseded: the partition is not ours any more; its new owner was not fenced.
            Overdue: the broker did not answer in time.
            KafkaError: it refused.
        """
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await self._writer.fence(self._check)
        except TimeoutError as error:
            raise Overdue(
                f"partition {self.partition} could not be taken within {FENCE_SECONDS} s: the "
                "broker's transaction coordinator does not answer"
            ) from error

    def _check(self) -> None:
        if not self._is_ours():
            raise Superseded(f"partition {self.partition} is about to move again")

    async def close(self) -> None:
        """Stop, and give up what is not committed: the partition's next owner aborts it."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._brokers.close()
        except TimeoutError:
            logger.warning("partition %d: its connections do not close", self.partition)

    async def write(self, effects: Effects, parents: Mapping[bytes, bytes] = NOT_TRACED) -> int:
        """Write a chunk's effects in one transaction, the position in its inputs among them.

        ``parents`` has, by key of outputs, the `traceparent` that these get.

        Returns the changelog offset after its last record. Replies that cannot arrive are left out
        and counted.

        Raises:
            Fenced: the partition has another owner, or the broker aborted the transaction, which
                outlived its time; nothing was written.
            RecordTooLarge: a topic takes less than the catalogue says; nothing was written.
            Overdue: it took too long; whether it was committed is unknown.
            KafkaError: anything else; whether it was committed is unknown.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                answers = await self._arriving(effects.answers)
                ends = await self._writer.write(self._batches(effects, answers, parents))
        except Fenced as error:
            raise Fenced(f"partition {self.partition}: {error}") from error
        except TimeoutError as error:
            raise Overdue(
                f"partition {self.partition}: a transaction was not over after {WRITE_SECONDS} s; "
                "whether it was committed is found out at the next start"
            ) from error
        return ends[self._changelog]

    def _batches(
        self,
        effects: Effects,
        answers: Iterable[Answer],
        parents: Mapping[bytes, bytes] = NOT_TRACED,
    ) -> Mapping[TopicPartition, list[Batch]]:
        """Make record batches of all that a chunk leads to."""
        room = self._room
        # A change without value deletes its entry (a tombstone).
        changes = uniform_batches(effects.writes.items(), _NONE, room(self._changelog.topic))
        batches = {self._changelog: changes}
        for name, records in effects.outputs.items():
            place = TopicPartition(self._topic(name), self.partition)
            if effects.forgotten and name in _OF_FORGOTTEN:
                batches[place] = batches_of(map(_of_member, records), room(place.topic))
                continue
            if parents and name not in _PLAIN:
                batches[place] = batches_of(_traced(records, parents), room(place.topic))
                continue
            headers = _NONE if name in _PLAIN else _CLOUD_EVENT
            pairs: list[Pair] = [(record.key, record.value) for record in records]
            batches[place] = uniform_batches(pairs, headers, room(place.topic))
        for partition, forwards in _by_partition(effects).items():
            place = TopicPartition(self._topic(FORWARDED), partition)
            batches[place] = batches_of(forwards, room(place.topic))
        for place, replies in _by_place(answers).items():
            batches[place] = batches_of(replies, room(place.topic))
        return batches

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
            and size_alone(_reply(answer)) <= self._room(answer.topic)
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
        await side_by_side([producer.fence() for producer in producers])

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


def _by_partition(effects: Effects) -> Mapping[int, list[Record]]:
    grouped: dict[int, list[Record]] = defaultdict(list)
    for forward in effects.forwards:
        grouped[forward.partition].append((forward.key, forward.value, list(forward.headers)))
    return grouped


def _traced(records: Iterable[Output], parents: Mapping[bytes, bytes]) -> Iterable[Record]:
    for record in records:
        parent = parents.get(record.key or b"")
        own = [] if parent is None else [(HEADER, parent)]
        yield record.key, record.value, [outputs.CONTENT_TYPE, *own]


def _of_member(output: Output) -> Record:
    """Return a record of ``member-events`` or ``member-keys``: without value, and with headers of
    its own, where it says that something is no more."""
    if output.value:
        return output.key, output.value, [outputs.CONTENT_TYPE]
    return output.key, None, output.headers


def _by_place(answers: Iterable[Answer]) -> Mapping[TopicPartition, list[Record]]:
    grouped: dict[TopicPartition, list[Record]] = defaultdict(list)
    for answer in answers:
        grouped[TopicPartition(answer.topic, answer.partition)].append(_reply(answer))
    return grouped


def _reply(answer: Answer) -> Record:
    return None, answer.value, [(CORRELATION_ID, answer.correlation_id)]
