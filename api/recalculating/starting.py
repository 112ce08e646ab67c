"""Starts a process for each recalculation that was asked for over HTTP and has none."""

import asyncio
import logging
import os
import subprocess
import sys
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.queries import recalculations as queries
from processor.recalculation import remove_left
from schemas.settings import Settings

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Recalculations that one API process has worked at at once; others wait, or go to another."""
LOOK_SECONDS = 2.0
STOP_SECONDS = 5


class Starting:
    """The processes that this API process has started for recalculations."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool[AsyncConnection]) -> None:
        self._settings = settings
        self._pool = pool
        self._watches: set[asyncio.Task[None]] = set()

    async def start(self, id_: UUID, owner: UUID) -> None:
        """Start a process for a recalculation that has just begun; where there is no room for one
        more, leave it to whoever has room first."""
        if self._has_room:
            self._start(id_, owner)
            return
        await self._let_go(id_, owner)

    @property
    def _has_room(self) -> bool:
        return len(self._watches) < AT_ONCE

    def _start(self, id_: UUID, owner: UUID) -> None:
        watch = asyncio.create_task(self._watch(id_, owner), name=f"recalculation {id_}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def run(self) -> None:
        """Go on with what nobody works at, until cancelled; remove what killed ones left first."""
        await asyncio.to_thread(remove_left)
        while True:
            try:
                while self._has_room and await self._start_left():
                    pass
            except (psycopg.OperationalError, PoolTimeout, psycopg.errors.UndefinedTable) as error:
                logger.warning("recalculations cannot be looked for: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """End the processes, and let others go on at once."""
        watches = list(self._watches)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    async def _start_left(self) -> bool:
        owner = uuid4()
        async with self._pool.connection() as connection:
            id_ = await queries.take_left(connection, owner)
        if id_ is None:
            return False
        logger.info("the recalculation %s is gone on with", id_)
        self._start(id_, owner)
        return True

    async def _watch(self, id_: UUID, owner: UUID) -> None:
        """Run the process of a recalculation until it ends."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.recalculating.process", str(id_), str(owner)),
            env={**os.environ, **self._settings.to_env()},
            stdin=subprocess.PIPE,
        )
        try:
            code = await process.wait()
            if code:
                logger.warning("the process of the recalculation %s ended with %s", id_, code)
        finally:
            code = await _end(process) if process.returncode is None else process.returncode
            if code < 0:  # killed, so it has not said itself that others may go on
                await self._let_go(id_, owner)

    async def _let_go(self, id_: UUID, owner: UUID) -> None:
        try:
            async with self._pool.connection() as connection:
                await queries.let_go(connection, id_, owner)
        except (psycopg.OperationalError, PoolTimeout) as error:
            logger.warning("others go on with the recalculation %s later: %s", id_, error)


async def _end(process: asyncio.subprocess.Process) -> int:
    """End a process; return its exit code."""
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
