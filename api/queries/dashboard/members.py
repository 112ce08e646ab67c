"""What the dashboard shows of one member, and finds members by. Names instead of bare ids."""

from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

Rows = list[dict[str, Any]]

_FOUND: LiteralString = """
SELECT member_id AS "memberId", external_id AS "externalId", email, status,
    nullif(concat_ws(' ', first_name, last_name), '') AS name
FROM milestream.members WHERE project = %(project)s AND status <> 'deleted'
"""

LOOKED_THROUGH = 10_000
"""Members whose names are looked through for a part of them: those with the smallest ids. An index
of parts is an extension's, `pg_trgm`, which the local stack's packaged server does not have."""

# Beginnings of names are found by indexes, in whose order the first ones are taken: all that begins
# so lies between the text itself and the text with the last of all characters behind it.
_SEARCH: LiteralString = f"""
WITH named AS (
    {_FOUND} AND external_id = %(text)s UNION ALL {_FOUND} AND member_id = %(id)s
), alike AS (
    ({_FOUND} AND external_id ~>=~ %(text)s AND external_id ~<=~ (%(text)s || chr(1114111))
    ORDER BY external_id USING ~<~ LIMIT %(limit)s)
    UNION ALL
    ({_FOUND} AND lower(email) ~>=~ lower(%(text)s)
        AND lower(email) ~<=~ (lower(%(text)s) || chr(1114111))
    ORDER BY lower(email) USING ~<~ LIMIT %(limit)s)
    UNION ALL
    ({_FOUND} AND lower(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))
            ~>=~ lower(%(text)s)
        AND lower(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))
            ~<=~ (lower(%(text)s) || chr(1114111))
    ORDER BY lower(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) USING ~<~
    LIMIT %(limit)s)
    UNION ALL
    ({_FOUND} AND lower(last_name) ~>=~ lower(%(text)s)
        AND lower(last_name) ~<=~ (lower(%(text)s) || chr(1114111))
    ORDER BY lower(last_name) USING ~<~ LIMIT %(limit)s)
), within AS (
    SELECT "memberId", "externalId", email, status, name FROM (
        {_FOUND} ORDER BY member_id LIMIT %(looked)s
    ) AS first WHERE strpos(lower(name), lower(%(text)s)) > 0 LIMIT %(limit)s
)
SELECT * FROM named UNION SELECT * FROM alike UNION SELECT * FROM within
ORDER BY "externalId" LIMIT %(limit)s
"""  # noqa: S608  (of this module's own texts)

_HAS_MORE: LiteralString = """
SELECT EXISTS (
    SELECT FROM milestream.members WHERE project = %s ORDER BY member_id OFFSET %s LIMIT 1
)
"""

_MEMBER: LiteralString = """
SELECT member_id AS "memberId", external_id AS "externalId", email, status, groups, timezone, city,
    country, nullif(concat_ws(' ', first_name, last_name), '') AS name, created_at AS "createdAt"
FROM milestream.members WHERE project = %(project)s AND member_id = %(id)s
"""

