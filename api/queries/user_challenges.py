"""A user's challenges."""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row


async def running(
    connection: AsyncConnection, project: str, member_id: UUID, timezone: str
) -> list[dict[str, Any]]:
    """Return the challenges that run now, with a member's progress in their period of now.

    `timezone` is the project's, for challenges without one of their own. A period's key is the
    calendar's own name for it, so the database can say which one it is.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT c.id, c.name, c.description, c.challenge_group, c.aggregation_period,
                   c.completion_target_value, c.points_on_completion, c.created_at, c.updated_at,
                   c.period_key, p.current_progress_value, p.status AS progress_status,
                   p.challenge_completed_at
            FROM (
                SELECT *, CASE aggregation_period WHEN 'all_time' THEN 'all' ELSE to_char(
                    now() AT TIME ZONE coalesce(timezone, %(timezone)s),
                    CASE aggregation_period
                        WHEN 'daily' THEN 'YYYY-MM-DD' WHEN 'weekly' THEN 'IYYY-"W"IW'
                        WHEN 'monthly' THEN 'YYYY-MM' ELSE 'YYYY'
                    END) END AS period_key
                FROM milestream.challenges
                WHERE project = %(project)s AND status = 'live'
                    AND coalesce(starts_at <= now(), true) AND coalesce(ends_at > now(), true)
            ) c
            LEFT JOIN milestream.challenge_progress p ON p.project = %(project)s
                AND p.challenge_id = c.id AND p.member_id = %(member)s
                AND p.period_key = c.period_key
            ORDER BY c.created_at, c.id
            """,
            {"project": project, "member": member_id, "timezone": timezone},
        )
        return await cursor.fetchall()
