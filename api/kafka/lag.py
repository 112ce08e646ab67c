"""The lag of the read models behind the topics, measured every few seconds."""

import asyncio
import logging
import time
from collections.abc import Mapping

import psycopg
from aiokafka.errors import KafkaError

from api.kafka.barrier import Barrier, CheckpointKey, reached
from api.metrics import Metrics

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0


class LagWatch:
    """Measures the lag in records, and how long something published has been missing."""

    def __init__(self, barrier: Barrier, metrics: Metrics) -> None:
        self._barrier = barrier
        self._metrics = metrics
        self._seen: tuple[float, Mapping[CheckpointKey, int]] | None = None
        self.records = 0
        """Offsets that the read models have not reached yet."""
        self.seconds = 0.0
        """0 where the read models have reached the ends of the measurement before."""

    async def run(self) -> None:
        """Measure every few seconds until cancelled."""
        while True:
            try:
                await self.look()
            except (KafkaError, psycopg.Error, OSError, TimeoutError) as error:
                logger.warning("cannot measure the projection's lag: %s", error)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Measure once."""
        ends = await self._barrier.ends()
        checkpoints = await self._barrier.checkpoints()
        now = time.monotonic()
        self.records = sum(max(0, end - checkpoints.get(key, 0)) for key, end in ends.items())
        if self._seen is None or reached(self._seen[1], checkpoints):
            self._seen = (now, ends)
            self.seconds = 0.0
        else:
            self.seconds = now - self._seen[0]
        self._metrics.projection_lag_records.set(self.records)
        self._metrics.projection_lag_seconds.set(self.seconds)
