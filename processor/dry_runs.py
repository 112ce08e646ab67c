"""Dry runs: records that are folded for their answer alone, between the chunks of their partition.

Nobody waits for them, and they are answered at most once: the group is told that they are passed
before they are folded, so that a worker that ends meanwhile leaves them unanswered. What comes too
late, or faster than it can be answered, is passed over as well: who asked asks again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from processor import metrics
from processor.chunking import Chunk
from processor.context import WorkerContext
from processor.domain.dry_run import fold_dry
from processor.domain.effects import Answer
from processor.domain.inputs import Place
from processor.fetching import weigh
from processor.reading import Reading
from schemas.dry_runs import ANSWER_SECONDS
from schemas.kafka import sequences
from schemas.kafka.health import producer_fault
from schemas.replies import CORRELATION_ID
from schemas.settings import Settings
from schemas.topics import DRY_RUNS, MIB

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 16 * MIB
"""Of records that wait to be answered; what comes on top is passed over."""
MAX_REQUEST_BYTES = 5 * MIB
REQUEST_SECONDS = 5

PassOver = Callable[[Mapping[TopicPartition, int]], Awaitable[bool]]
"""Has the group remember from where on dry runs are to be answered; tells whether it does."""


class Waiting(NamedTuple):
    """The dry runs of one chunk, which was folded."""

    partition: int
    records: Sequence[Any]
    is_current: Callable[[], bool]
    """Whether this worker has the partition still."""
    turn: asyncio.Lock
    """Held while the partition's store may change."""


class DryRuns:
    """Answers the dry runs of the partitions that a worker has, in the order in which they come."""

    def __init__(self, context: WorkerContext, pass_over: PassOver) -> None:
        self._context = context
        self._pass_over = pass_over
        self._replies = _Replies(context.settings)
        self._waiting: list[Waiting] = []
        self._bytes = 0
        self._came = asyncio.Event()

    def take(self, chunk: Chunk, is_current: Callable[[], bool], turn: asyncio.Lock) -> None:
        """Have the dry runs of a chunk answered; it was folded. Those for which there is no room
        are given up."""
        room = []
        for record in chunk.dry_runs:
            size = weigh(record)
            if self._bytes + size <= MAX_WAITING_BYTES:
                self._bytes += size
                room.append(record)
        _count("given_up", len(chunk.dry_runs) - len(room))
        if room:
            self._waiting.append(Waiting(chunk.partition, room, is_current, turn))
            self._came.set()

    async def run(self) -> None:
        """Answer until cancelled.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                came, self._waiting = self._waiting, []
                self._bytes = 0
                for waiting in await self._passed(came):
                    await self._answer(waiting)
        finally:
            await self._replies.close()

    async def _passed(self, came: Sequence[Waiting]) -> Sequence[Waiting]:
        """Return those that this worker is to answer: the group knows by now that they passed."""
        ours = [waiting for waiting in came if waiting.is_current()]
        topic = self._context.settings.topic(DRY_RUNS)
        ends = {TopicPartition(topic, w.partition): w.records[-1].offset + 1 for w in ours}
        if ours and await self._pass_over(ends):
            return ours
        _count("given_up", sum(len(waiting.records) for waiting in ours))
        return ()

    async def _answer(self, waiting: Waiting) -> None:
        for record in waiting.records:
            answers: Sequence[Answer] = ()
            async with waiting.turn:
                if not waiting.is_current():
                    _count("given_up")
                elif time.time() * 1000 - record.timestamp > ANSWER_SECONDS * 1000:
                    _count("late")
                else:
                    answers = self._fold(waiting.partition, record)
            for answer in answers:
                await self._send(answer)
            await asyncio.sleep(0)  # chunks go on meanwhile

    def _fold(self, partition: int, record: Any) -> Sequence[Answer]:
        context = self._context
        place = Place(partition, context.settings.partitions, context.reply_partitions)
        reading = Reading(context.store[partition])
        try:
            effects = fold_dry(
                place, record, context.definitions.definitions, reading.load, reading.scan
            )
        except MemoryError:
            logger.exception("partition %d: a dry run needs too much memory", partition)
            _count("given_up")
            return ()
        for fault in effects.faults:
            logger.error("partition %d: a dry run could not be folded", partition, exc_info=fault)
        if not effects.answers:
            _count("unanswerable")
        return effects.answers

    async def _send(self, answer: Answer) -> None:
        destinations, place = self._context.destinations, (answer.topic, answer.partition)
        if destinations is not None and await destinations.unreachable({place}):
            _count("unanswerable")
            return
        _count("answered" if await self._replies.send(answer) else "given_up")


class _Replies:
    """Sends answers, each at most once; the client is there once one was sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def send(self, answer: Answer) -> bool:
        """Send an answer; tell whether it is on its way."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                producer = await self._at_hand()
                sent = await producer.send(
                    answer.topic,
                    answer.value,
                    partition=answer.partition,
                    headers=[(CORRELATION_ID, answer.correlation_id)],
                )
        except (KafkaError, TimeoutError) as error:
            logger.warning("an answer to a dry run is not sent: %r", error)
            await self.close()
            return False
        sent.add_done_callback(_sent)
        return True

    async def _at_hand(self) -> AIOKafkaProducer:
        if self._producer is not None and producer_fault(self._producer) is None:
            return self._producer
        await self.close()
        sequences.install()
        producer = AIOKafkaProducer(
            **self._settings.kafka_options(),
            enable_idempotence=True,
            acks="all",
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )
        self._producer = producer
        await producer.start()
        return producer

    async def close(self) -> None:
        """Give up the client: a failed one is not used again."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await producer.stop()
        except (KafkaError, TimeoutError) as error:
            logger.warning("the client of answers to dry runs does not close: %r", error)


def _sent(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.warning("an answer to a dry run did not arrive: %r", error)


def _count(outcome: str, number: int = 1) -> None:
    if number:
        metrics.DRY_RUNS.labels(outcome).inc(number)
