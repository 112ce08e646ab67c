"""What the API asks for its own working: health, checkpoints, locks, snapshots."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from psycopg import AsyncConnection
from psycopg.pq import PipelineStatus


async def ping(connection: AsyncConnection) -> None:
    """Read one row.

    Raises:
        psycopg.Error: the database does not answer, or was not migrated.
    """
    await connection.execute("SELECT 1 FROM milestream.projection_checkpoints LIMIT 1")


async def checkpoints(connection: AsyncConnection) -> dict[tuple[str, str, int], int]:
    """Return the next offset by (read model, topic without prefix, partition)."""
    cursor = await connection.execute(
        "SELECT projection, topic, partition, next_offset FROM milestream.projection_checkpoints"
    )
    return {
        (projection, topic, partition): next_offset
        async for projection, topic, partition, next_offset in cursor
    }


LOCK_SLOTS = 1024
"""Rows of the table of locks, which no login but the API's own can hold up, as it could an advisory
lock. Names that share a row wait for each other."""


def slot_of(name: str) -> int:
    """Return the row of the table of locks that a name has."""
    return int.from_bytes(sha256(name.encode()).digest()[:8]) % LOCK_SLOTS


def definition_lock(topic: str, key: str) -> str:
    """Return the name of the lock of whoever writes a definition, by its key on its topic."""
    return f"{topic}:{key}"


def kind_lock(topic: str, project: str, kind: str) -> str:
    """Return the name of the lock of whoever writes any definition of a kind."""
    return f"{topic}:{project}/{kind}"


async def lock(connection: AsyncConnection, *names: str) -> None:
    """Wait for the locks of these names, and hold them until the transaction ends.

    All API processes share them, and take them in one order, so that none waits for another that
    waits for it.
    """
    await connection.execute(
        "SELECT FROM milestream_private.locks WHERE slot = ANY(%s) ORDER BY slot FOR UPDATE",
        ([slot_of(name) for name in names],),
    )


_OF_REDRIVES = LOCK_SLOTS
"""The row that redrives wait for: of its own, for they hold it for seconds."""


async def lock_redrives(connection: AsyncConnection) -> None:
    """Wait until no other process redrives, and keep them from it until the transaction ends."""
    await connection.execute(
        "SELECT FROM milestream_private.locks WHERE slot = %s FOR UPDATE", (_OF_REDRIVES,)
    )


@asynccontextmanager
async def snapshot(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let all statements inside see the same rows: one read-only transaction."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@asynccontextmanager
async def pipelined(connection: AsyncConnection) -> AsyncIterator[None]:
    """Send the statements inside without waiting for each answer; they are done at the end.

    psycopg (3.3) stays in pipeline mode where it is cancelled as it enters it, and whoever had the
    connection next would get into this one's transaction: it is closed then.
    """
    try:
        async with connection.pipeline():
            yield
    finally:
        if connection.pgconn.pipeline_status != PipelineStatus.OFF:
            await connection.close()
