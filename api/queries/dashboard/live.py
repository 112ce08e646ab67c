"""The data of a project's live page."""

from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

COUNTED = 20_000
"""Rows that are counted at most: where more came, the rate is that of these, the newest."""


def rate_of(count: int, seconds: float, oldest_age: float | None) -> float:
    """Return how many rows a second those are that were counted.

    Args:
        count: how many, at most `COUNTED`.
        seconds: the span of time that they were looked for in.
        oldest_age: how old the oldest of them is, in seconds.
    """
    if count < COUNTED or oldest_age is None:
        return count / seconds
    return count / min(seconds, max(oldest_age, _SHORTEST))


_SHORTEST = 0.001

_FLOW: LiteralString = """
SELECT logs.count, logs.age, events.count, events.age FROM (
    SELECT count(*), extract(epoch FROM now() - min(created_at))::float AS age FROM (
        SELECT created_at FROM milestream.challenge_logs WHERE project = %(project)s
            AND created_at > now() - make_interval(secs => %(seconds)s)
        ORDER BY created_at DESC LIMIT %(counted)s
    ) AS newest
) AS logs CROSS JOIN (
    SELECT count(*), extract(epoch FROM now() - min(created_at))::float AS age FROM (
        SELECT created_at FROM milestream.event_log WHERE project = %(project)s
            AND created_at > now() - make_interval(secs => %(seconds)s)
        ORDER BY created_at DESC LIMIT %(counted)s
    ) AS newest
) AS events
"""


async def flow(connection: AsyncConnection, project: str, seconds: int) -> tuple[float, float]:
    """Return how many logs and how many events a second were recorded in the last so many
    seconds."""
    given = {"project": project, "seconds": seconds, "counted": COUNTED}
    cursor = await connection.execute(_FLOW, given)
    ((logs, logs_age, events, events_age),) = await cursor.fetchall()
    return rate_of(logs, seconds, logs_age), rate_of(events, seconds, events_age)


async def dead_letters_per_second(connection: AsyncConnection, project: str, seconds: int) -> float:
    """Return how many dead letters a second came in the last so many seconds."""
    cursor = await connection.execute(
        """
        SELECT count(*), extract(epoch FROM now() - min(at))::float FROM (
            SELECT at FROM milestream.dead_letters WHERE project = %s
                AND at > now() - make_interval(secs => %s)
            ORDER BY at DESC LIMIT %s
        ) AS newest
        """,
        (project, seconds, COUNTED),
    )
    ((count, age),) = await cursor.fetchall()
    return rate_of(count, seconds, age)


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
                   coalesce(c.name, p.name, r.linked_schema_record_id) AS challenge
            FROM (
                SELECT * FROM milestream.milestones_reached
                WHERE project = %s ORDER BY reached_at DESC, id LIMIT %s
            ) r
            LEFT JOIN milestream.milestones m ON m.project = r.project AND m.id = r.milestone_id
            LEFT JOIN milestream.members who
                ON who.project = r.project AND who.member_id = r.member_id
            LEFT JOIN milestream.challenges c
                ON c.project = r.project AND c.id::text = r.linked_schema_record_id
            LEFT JOIN milestream.pathways p
                ON p.project = r.project AND p.id = r.linked_schema_record_id
                AND r.linked_schema_slug = 'pathway'
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
