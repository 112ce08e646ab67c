"""Detects partitions without a worker: each worker writes a tick onto its partitions at least every
60 s.

Time is measured by this process from one look to the next, as the broker's clock may differ; only
the ticks before the first look are judged by their timestamps.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from api.kafka import clients
from api.metrics import Metrics
from schemas.kafka.health import consumer_fault
from schemas.settings import Settings
from schemas.topics import TICKS

logger = logging.getLogger(__name__)

STILL_SECONDS = 90.0
"""How long a partition may go without a tick."""
INTERVAL_SECONDS = 2.0
LOOK_SECONDS = 10.0
"""How long one look may take."""


class TickWatch:
    """Reads the end offsets of ``ticks`` every few seconds."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        topic = settings.topic(TICKS)
        self._places = [TopicPartition(topic, number) for number in range(settings.partitions)]
        self._metrics = metrics
        self._consumer = clients.consumer(settings, "read_uncommitted")
        self._ends: dict[TopicPartition, int] = {}
        self._clock = clock
        self._looked = clock()
        self._moved: dict[TopicPartition, float] = {}
        """When a partition's last new tick was seen."""

    async def start(self) -> None:
        """Connect, and read the ticks that exist."""
        await self._consumer.start()
        since = int((time.time() - STILL_SECONDS) * 1000)
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._places, since))
        self._ends = await self._consumer.end_offsets(self._places)
        self._looked = now = self._clock()
        self._moved = {place: now for place, tick in found.items() if tick is not None}

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    def fault(self) -> str | None:
        """Return why the consumer has failed; None where it works."""
        return consumer_fault(self._consumer)

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.look()
            except (KafkaError, TimeoutError) as error:
                logger.warning("cannot look at the ticks: %s", str(error) or type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Look once."""
        ends = await self._consumer.end_offsets(self._places)
        self._looked = now = self._clock()
        self._moved.update({place: now for place in ends if ends[place] != self._ends.get(place)})
        self._ends = ends
        self._metrics.partitions_without_worker.set(len(self.still()))

    def still(self) -> Sequence[int]:
        """Return the partitions without a worker: no tick for ``STILL_SECONDS`` at the last
        look, or none at all."""
        return [
            place.partition
            for place in self._places
            if place not in self._moved or self._looked - self._moved[place] > STILL_SECONDS
        ]
