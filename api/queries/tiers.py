"""SQL of one user's tiers: which they are, and what was earned in a set's window."""

from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

from api.queries.users import Zones
from schemas.definitions import MEMBER_ZONE


class Window(NamedTuple):
    """What a tier set counts: of which challenge group (None: of all), in a window of a type, of a
    length where it rolls, and where its days begin."""

    tier_set_id: str
    wallet: str | None
    type: str
    length: str | None
    zones: Zones


async def of_member(
    connection: AsyncConnection, project: str, member_id: UUID
) -> dict[str, dict[str, Any]]:
    """Return a member's tiers, by their sets; a set in which it was never judged is left out."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT tier_set_id, tier_id, since, until FROM milestream.member_tiers
            WHERE project = %s AND member_id = %s
            """,
            (project, member_id),
        )
        return {row["tier_set_id"]: row for row in await cursor.fetchall()}


async def earned(
    connection: AsyncConnection, project: str, member_id: UUID, window: Window
) -> Decimal:
    """Return the points granted to a member since the set is defined, in its window of now."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT coalesce(sum(points), 0) FROM (
                SELECT l.points, (l.occurred_at AT TIME ZONE z.name)::date AS day,
                       (now() AT TIME ZONE z.name)::date AS today
                FROM milestream.points_ledger l
                JOIN milestream.tier_sets s ON s.project = %(project)s
                    AND s.tier_set_id = %(tier_set)s AND l.created_at >= s.created_at
                JOIN milestream.members m ON m.project = %(project)s
                    AND m.member_id = %(member)s
                CROSS JOIN LATERAL (SELECT CASE %(zone)s::text WHEN %(by_member)s
                    THEN coalesce(m.timezone, %(fallback)s) ELSE %(zone)s END AS name) z
                WHERE l.project = %(project)s AND l.member_id = %(member)s
                    AND l.operation = 'grant'
                    AND coalesce(l.challenge_group = %(wallet)s::text, %(wallet)s::text IS NULL)
            ) AS granted
            WHERE CASE %(type)s::text
                WHEN 'lifetime' THEN true
                WHEN 'calendar_year' THEN date_part('year', day) = date_part('year', today)
                ELSE day + %(length)s::interval > today
            END
            """,
            {
                "project": project,
                "member": member_id,
                "tier_set": window.tier_set_id,
                "wallet": window.wallet,
                "type": window.type,
                "length": window.length,
                "zone": window.zones.project,
                "fallback": window.zones.fallback,
                "by_member": MEMBER_ZONE,
            },
        )
        return await cursor.fetchone() or Decimal(0)
