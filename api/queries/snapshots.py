"""Several questions to one state of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection


@asynccontextmanager
async def held(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let all that is asked inside see the same rows: one transaction, which only reads."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
