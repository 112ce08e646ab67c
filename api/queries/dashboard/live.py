"""The data of a project's live page."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row


async def flow(connection: AsyncConnection, project: str, seconds: int) -> tuple[float, float]:
    """Return how many logs and how many events a second were recorded in the last so many
    seconds."""
    cursor = await connection.execute(
        """
        SELECT
            (SELECT count(*) FROM milestream.challenge_logs WHERE project = %(project)s
                AND created_at > now() - make_interval(secs => %(seconds)s)),
            (SELECT count(*) FROM milestream.event_log WHERE project = %(project)s
                AND created_at > now() - make_interval(secs => %(seconds)s))
        """,
        {"project": project, "seconds": seconds},
    )
    ((logs, events),) = await cursor.fetchall()
    return logs / seconds, events / seconds


async def dead_letters_per_second(
    connection: AsyncConnection, project: str, seconds: int, limit: int
) -> float:
    """Return how many dead letters a second came in the last so many seconds, of so many of all
    projects together at most."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT project FROM milestream.dead_letters
                WHERE at > now() - make_interval(secs => %s) ORDER BY at DESC LIMIT %s
            ) AS newest WHERE project = %s
            """,
            (seconds, limit, project),
        )
        return float(await cursor.fetchone() or 0) / seconds


async def newest_age(connection: AsyncConnection, project: str) -> float | None:
    """Return how old in seconds the newest log or event is that the tables have; None where there
    was none in the last ten seconds. Where they come all the time, it is how long one takes from
    its input to the tables."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT extract(epoch FROM clock_timestamp() - max(at))::float FROM (
                (SELECT created_at AS at FROM milestream.challenge_logs WHERE project = %(project)s
                    AND created_at > now() - interval '10 s' ORDER BY created_at DESC LIMIT 1)
                UNION ALL
                (SELECT created_at FROM milestream.event_log WHERE project = %(project)s
                    AND created_at > now() - interval '10 s' ORDER BY created_at DESC LIMIT 1)
            ) AS newest
            """,
            {"project": project},
        )
        age: float | None = await cursor.fetchone()
        return None if age is None else max(0.0, age)


async def newest_milestones(
    connection: AsyncConnection, project: str, limit: int
) -> list[dict[str, Any]]:
    """Return the milestones that were reached last, with their names and those who reached them."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT r.reached_at AS "reachedAt", r.period_key AS "periodKey", r.value,
                   r.member_id AS "memberId", who.external_id AS member,
                   nullif(concat_ws(' ', who.first_name, who.last_name), '') AS "memberName",
                   m.name AS milestone,
                   coalesce(c.name, r.linked_schema_record_id) AS challenge
            FROM (
                SELECT * FROM milestream.milestones_reached
                WHERE project = %s ORDER BY reached_at DESC, id LIMIT %s
            ) r
            LEFT JOIN milestream.milestones m ON m.project = r.project AND m.id = r.milestone_id
            LEFT JOIN milestream.members who
                ON who.project = r.project AND who.member_id = r.member_id
            LEFT JOIN milestream.challenges c
                ON c.project = r.project AND c.id::text = r.linked_schema_record_id
            ORDER BY r.reached_at DESC, r.id
            """,
            (project, limit),
        )
        return await cursor.fetchall()


async def newest_rewards(
    connection: AsyncConnection, project: str, limit: int
) -> list[dict[str, Any]]:
    """Return the rewards that were granted last, with their milestones' names."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT r.id, r.created_at AS "createdAt", r.period_key AS "periodKey",
                   r.member_id AS "memberId", r.coupon_code AS "couponCode",
                   who.external_id AS member,
                   nullif(concat_ws(' ', who.first_name, who.last_name), '') AS "memberName",
                   m.name AS milestone
            FROM (
                SELECT * FROM milestream.reward_logs
                WHERE project = %s ORDER BY created_at DESC, id LIMIT %s
            ) r
            LEFT JOIN milestream.milestones m ON m.project = r.project AND m.id = r.milestone_id
            LEFT JOIN milestream.members who
                ON who.project = r.project AND who.member_id = r.member_id
            ORDER BY r.created_at DESC, r.id
            """,
            (project, limit),
        )
        return await cursor.fetchall()
