"""Ends what analysts read for too long: a transaction kept open holds up rebuilds and migrations.

Their logins begin with time limits, which a session may lift for itself; this one it cannot.
"""

import asyncio
import logging
from datetime import timedelta

import psycopg

from projections.database import Connection, connect
from schemas import database_roles

logger = logging.getLogger(__name__)

LONGEST_READ = timedelta(minutes=10)
LOOK_SECONDS = 15.0


async def watch(database_url: str) -> None:
    """Look again and again, until cancelled; a database that is away is waited for."""
    while True:
        try:
            async with await connect(database_url, "milestream-projector") as connection:
                await connection.execute(database_roles.TAKE, [database_roles.PROJECTOR])
                while True:
                    await end_long_reads(connection, LONGEST_READ)
                    await asyncio.sleep(LOOK_SECONDS)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            logger.warning("cannot look for long reads: %s", error)
            await asyncio.sleep(LOOK_SECONDS)


async def end_long_reads(connection: Connection, longest: timedelta) -> int:
    """End the sessions of analysts' logins whose transaction is older; return how many."""
    cursor = await connection.execute("SELECT milestream_private.end_long_reads(%s)", [longest])
    ended = int(str((await cursor.fetchall())[0][0]))
    if ended:
        logger.warning("ended %d sessions of analysts: they read for over %s", ended, longest)
    return ended
