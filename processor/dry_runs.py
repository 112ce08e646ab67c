"""Dry runs: records that are folded for their answer alone, between the chunks of their partition.

Nobody waits for them, and they are answered at most once: the group is told that they are passed
before they are folded, so that a worker that ends meanwhile leaves them unanswered. What comes too
late, or faster than it can be answered, is passed over as well: who asked asks again.
"""

import asyncio
import logging
import time
from collections import deque
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
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.fetching import weigh
from processor.reading import DryRunKeys, Reading
from schemas.dry_runs import ANSWER_SECONDS
from schemas.kafka import sequences
from schemas.kafka.health import producer_fault
from schemas.replies import CORRELATION_ID
from schemas.settings import Settings
from schemas.topics import DRY_RUNS, MIB

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 16 * MIB
"""Of records that wait to be answered; what comes on top is passed over."""
MAX_A_TURN = 16
"""So many are folded while a chunk of their partition waits,"""
MAX_TURN_BYTES = 4 * MIB
"""or until their answers come to more than this."""
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
        master_key = context.settings.master_key
        self._keys: MemberKeys = NO_KEYS if master_key is None else DryRunKeys(master_key)
        self._waiting: list[Waiting] = []
        self._answering: dict[int, deque[Waiting]] = {}
        """By partition, those that are answered one after the other; gone once none is left."""
        self._bytes = 0
        """Of all that are not folded yet."""
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
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._came.wait()
                    self._came.clear()
                    came, self._waiting = self._waiting, []
                    for waiting in await self._passed(came):
                        self._begin(waiting, tasks)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        finally:
            await self._replies.close()

    async def _passed(self, came: Sequence[Waiting]) -> Sequence[Waiting]:
        """Return those that this worker is to answer: the group knows by now that they passed."""
        ours: list[Waiting] = []
        for waiting in came:
            if waiting.is_current():
                ours.append(waiting)
            else:
                self._drop(waiting)
        topic = self._context.settings.topic(DRY_RUNS)
        ends = {TopicPartition(topic, w.partition): w.records[-1].offset + 1 for w in ours}
        if ours and await self._pass_over(ends):
            return ours
        for waiting in ours:
            _count("given_up", len(waiting.records))
            self._drop(waiting)
        return ()

    def _drop(self, waiting: Waiting) -> None:
        self._bytes -= sum(map(weigh, waiting.records))

    def _begin(self, waiting: Waiting, tasks: asyncio.TaskGroup) -> None:
        """Have them answered behind those of their partition, beside those of others."""
        partition = waiting.partition
        if partition in self._answering:
            self._answering[partition].append(waiting)
        else:
            self._answering[partition] = deque([waiting])
            tasks.create_task(self._work(partition))

    async def _work(self, partition: int) -> None:
        """Answer a partition's dry runs until none is left; there is one such task a partition."""
        queue = self._answering[partition]
        while queue:
            await self._answer(queue.popleft())
        del self._answering[partition]

    async def _answer(self, waiting: Waiting) -> None:
        records = deque(waiting.records)
        while records:
            for answer in await self._fold_some(waiting, records):
                await self._send(answer)
            await asyncio.sleep(0)  # chunks go on meanwhile

    async def _fold_some(self, waiting: Waiting, records: deque[Any]) -> Sequence[Answer]:
        """Fold the first records in one turn, and take them out; or give up the first, where its
        turn does not come while somebody waits for it."""
        try:
            async with asyncio.timeout(max(0, _seconds_left(records[0]))):
                await waiting.turn.acquire()
        except TimeoutError:
            self._next(records)
            _count("late")
            return ()
        answers: list[Answer] = []
        try:
            for _ in range(MAX_A_TURN):
                if not records or sum(len(each.value) for each in answers) > MAX_TURN_BYTES:
                    break
                record = self._next(records)
                if not waiting.is_current():
                    _count("given_up")
                elif _seconds_left(record) < 0:
                    _count("late")
                else:
                    answers += self._fold(waiting.partition, record)
                await asyncio.sleep(0)  # other partitions go on
        finally:
            waiting.turn.release()
        return answers

    def _next(self, records: deque[Any]) -> Any:
        record = records.popleft()
        self._bytes -= weigh(record)
        return record

    def _fold(self, partition: int, record: Any) -> Sequence[Answer]:
        context = self._context
        place = Place(partition, context.settings.partitions, context.reply_partitions)
        reading = Reading(context.store[partition])
        try:
            effects = fold_dry(
                place,
                record,
                context.definitions.definitions,
                reading.load,
                reading.scan,
                keys=self._keys,
            )
        except MemoryError:
            logger.exception("partition %d: a dry run needs too much memory", partition)
            _count("given_up")
            return ()
        for fault in effects.take_faults():
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
        self._starting = asyncio.Lock()

    async def send(self, answer: Answer) -> bool:
        """Send an answer; tell whether it is on its way."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                async with self._starting:  # one client, whoever comes first
                    producer = await self._at_hand()
                sent = await producer.send(
                    answer.topic,
                    answer.value,
                    partition=answer.partition,
                    headers=[(CORRELATION_ID, answer.correlation_id)],
                )
        except (KafkaError, TimeoutError) as error:
            logger.warning("an answer to a dry run is not sent: %r", error)
            if producer is not None and producer is self._producer:
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
        started = False
        try:
            await producer.start()
            started = True
        finally:
            if not started:
                await _stop(producer)
        self._producer = producer
        return producer

    async def close(self) -> None:
        """Give up the client: a failed one is not used again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        logger.warning("the client of answers to dry runs does not close: %r", error)


def _seconds_left(record: Any) -> float:
    """Return for how long somebody waits for the answer still."""
    written: float = record.timestamp / 1000
    return written + ANSWER_SECONDS - time.time()


def _sent(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.warning("an answer to a dry run did not arrive: %r", error)


def _count(outcome: str, number: int = 1) -> None:
    if number:
        metrics.DRY_RUNS.labels(outcome).inc(number)
