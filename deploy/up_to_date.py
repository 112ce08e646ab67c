"""Whether tables have what was on the topics when it was asked."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from psycopg import AsyncConnection

from api.kafka.barrier import reached
from api.queries.operations import checkpoints
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from schemas.kafka.end_offsets import EndOffsets
from schemas.read_models import READ_MODELS
from schemas.settings import Settings
from schemas.topics import TOPICS

WAIT_SECONDS = 10
POLL_SECONDS = 0.2

Ends = dict[tuple[str, str, int], int]
"""By read model, topic and partition, where the topic ends."""


async def ends_of(settings: Settings, tables: Collection[str]) -> Ends:
    """Return where the topics of read models end, open transactions included.

    Raises:
        KafkaError: the broker does not answer.
    """
    keys = {
        (topic, partition): TopicPartition(settings.topic(topic), partition)
        for topic in {topic for table in tables for topic in READ_MODELS[table]}
        for partition in range(TOPICS[topic].partition_count(settings.partitions))
    }
    async with EndOffsets(settings, "read_uncommitted") as asking:
        ends = await asking.of(list(keys.values()))
    return {
        (table, topic, partition): ends[place]
        for table in tables
        for (topic, partition), place in keys.items()
        if topic in READ_MODELS[table]
    }


@asynccontextmanager
async def tables_at(
    settings: Settings, ends: Ends, otherwise: str
) -> AsyncIterator[AsyncConnection]:
    """Give a connection, in no transaction, to a database whose tables came to ``ends``.

    Raises:
        CommandError: the database does not answer; or its tables are behind, so ``otherwise``.
    """
    with database_errors():
        async with await AsyncConnection.connect(
            settings.database_url, autocommit=True
        ) as connection:
            if not await _are_up_to(connection, ends):
                raise CommandError(
                    f"the tables are not up to date, so {otherwise}; is a projector running?"
                )
            yield connection


async def _are_up_to(connection: AsyncConnection, ends: Ends) -> bool:
    """Wait for tables; tell whether they came there in time. It must not be in a transaction."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not reached(ends, await checkpoints(connection)):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
