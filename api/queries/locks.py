"""Locks that all API processes share: rows of a private table.

No login but the API's own can hold one up, as it could an advisory lock.
"""

from hashlib import sha256

from psycopg import AsyncConnection

SLOTS = 1024
"""The rows that there are; names that share one wait for each other."""


def slot_of(name: str) -> int:
    """Return the row that a name falls to."""
    return int.from_bytes(sha256(name.encode()).digest()[:8]) % SLOTS


async def lock(connection: AsyncConnection, name: str) -> None:
    """Wait for the lock of this name and hold it until the transaction ends."""
    await connection.execute(
        "SELECT FROM milestream_private.locks WHERE slot = %s FOR UPDATE", (slot_of(name),)
    )
