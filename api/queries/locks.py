"""Locks that all API processes share."""

from psycopg import AsyncConnection


async def lock(connection: AsyncConnection, name: str) -> None:
    """Wait for the lock of this name and hold it until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
