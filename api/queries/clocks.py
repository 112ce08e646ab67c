"""SQL of test clocks: what they show on each partition, and how far they were asked to go."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from schemas import clocks
from schemas.places import partition_of


class Shown(NamedTuple):
    """What a clock shows on a partition, how often it was moved there, and the timestamp of the
    record of ``ticks`` with which the last move was done."""

    now: datetime
    version: int
    moved_at: datetime


async def asked(connection: AsyncConnection, project: str, since: datetime) -> datetime:
    """Return how far a project's clock was asked to go; ``since`` where it never was.

    Where the database was made anew, what the partitions show stands for that.
    """
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT coalesce(greatest(
                (SELECT now FROM milestream_private.clock_calls WHERE project = %(project)s),
                (SELECT max(now) FROM milestream.project_clocks WHERE project = %(project)s)
            ), %(since)s)
            """,
            {"project": project, "since": since},
        )
        found: datetime | None = await cursor.fetchone()
        assert found is not None
        return found


async def by_partition(connection: AsyncConnection, project: str) -> Mapping[int, Shown]:
    """Return what a project's clock shows on each partition on which it was moved."""
    cursor = await connection.execute(
        "SELECT partition, now, version, moved_at FROM milestream.project_clocks"
        " WHERE project = %s",
        (project,),
    )
    return {partition: Shown(*shown) async for partition, *shown in cursor}


async def shown_at(connection: AsyncConnection, project: str, end: int) -> datetime | None:
    """Return what a project's clock showed on a partition of ``clock-events`` before a place there;
    None where it had not been moved."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT now FROM milestream.clock_history
            WHERE project = %s AND partition = %s AND place < %s
            ORDER BY version DESC LIMIT 1
            """,
            (project, partition_of(end), end),
        )
        found: datetime | None = await cursor.fetchone()
        return found


async def ask(
    connection: AsyncConnection, project: str, since: datetime, to: datetime
) -> tuple[datetime, str | None]:
    """Note how far a clock is to go, where it may; return where it was asked to go before, and why
    it may not. Calls about one project take turns."""
    async with connection.transaction():
        before = await asked(connection, project, since)
        await connection.execute(
            "INSERT INTO milestream_private.clock_calls VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (project, before),
        )
        cursor = await connection.execute(
            "SELECT FROM milestream_private.clock_calls WHERE project = %s FOR UPDATE", (project,)
        )
        await cursor.fetchone()
        before = await asked(connection, project, since)  # by now, where another call came first
        fault = clocks.fault(before, to)
        if fault is None:
            await connection.execute(
                "UPDATE milestream_private.clock_calls SET now = %s WHERE project = %s",
                (to, project),
            )
        return before, fault


async def has_members(connection: AsyncConnection, project: str) -> bool:
    """Tell whether a project has, or had, a member."""
    cursor = await connection.execute(
        "SELECT FROM milestream.members WHERE project = %s LIMIT 1", (project,)
    )
    return await cursor.fetchone() is not None