_PARTS: dict[str, LiteralString] = {
    "balances": """
        SELECT challenge_group AS "group", balance, held, pending, available
        FROM milestream.points_balances
        WHERE project = %(project)s AND member_id = %(id)s ORDER BY challenge_group
    """,
    "lots": """
        SELECT challenge_group AS "group", points, activates_at AS "activatesAt",
            expires_at AS "expiresAt"
        FROM milestream.points_lots
        WHERE project = %(project)s AND member_id = %(id)s
        ORDER BY expires_at NULLS LAST, activates_at NULLS FIRST, id LIMIT %(limit)s
    """,
    "tiers": """
        SELECT t.tier_set_id AS "tierSetId", coalesce(s.name, t.tier_set_id) AS name,
            t.tier_id AS "tierId", t.since, t.until, t.assigned, t.basis_value AS "basisValue"
        FROM milestream.member_tiers AS t
        LEFT JOIN milestream.tier_sets AS s USING (project, tier_set_id)
        WHERE t.project = %(project)s AND t.member_id = %(id)s ORDER BY t.tier_set_id
    """,
    "streaks": """
        SELECT streak_id AS "streakId", period, current_length AS "currentLength",
            longest_length AS "longestLength", target_length AS "targetLength",
            active_until AS "activeUntil"
        FROM milestream.streak_progress
        WHERE member_id = %(id)s AND project = %(project)s ORDER BY streak_id LIMIT %(limit)s
    """,
    "progress": """
        SELECT p.id, p.challenge_id AS "challengeId",
            coalesce(c.name, p.challenge_id::text) AS name,
            p.period_key AS "periodKey", p.current_progress_value AS value, p.status,
            c.completion_target_value AS target, p.updated_at AS "updatedAt"
        FROM milestream.challenge_progress AS p
        LEFT JOIN milestream.challenges AS c ON c.project = p.project AND c.id = p.challenge_id
        WHERE p.member_id = %(id)s AND p.project = %(project)s
        ORDER BY p.updated_at DESC, p.id LIMIT %(limit)s
    """,
    "rewards": """
        SELECT r.id, coalesce(m.name, r.milestone_id::text) AS milestone, r.status,
            coalesce(c.name, p.name, r.linked_schema_record_id) AS "of",
            r.period_key AS "periodKey", r.coupon_code AS "couponCode", r.created_at AS "createdAt"
        FROM milestream.reward_logs AS r
        LEFT JOIN milestream.milestones AS m ON m.project = r.project AND m.id = r.milestone_id
        LEFT JOIN milestream.challenges AS c
            ON c.project = r.project AND c.id::text = r.linked_schema_record_id
        LEFT JOIN milestream.pathways AS p
            ON p.project = r.project AND p.id = r.linked_schema_record_id
            AND r.linked_schema_slug = 'pathway'
        WHERE r.member_id = %(id)s AND r.project = %(project)s
        ORDER BY r.created_at DESC, r.id LIMIT %(limit)s
    """,
    "pathways": """
        SELECT own.pathway_id AS "pathwayId", coalesce(p.name, own.pathway_id) AS name,
            coalesce(e.enrolled, false) AS enrolled, e.enrolled_at AS "enrolledAt",
            along.activities, along.completed
        FROM (
            SELECT pathway_id FROM milestream.pathway_enrolments
            WHERE member_id = %(id)s AND project = %(project)s
            UNION
            SELECT pathway_id FROM milestream.pathway_logs
            WHERE member_id = %(id)s AND project = %(project)s
        ) AS own
        LEFT JOIN milestream.pathways AS p ON p.project = %(project)s AND p.id = own.pathway_id
        LEFT JOIN milestream.pathway_enrolments AS e ON e.project = %(project)s
            AND e.pathway_id = own.pathway_id AND e.member_id = %(id)s
        CROSS JOIN LATERAL (
            SELECT count(*) AS activities, count(l.activity_id) AS completed
            FROM jsonb_array_elements(p.definition -> 'activities') AS a
            LEFT JOIN milestream.pathway_logs AS l ON l.project = %(project)s
                AND l.pathway_id = own.pathway_id AND l.member_id = %(id)s AND l.complete
                AND l.activity_id = (a ->> 'id') COLLATE "C"
        ) AS along
        ORDER BY name, own.pathway_id LIMIT %(limit)s
    """,
    "timeline": """
        SELECT * FROM (
            (SELECT l.created_at AS at, 'log' AS kind,
                coalesce(c.name, l.challenge_id::text) AS what,
                l.activity_value AS value, l.unique_identifier AS identifier,
                l.voided_portion AS voided, l.id
            FROM milestream.challenge_logs AS l
            LEFT JOIN milestream.challenges AS c ON c.project = l.project AND c.id = l.challenge_id
            WHERE l.member_id = %(id)s AND l.project = %(project)s
            ORDER BY l.created_at DESC, l.id LIMIT %(limit)s)
            UNION ALL
            (SELECT created_at, 'event', title, points, idempotency_key, voided_portion, id
            FROM milestream.event_log WHERE member_id = %(id)s AND project = %(project)s
            ORDER BY occurred_at DESC, id LIMIT %(limit)s)
            UNION ALL
            (SELECT created_at, operation, challenge_group, points, unique_identifier, 0, id
            FROM milestream.points_ledger
            WHERE member_id = %(id)s AND project = %(project)s AND event_id IS NULL
            ORDER BY occurred_at DESC, id LIMIT %(limit)s)
        ) AS happened ORDER BY at DESC, id LIMIT %(limit)s
    """,
}
"""By its name in the answer, each part of a member's page."""


async def search(
    connection: AsyncConnection, project: str, text: str, member_id: UUID | None, limit: int
) -> Rows:
    """Return members by id, or by the beginning of their external id, e-mail, name or last name;
    and by a part of their name, where they are among those that are looked through."""
    given = {
        "project": project, "text": text, "id": member_id, "limit": limit,
        "looked": LOOKED_THROUGH,
    }  # fmt: skip
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SEARCH, given)
        return await cursor.fetchall()


async def are_many(connection: AsyncConnection, project: str) -> bool:
    """Tell whether there are more members than a search looks through."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_HAS_MORE, (project, LOOKED_THROUGH))
        return bool(await cursor.fetchone())


async def id_of(connection: AsyncConnection, project: str, external_id: str) -> UUID | None:
    """Return the id of the member that the project calls so; None where there is none."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT member_id FROM milestream.members
            WHERE project = %s AND external_id = %s AND status <> 'deleted' LIMIT 1
            """,
            (project, external_id),
        )
        found: UUID | None = await cursor.fetchone()
        return found


async def page(
    connection: AsyncConnection, project: str, member_id: UUID, limit: int
) -> dict[str, Any] | None:
    """Return a member with at most ``limit`` rows of each part, None where there is no such."""
    given = {"project": project, "id": member_id, "limit": limit}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_MEMBER, given)
        member = await cursor.fetchone()
        if member is None or member["status"] == "deleted":
            return None
        found: dict[str, Any] = {"member": member}
        for name, statement in _PARTS.items():
            await cursor.execute(statement, given)
            found[name] = await cursor.fetchall()
    return found
