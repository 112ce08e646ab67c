"""Streaks, of all users and of one. Whether one is alive goes by the clock: the fold says until
when it is, and its breaking is written down at the next tick only."""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row


async def analytics(
    connection: AsyncConnection, project: str, streak_id: str
) -> dict[str, Any] | None:
    """Return a streak's figures over all who ever took part, None where nobody has."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT count(*) AS participants,
                   count(*) FILTER (WHERE alive) AS active,
                   round(coalesce(avg(current_length) FILTER (WHERE alive), 0), 1) AS average,
                   max(longest_length) AS longest,
                   round(avg(completed::integer), 2) AS completed
            FROM (
                SELECT *, status <> 'broken' AND coalesce(active_until > now(), true) AS alive
                FROM milestream.streak_progress WHERE project = %s AND streak_id = %s
            ) p
            HAVING count(*) > 0
            """,
            (project, streak_id),
        )
        return await cursor.fetchone()


async def of_member(
    connection: AsyncConnection, project: str, member_id: UUID
) -> list[dict[str, Any]]:
    """Return every streak that a member takes or took part in, as it stands now."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT streak_id, longest_length, freezes_left,
                   CASE WHEN alive THEN current_length ELSE 0 END AS current_length,
                   CASE WHEN alive THEN status ELSE 'broken' END AS status
            FROM (
                SELECT *, status <> 'broken' AND coalesce(active_until > now(), true) AS alive
                FROM milestream.streak_progress WHERE project = %s AND member_id = %s
            ) p
            ORDER BY streak_id
            """,
            (project, member_id),
        )
        return await cursor.fetchall()
