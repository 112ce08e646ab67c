"""The barrier: reads wait until the read models hold what was published before the read began.

A reply is visible once its transaction is committed, but the commit markers reach the partitions
one after the other. So the barrier waits for the partitions' high watermarks, which include open
transactions, and not for their last stable offsets: outputs that belong to a visible reply are
always below the high watermark, but not always below the last stable offset.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.database_deadline import quick_connection
from api.kafka import clients
from api.kafka.single_flight import SingleFlight
from api.metrics import Metrics
from api.queries import operations as queries
from schemas.kafka.end_offsets import EndOffsets
from schemas.read_models import READ_MODELS
from schemas.settings import Settings

logger = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 1.0
_POLL_SECONDS = 0.01

TRUSTED_SECONDS = 1.0
"""How long a cached checkpoint is trusted: a crash may lose the last asynchronous commits, but the
database cannot be back sooner than this."""

CheckpointKey = tuple[str, str, int]
"""A read model, its topic's name without prefix, and a partition."""

Ends = SingleFlight[dict[CheckpointKey, int]]
"""Returns where some read models should be now."""


class Barrier:
    """Compares the ends of topics with the checkpoints of read models."""

    def __init__(
        self, settings: Settings, pool: AsyncConnectionPool[AsyncConnection], metrics: Metrics
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self.log_ends = EndOffsets(settings, "read_uncommitted")
        """Asks the broker where topics end, transactions that are open included."""
        self._keys: dict[TopicPartition, list[CheckpointKey]] = defaultdict(list)
        for model, topics in READ_MODELS.items():
            for topic in topics:
                for partition in range(clients.partition_count(settings, topic)):
                    of = TopicPartition(settings.topic(topic), partition)
                    self._keys[of].append((model, topic, partition))
        self._reached: dict[CheckpointKey, int] = {}
        self._asked_at = -math.inf
        self._ends_of: dict[frozenset[str], Ends] = {}
        self.ends = self._ends(frozenset(READ_MODELS))
        """Returns the end offset of each topic partition, by read model."""
        self.checkpoints = SingleFlight(self._ask_checkpoints)
        """Returns the checkpoints of the read models."""

    async def start(self) -> None:
        """Connect to the broker."""
        await self.log_ends.__aenter__()

    async def stop(self) -> None:
        """Disconnect."""
        await self.log_ends.__aexit__(None, None, None)

    def fault(self) -> str | None:
        """Return why the client has failed; None where it works."""
        return self.log_ends.fault()

    async def wait(self, models: Collection[str]) -> bool:
        """Return when these read models hold all that is published now, or after a second; tell
        whether they do.

        Raises:
            KeyError: there is no such read model.
        """
        return await self._wait(self._ends(frozenset(models)))

    async def wait_for(self, wanted: Mapping[CheckpointKey, int]) -> bool:
        """Return when read models have come to these offsets, or after a second; tell whether they
        have."""

        async def known() -> Mapping[CheckpointKey, int]:
            return wanted

        return await self._wait(known)

    def partitions(
        self, models: Collection[str]
    ) -> Mapping[TopicPartition, Sequence[CheckpointKey]]:
        """Return the partitions that these read models are made from, and the checkpoints there."""
        of = {
            partition: [key for key in keys if key[0] in models]
            for partition, keys in self._keys.items()
        }
        return {partition: keys for partition, keys in of.items() if keys}

    async def _wait(self, ends: Callable[[], Awaitable[Mapping[CheckpointKey, int]]]) -> bool:
        began = time.perf_counter()
        current = False
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._wait_for(await ends())
        except TimeoutError:
            self._metrics.barrier_timeouts.inc()
        except KafkaError as error:
            # Stale data is still useful; /readyz reports the broker.
            self._metrics.barrier_timeouts.inc()
            logger.warning("cannot ask how far the topics go: %s", error)
        else:
            current = True
        self._metrics.barrier_seconds.observe(time.perf_counter() - began)
        return current

    async def _wait_for(self, wanted: Mapping[CheckpointKey, int]) -> None:
        if time.monotonic() - self._asked_at > TRUSTED_SECONDS:
            await self.checkpoints()
        while not reached(wanted, self._reached):
            await self.checkpoints()
            if reached(wanted, self._reached):
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _ends(self, models: frozenset[str]) -> Ends:
        """Return the shared call for the ends of these read models' topics.

        A request for all partitions takes three times as long.
        """
        ends = self._ends_of.get(models)
        if ends is None:
            for model in models - READ_MODELS.keys():
                raise KeyError(f"there is no read model {model}")
            wanted = self.partitions(models)
            ends = self._ends_of[models] = SingleFlight(partial(self._ask_ends, wanted))
        return ends

    async def _ask_ends(
        self, wanted: Mapping[TopicPartition, Sequence[CheckpointKey]]
    ) -> dict[CheckpointKey, int]:
        ends = await self.log_ends.of(wanted)
        return {key: end for partition, end in ends.items() for key in wanted[partition]}

    async def _ask_checkpoints(self) -> dict[CheckpointKey, int]:
        async with quick_connection(self._pool) as connection:
            self._reached = await queries.checkpoints(connection)
        self._asked_at = time.monotonic()
        return self._reached


def reached(wanted: Mapping[CheckpointKey, int], checkpoints: Mapping[CheckpointKey, int]) -> bool:
    """Tell whether checkpoints have reached the offsets wanted; an empty partition needs none."""
    return all(end <= checkpoints.get(key, 0) for key, end in wanted.items())
