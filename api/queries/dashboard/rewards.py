"""Milestones that were reached and rewards that were granted, the newest of them."""

from typing import LiteralString

from psycopg import AsyncConnection

from api.queries.dashboard.samples import Rows, rows

COUNTED = 5000
"""How many of the newest are counted by milestone and day."""

_BY_MILESTONE: LiteralString = """
WITH newest AS MATERIALIZED (
    SELECT milestone_id, linked_schema_slug, linked_schema_record_id, reached_at
    FROM milestream.milestones_reached
    WHERE project = %(project)s ORDER BY reached_at DESC LIMIT %(limit)s
)
SELECT n.milestone_id AS id, coalesce(max(m.name), n.milestone_id::text) AS name,
    coalesce(max(c.name), max(p.name), max(n.linked_schema_record_id)) AS "of",
    max(m.milestone_target_value) AS target, count(*) AS reached,
    max(n.reached_at) AS "lastAt"
FROM newest AS n
LEFT JOIN milestream.milestones AS m ON m.project = %(project)s AND m.id = n.milestone_id
LEFT JOIN milestream.challenges AS c
    ON c.project = %(project)s AND c.id::text = n.linked_schema_record_id
LEFT JOIN milestream.pathways AS p
    ON p.project = %(project)s AND p.id = n.linked_schema_record_id
    AND n.linked_schema_slug = 'pathway'
GROUP BY n.milestone_id ORDER BY 5 DESC, 1 LIMIT 100
"""

_BY_DAY: LiteralString = """
SELECT (reached_at AT TIME ZONE 'UTC')::date AS day, count(*) AS reached FROM (
    SELECT reached_at FROM milestream.milestones_reached
    WHERE project = %(project)s ORDER BY reached_at DESC LIMIT %(limit)s
) AS newest GROUP BY 1 ORDER BY 1 DESC LIMIT 60
"""

_REWARDS: LiteralString = """
SELECT r.id, r.created_at AS "createdAt", r.period_key AS "periodKey", r.status,
    r.member_id AS "memberId", r.coupon_code AS "couponCode", r.reward_issued_at AS "issuedAt",
    r.reward_expiry_at AS "expiresAt", who.external_id AS member,
    nullif(concat_ws(' ', who.first_name, who.last_name), '') AS "memberName",
    coalesce(m.name, r.milestone_id::text) AS milestone,
    coalesce(c.name, p.name, r.linked_schema_record_id) AS "of"
FROM (
    SELECT * FROM milestream.reward_logs
    WHERE project = %(project)s ORDER BY created_at DESC LIMIT %(limit)s
) AS r
LEFT JOIN milestream.milestones AS m ON m.project = r.project AND m.id = r.milestone_id
LEFT JOIN milestream.challenges AS c
    ON c.project = r.project AND c.id::text = r.linked_schema_record_id
LEFT JOIN milestream.pathways AS p
    ON p.project = r.project AND p.id = r.linked_schema_record_id
    AND r.linked_schema_slug = 'pathway'
LEFT JOIN milestream.members AS who ON who.project = r.project AND who.member_id = r.member_id
ORDER BY r.created_at DESC, r.id
"""


async def by_milestone(connection: AsyncConnection, project: str) -> Rows:
    """Return how often each milestone is among the newest that were reached."""
    return await rows(connection, _BY_MILESTONE, project=project, limit=COUNTED)


async def by_day(connection: AsyncConnection, project: str) -> Rows:
    """Return the days of the newest that were reached, in UTC, the newest day first."""
    return await rows(connection, _BY_DAY, project=project, limit=COUNTED)


async def newest(connection: AsyncConnection, project: str, limit: int) -> Rows:
    """Return the rewards that were granted last."""
    return await rows(connection, _REWARDS, project=project, limit=limit)
