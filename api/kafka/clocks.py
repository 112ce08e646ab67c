"""Test clocks: what time it is in a project, and moving the clock of one that has its own.

A call is noted in the database first, then written onto every partition of `ticks`. So whatever is
written was noted, and whoever was cut off in between repeats the call, which writes it again.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.http.problems import invalid
from api.kafka.barrier import Barrier
from api.kafka.processor_client import TIMEOUT_SECONDS, unavailable
from api.queries import clocks as queries
from api.queries.clocks import Shown
from schemas.definition_set import DefinitionSet
from schemas.instants import from_millis
from schemas.records import Tick, encode
from schemas.settings import Settings
from schemas.topics import TICKS

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
_NOT_CONFIRMED = (
    "The broker did not confirm the move: the clock may be on its way; the same call again is safe."
)
_TABLES = ("project_clocks",)


@dataclass(frozen=True)
class Standing:
    """How far a clock was asked to go, and on how many partitions it has not come there yet."""

    now: datetime
    behind: int


class Clocks:
    """The test clocks of all projects."""

    def __init__(
        self,
        settings: Settings,
        pool: AsyncConnectionPool[AsyncConnection],
        producer: AIOKafkaProducer,
        barrier: Barrier,
    ) -> None:
        self._topic = settings.topic(TICKS)
        self._partitions = range(settings.partitions)
        self._pool = pool
        self._producer = producer
        self._barrier = barrier

    async def present(self, definitions: DefinitionSet, project: str) -> datetime:
        """Return what time it is in a project."""
        if not definitions.is_manual(project):
            return datetime.now(UTC)
        async with self._pool.connection() as connection:
            return await queries.asked(connection, project, definitions.clocks[project])

    async def standing(self, project: str, since: datetime) -> Standing:
        """Return how a project's clock stands, which stood at ``since`` at first."""
        await self._barrier.wait(_TABLES)
        async with self._pool.connection() as connection:
            now = await queries.asked(connection, project, since)
            shown = await queries.by_partition(connection, project)
        behind = sum(_shows(shown, partition, since) < now for partition in self._partitions)
        return Standing(now, behind)

    async def move(self, project: str, since: datetime, to: datetime) -> Standing:
        """Move a project's clock; return when all that was due is done on every partition, or after
        five seconds.

        Raises:
            Problem: 400, it may not be moved there; 503, the broker does not take it.
        """
        began = time.monotonic()
        async with self._pool.connection() as connection:
            before, fault = await queries.ask(connection, project, since, to)
        if fault is not None:
            raise invalid("now", fault)
        done: Mapping[int, Shown] = {}
        is_current = True
        again = to == before
        if again:  # done when each partition has done it once more
            is_current = await self._barrier.wait(_TABLES)
            async with self._pool.connection() as connection:
                done = await queries.by_partition(connection, project)
        written = await self._write(encode(Tick(project=project, moves_to=to)))
        while True:
            async with self._pool.connection() as connection:
                shown = await queries.by_partition(connection, project)
            behind = sum(
                not is_current
                or not has_arrived(
                    shown.get(partition), to, done.get(partition), written[partition], again=again
                )
                for partition in self._partitions
            )
            if not behind or time.monotonic() - began > TIMEOUT_SECONDS:
                return Standing(to, behind)
            await asyncio.sleep(POLL_SECONDS)

    async def _write(self, record: bytes) -> Sequence[datetime]:
        """Write a control record onto every partition of `ticks`; return by which times of the
        broker it lies there."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                sent = [
                    await self._producer.send(self._topic, record, partition=partition)
                    for partition in self._partitions
                ]
                return [from_millis(each.timestamp) for each in await asyncio.gather(*sent)]
        except (KafkaError, TimeoutError) as error:
            logger.warning("cannot move a clock: %s", str(error) or type(error).__name__)
            raise unavailable(_NOT_CONFIRMED) from error


def has_arrived(
    shown: Shown | None, to: datetime, before: Shown | None, written: datetime, *, again: bool
) -> bool:
    """Tell whether a partition has done what a call to move its clock asks for.

    Args:
        before: what the partition showed before the call was written.
        written: the broker's time of the call's own record.
        again: whether the clock was asked to go there before. Then the earlier move may arrive
            first, which has not done what came between the two: the arrival must be of a record
            that is no older than the call's own.
    """
    if shown is None or shown.now < to:
        return False
    if not again or shown.now > to:
        return True
    is_new = before is None or shown.version > before.version
    return is_new and shown.moved_at >= written


def _shows(shown: Mapping[int, Shown], partition: int, since: datetime) -> datetime:
    return shown[partition].now if partition in shown else since
