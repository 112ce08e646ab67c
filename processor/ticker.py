"""The ticker: writes time onto the partitions that this worker has, as records of ``ticks``.

A tick is written at least every ``MILESTREAM_TICK_SECONDS``, and at once where something in a
partition's due-index has come due. The fold knows no clock: a tick's time is what the broker stamps
on it; ``ends`` say where the partition's other inputs ended before that, uncommitted records
included: what was acknowledged to somebody is never left out, also where it stands behind another's
open transaction.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Set

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from processor import metrics
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.health import producer_fault
from schemas.records import Tick, encode
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, TICKS

logger = logging.getLogger(__name__)

EARLIER = 0.8
"""Ticks are written after this part of the time that may pass between two: a chunk may be folded
just then, or the broker be slow."""
RETRY_SECONDS = 1
LOOK_SECONDS = 1
"""How often the due-indexes are looked at."""
REQUEST_SECONDS = 10
"""A request that is not answered for so long has failed, and is tried again."""


class Ticker:
    """Publishes ticks until it is cancelled.

    Two workers may tick for one partition while it moves: a tick more changes nothing. The records
    are not part of a transaction, so nothing that the broker takes is ever undone.
    """

    def __init__(
        self,
        settings: Settings,
        log_ends: EndOffsets,
        owned: Callable[[], Set[int]],
        is_due: Callable[[int, int], bool],
    ) -> None:
        """``owned`` tells the partitions that this worker has at present; ``is_due`` whether, by
        the clock, something of a partition is due, and the tick at an offset was folded."""
        self._settings = settings
        self._log_ends = log_ends
        self._owned = owned
        self._is_due = is_due
        self._next: dict[int, float] = {}
        self._written: dict[int, int] = {}
        """The offset of the tick that was written last."""
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        """Once it is connected."""

    def fault(self) -> str | None:
        """Return why ticks are written no more; None where they are."""
        return None if self._producer is None else producer_fault(self._producer)

    def soon(self, partitions: Iterable[int], seconds: float = 0.0) -> None:
        """Publish the next tick of these partitions at once, or after so many seconds at most."""
        at = _now() + seconds if seconds else 0.0
        for partition in partitions:
            self._next[partition] = min(self._next.get(partition, at), at)
        self._wake.set()

    async def run(self) -> None:
        """Publish; what the broker does not take is logged, counted and tried again.

        Raises:
            Exception: anything but a failure of Kafka.
        """
        producer = AIOKafkaProducer(
            **self._settings.kafka_options(),
            acks="all",
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )
        await self._start(producer)
        self._producer = producer
        try:
            while True:
                self._wake.clear()
                await self._publish_due(producer)
                await self._wait()
        finally:
            await producer.stop()

    async def _start(self, producer: AIOKafkaProducer) -> None:
        while True:
            try:
                await producer.start()
            except KafkaError as error:
                logger.warning("cannot connect to write ticks, trying again: %r", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _publish_due(self, producer: AIOKafkaProducer) -> None:
        """Write a tick onto each partition whose time it is, side by side."""
        now = _now()
        owned = self._owned()
        due = [
            partition
            for partition in owned
            if self._next.get(partition, 0.0) <= now
            or self._is_due(partition, self._written.get(partition, -1))
        ]
        self._next = {partition: self._next.get(partition, 0.0) for partition in owned}
        self._next.update(dict.fromkeys(due, now + EARLIER * self._settings.tick_seconds))
        if not due:
            return
        try:
            ends = await self._log_ends.of([tp for p in due for tp in self._places(p).values()])
        except KafkaError as error:
            self._failed(due, error)
            return
        await asyncio.gather(*(self._publish(producer, p, ends) for p in due))

    async def _publish(
        self, producer: AIOKafkaProducer, partition: int, ends: Mapping[TopicPartition, int]
    ) -> None:
        tick = Tick(ends={name: ends[tp] for name, tp in self._places(partition).items()})
        topic = self._settings.topic(TICKS)
        try:
            async with asyncio.timeout(2 * REQUEST_SECONDS):  # aiokafka's own may start anew
                written = await producer.send_and_wait(topic, encode(tick), partition=partition)
        except (KafkaError, TimeoutError) as error:
            self._failed([partition], error)
        else:
            self._written[partition] = written.offset
            metrics.TICKS_PUBLISHED.inc()

    def _failed(self, partitions: list[int], error: Exception) -> None:
        metrics.TICKS_FAILED.inc(len(partitions))
        logger.warning("no tick on partitions %s, trying again: %r", sorted(partitions), error)
        self._next.update(dict.fromkeys(partitions, _now() + RETRY_SECONDS))

    def _places(self, partition: int) -> Mapping[str, TopicPartition]:
        """Name what a tick of a partition is folded after."""
        topic = self._settings.topic
        return {n: TopicPartition(topic(n), partition) for n in INPUT_TOPICS if n != TICKS}

    async def _wait(self) -> None:
        """Sleep until it is time to look again, or a tick is wanted at once."""
        seconds = min(self._next.values(), default=float("inf")) - _now()
        with contextlib.suppress(TimeoutError):  # then the time has come
            async with asyncio.timeout(min(max(seconds, 0), LOOK_SECONDS)):
                await self._wake.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
