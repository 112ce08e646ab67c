"""Whether a project may be given another clock: only while it has no members, which keep theirs."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import TopicPartition
from psycopg import AsyncConnection

from api.kafka.barrier import reached
from api.queries import clocks
from api.queries.operations import checkpoints
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import MEMBER_EVENTS

WAIT_SECONDS = 10
POLL_SECONDS = 0.2
_TABLE = "members"


async def with_members(settings: Settings, projects: Sequence[str]) -> list[str]:
    """Return those of the projects that have members, as far as any was published by now.

    Raises:
        CommandError: the database does not answer, or its tables are behind.
        KafkaError: the broker does not answer.
    """
    if not projects:
        return []
    places = [
        TopicPartition(settings.topic(MEMBER_EVENTS), number)
        for number in range(settings.partitions)
    ]
    async with EndOffsets(settings, "read_uncommitted") as asking:
        ends = await asking.of(places)
    if not any(ends.values()):
        return []
    wanted = {(_TABLE, MEMBER_EVENTS, place.partition): end for place, end in ends.items()}
    with database_errors():
        async with await AsyncConnection.connect(
            settings.database_url, autocommit=True
        ) as connection:
            deadline = time.monotonic() + WAIT_SECONDS
            while not reached(wanted, await checkpoints(connection)):
                if time.monotonic() > deadline:
                    raise CommandError(
                        "a project's clock cannot be changed now: whether it has members is not "
                        "known, for the tables are not up to date; is a projector running?"
                    )
                await asyncio.sleep(POLL_SECONDS)
            return [each for each in projects if await clocks.has_members(connection, each)]
