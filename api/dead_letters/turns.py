"""Whose turn a redrive is: one at a time, and of each project one that waits for it.

All redrives have one transactional id, so that none sends what another does: a second one would
fence the first off. So those of one process wait for each other, and all processes for a row of
the database. A project that calls without end stands in the queue once, and the others get through.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.queries import operations as queries


class Turns:
    """The redrives of one process. Belongs to one event loop."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection] | None) -> None:
        """``pool`` is where other processes are waited for; None: there are none."""
        self._pool = pool
        self._now = asyncio.Lock()  # wakes who waits in the order of their coming
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, project: str, seconds: float) -> AsyncIterator[None]:
        """Hold a project's turn, for which so long is waited.

        Raises:
            NotNow: others have it for longer.
            psycopg.OperationalError: the database is away.
        """
        own = self._of.setdefault(project, asyncio.Lock())
        limit = asyncio.timeout(seconds)
        try:
            async with limit, own, self._now, self._alone():
                limit.reschedule(None)  # what it does with it is not waiting
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NotNow from error

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._pool is None:
            yield
            return
        async with self._pool.connection() as connection, connection.transaction():
            await queries.lock_redrives(connection)
            yield


class NotNow(Exception):
    """Other redrives take longer than one is ready to wait."""
