"""How far members are in each challenge."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row


async def funnels(connection: AsyncConnection, project: str) -> list[dict[str, Any]]:
    """Return for each live challenge its newest period: who began, who completed, and how many
    reached each of its milestones."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            WITH reached AS MATERIALIZED (
                SELECT milestone_id, period_key, count(*) AS members
                FROM milestream.milestones_reached WHERE project = %(project)s GROUP BY 1, 2
            )
            SELECT c.id, c.name, newest.period_key AS "periodKey", counted.started,
                counted.completed, coalesce(along.milestones, '[]') AS milestones
            FROM milestream.challenges AS c
            CROSS JOIN LATERAL (
                SELECT period_key FROM milestream.challenge_progress AS p
                WHERE p.project = %(project)s AND p.challenge_id = c.id
                ORDER BY p.created_at DESC LIMIT 1
            ) AS newest
            CROSS JOIN LATERAL (
                SELECT count(*) AS started,
                    count(*) FILTER (WHERE p.status = 'completed') AS completed
                FROM milestream.challenge_progress AS p
                WHERE p.project = %(project)s AND p.challenge_id = c.id
                    AND p.period_key = newest.period_key
            ) AS counted
            LEFT JOIN LATERAL (
                SELECT json_agg(json_build_object('name', m.name, 'target',
                    m.milestone_target_value, 'reached', coalesce(r.members, 0))
                    ORDER BY m.milestone_target_value, m.id) AS milestones
                FROM milestream.milestones AS m
                LEFT JOIN reached AS r
                    ON r.milestone_id = m.id AND r.period_key = newest.period_key
                WHERE m.project = %(project)s AND m.linked_schema_record_id = c.id::text
            ) AS along ON true
            WHERE c.project = %(project)s AND c.status = 'live'
            ORDER BY counted.started DESC, c.id LIMIT 50
            """,
            {"project": project},
        )
        return await cursor.fetchall()
