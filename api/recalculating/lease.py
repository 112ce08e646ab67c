"""A process' hold on a recalculation: it says again and again that it lives; whatever it does that
others see, it does while nobody can cancel or take over."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection

from api.queries import recalculations as queries
from schemas import database_connections, database_roles
from schemas.settings import Settings

logger = logging.getLogger(__name__)

BEAT_SECONDS = queries.LEASE_SECONDS / 5
_FROZEN_SECONDS = 2 * queries.LEASE_SECONDS
"""A process that stands still in a transaction for so long loses it, so that others may go on."""


class Lost(Exception):
    """The recalculation was cancelled, or another process works at it."""


@dataclass(frozen=True)
class Lease:
    """What holds a recalculation.

    Attributes:
        connection: for the steps; ``beats`` is one of its own, so that no step delays it.
    """

    id: UUID
    owner: UUID
    connection: AsyncConnection
    beats: AsyncConnection

    @asynccontextmanager
    async def held(self) -> AsyncIterator[queries.Work]:
        """Hold the recalculation in one transaction.

        Raises:
            Lost: it is not this process' any more.
        """
        async with self.connection.transaction():
            work = await queries.work(self.connection, self.id, self.owner)
            if work is None:
                raise Lost
            yield work

    async def while_held(self, work: Awaitable[None]) -> None:
        """Do some work, and say meanwhile that it is done.

        Raises:
            Lost: it is not this process' any more; the work is broken off.
        """
        tasks = (asyncio.ensure_future(work), asyncio.ensure_future(self._beat()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    return task.result()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _beat(self) -> None:
        while True:
            if not await queries.beat(self.beats, self.id, self.owner):
                raise Lost
            await asyncio.sleep(BEAT_SECONDS)

    async def let_go(self, seconds: float = 0) -> None:
        """Let others go on, after a pause."""
        await queries.let_go(self.beats, self.id, self.owner, seconds)


@asynccontextmanager
async def leased(settings: Settings, id_: UUID, owner: UUID) -> AsyncIterator[Lease]:
    """Give the lease of a recalculation that is this process' already."""
    async with await connect(settings) as connection, await connect(settings) as beats:
        yield Lease(id_, owner, connection, beats)


async def connect(settings: Settings) -> AsyncConnection:
    """Open a connection that may do what recalculations need, and no more."""
    connection = await AsyncConnection.connect(
        settings.database_url,
        autocommit=True,
        application_name="milestream-recalculation",
        options=f"-c timezone=UTC -c idle_in_transaction_session_timeout={_FROZEN_SECONDS}s",
        **database_connections.LIVENESS,
    )
    await connection.execute(database_roles.TAKE, (database_roles.API,))
    return connection
