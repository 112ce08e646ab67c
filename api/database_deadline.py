"""A connection whose server must answer in time (see `schemas.database_connections`)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from schemas.database_connections import answered_within

STATEMENT_SECONDS = 30
"""The statement timeout: a filter without an index must not hold its connection for long."""
QUICK_SECONDS = 4.0
"""For what takes a millisecond: who calls, and whether a connection is good."""
_seconds = ContextVar("_seconds", default=STATEMENT_SECONDS + 5.0)
"""For all else: a server that works ends a statement first."""


@contextmanager
def quickly() -> Iterator[None]:
    """Have statements of the body answered within `QUICK_SECONDS`, or their connection ended."""
    before = _seconds.set(QUICK_SECONDS)
    try:
        yield
    finally:
        _seconds.reset(before)


@asynccontextmanager
async def quick_connection(
    pool: AsyncConnectionPool[AsyncConnection],
) -> AsyncIterator[AsyncConnection]:
    """Yield a connection of a pool, for statements that take a millisecond.

    Raises:
        psycopg.OperationalError: the pool has none in time, or the database does not answer.
    """
    async with pool.connection() as connection:
        with quickly():
            yield connection


class TimedConnection(AsyncConnection):
    """Hangs up on a server that does not answer; who waits has `psycopg.OperationalError`."""

    async def wait(self, *arguments: Any, **options: Any) -> Any:
        """Wait for an answer, as psycopg does, with a deadline."""
        with answered_within(_seconds.get(), self):
            return await super().wait(*arguments, **options)
