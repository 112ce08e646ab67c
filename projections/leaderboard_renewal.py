"""Days go by: scores of rolling boards that are due are made anew, a few at a time.

Until all of a board's are, the API adds the board up from its days.
"""

import asyncio
import logging
from typing import LiteralString

import psycopg

from projections import checkpoints
from projections.database import Connection, connect
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS
from schemas import database_roles

logger = logging.getLogger(__name__)

SCORES = 2_000
"""How many are made anew at once: projectors that have points to write wait for so long."""
PAUSE_SECONDS = 0.01
LOOK_SECONDS = 2.0

_IS_DUE: LiteralString = """
SELECT EXISTS (
    SELECT FROM milestream.leaderboard_scores WHERE due <= (now() AT TIME ZONE 'UTC')::date
)
"""

_RENEW: LiteralString = """
WITH today AS MATERIALIZED (
    SELECT (now() AT TIME ZONE 'UTC')::date AS today
), late AS MATERIALIZED (
    SELECT project, board, member_id, points AS old_points,
        left(board, -1)::integer AS length, today
    FROM milestream.leaderboard_scores CROSS JOIN today
    WHERE due <= (SELECT today FROM today)
    ORDER BY due, project, board
    LIMIT %s
), anew AS MATERIALIZED (
    SELECT late.*, days.points, days.due
    FROM late CROSS JOIN LATERAL (
        SELECT coalesce(sum(points) FILTER (WHERE day <= today), 0) AS points,
            min(CASE WHEN day <= today THEN day + length ELSE day END) AS due
        FROM milestream.leaderboard_days AS known
        WHERE known.project = late.project AND known.member_id = late.member_id
            AND known.day > today - length
    ) AS days
), gone AS (
    DELETE FROM milestream.leaderboard_scores AS target USING anew
    WHERE (target.project, target.board, target.member_id)
        = (anew.project, anew.board, anew.member_id) AND anew.due IS NULL
), kept AS (
    UPDATE milestream.leaderboard_scores AS target SET points = anew.points, due = anew.due
    FROM anew
    WHERE (target.project, target.board, target.member_id)
        = (anew.project, anew.board, anew.member_id) AND anew.due IS NOT NULL
), changes (project, board, points, members) AS (
    SELECT project, board, points, 1 FROM anew
    UNION ALL
    SELECT project, board, old_points, -1 FROM anew
), counted AS (
    INSERT INTO milestream.leaderboard_counts AS target (project, board, band, members)
    SELECT project, board, milestream.score_band(points) AS band, sum(members)
    FROM changes
    WHERE points > 0
    GROUP BY project, board, band
    HAVING sum(members) <> 0
    ORDER BY project, board, band
    ON CONFLICT (project, board, band) DO UPDATE SET members = target.members + excluded.members
)
SELECT count(*) FROM late
"""


async def keep(database_url: str) -> None:
    """Look again and again, until cancelled; a database that is away is waited for."""
    while True:
        try:
            async with await connect(database_url, "milestream-projector") as connection:
                await connection.execute(database_roles.TAKE, [database_roles.PROJECTOR])
                while True:
                    more = await renew(connection) == SCORES
                    # Projectors that wait for the checkpoints come first.
                    await asyncio.sleep(PAUSE_SECONDS if more else LOOK_SECONDS)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            logger.warning("cannot look for scores that are due: %s", error)
            await asyncio.sleep(LOOK_SECONDS)


async def renew(connection: Connection, limit: int = SCORES) -> int:
    """Make some scores anew that are due today, and return how many."""
    if not await _number(connection, _IS_DUE):
        return 0
    async with connection.transaction():
        # Nobody else writes a member's scores while its checkpoint is held: these are all.
        await checkpoints.lock(connection, LEADERBOARD_DAYS.table)
        return await _number(connection, _RENEW, limit)


async def _number(connection: Connection, statement: LiteralString, *arguments: int) -> int:
    cursor = await connection.execute(statement, arguments)
    return int((await cursor.fetchall())[0][0])
