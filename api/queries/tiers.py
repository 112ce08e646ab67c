"""SQL of one user's tiers: which they are, and what was earned in the sets' windows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

from api.queries.users import Zones
from schemas.definitions import MEMBER_ZONE


class Window(NamedTuple):
    """What a tier set counts: of which challenge group (None: of all), in a window of a type, of a
    length where it rolls; and since when the set is defined (None: as it is now)."""

    tier_set_id: str
    wallet: str | None
    type: str
    length: str | None
    since: datetime | None = None


class Then(NamedTuple):
    """A moment, and the end of the member's entries that had been written by then."""

    moment: datetime | None = None
    end: int | None = None


NOW = Then()


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
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    windows: Sequence[Window],
    zones: Zones,
    *,
    then: Then = NOW,
) -> dict[str, Decimal]:
    """Return the points granted to a member in the windows of now, or then, by the tier set: for
    life all, else those since the set is defined; less those of them that were voided.

    The ledger is read once, and no further back than any window goes.
    """
    ids, wallets, types, lengths, sinces = map(list, zip(*windows, strict=True))
    cursor = await connection.execute(
        """
        WITH counted AS MATERIALIZED (
            SELECT w.id, w.wallet, w.type, w.length, coalesce(w.since, s.created_at) AS since,
                z.today, CASE w.type
                WHEN 'lifetime' THEN date '-infinity'
                WHEN 'calendar_year' THEN date_trunc('year', z.today)::date
                ELSE (z.today - w.length)::date END AS earliest
            FROM unnest(%(ids)s::text[], %(wallets)s::text[], %(types)s::text[],
                        %(lengths)s::interval[], %(sinces)s::timestamptz[])
                AS w (id, wallet, type, length, since)
            LEFT JOIN milestream.tier_sets s ON s.project = %(project)s AND s.tier_set_id = w.id
            CROSS JOIN (
                SELECT (coalesce(%(moment)s::timestamptz, now()) AT TIME ZONE %(zone)s)::date
            ) AS z (today)
            WHERE w.since IS NOT NULL OR s.created_at IS NOT NULL
        ), granted AS MATERIALIZED (
            SELECT points - not_recovered AS points, challenge_group,
                CASE WHEN granted_at IS NULL THEN created_at ELSE (
                    SELECT voided.created_at FROM milestream.points_ledger AS voided
                    WHERE voided.project = l.project AND voided.id = l.reversed_entry_id
                ) END AS created_at,
                (coalesce(granted_at, occurred_at) AT TIME ZONE %(zone)s)::date AS day
            FROM milestream.points_ledger AS l
            WHERE project = %(project)s AND member_id = %(member)s
                AND (operation = 'grant' OR granted_at IS NOT NULL)
                AND (%(end)s::bigint IS NULL OR place < %(end)s)
                AND occurred_at >= (SELECT min(earliest)::timestamp - interval '2 days'
                                    FROM counted)
        )
        SELECT c.id, coalesce(sum(g.points), 0)
        FROM counted c LEFT JOIN granted g
            ON coalesce(g.challenge_group = c.wallet, c.wallet IS NULL)
            AND (c.type = 'lifetime' OR g.created_at >= c.since AND CASE c.type
                WHEN 'rolling' THEN g.day + c.length > c.today
                ELSE date_part('year', g.day) = date_part('year', c.today) END)
        GROUP BY c.id
        """,
        {
            "project": project,
            "member": member_id,
            "zone": await _zone(connection, project, member_id, zones),
            "ids": ids,
            "wallets": wallets,
            "types": types,
            "lengths": lengths,
            "sinces": sinces,
            "moment": then.moment,
            "end": then.end,
        },
    )
    return dict(await cursor.fetchall())


async def _zone(connection: AsyncConnection, project: str, member_id: UUID, zones: Zones) -> str:
    """Return the zone of a member's days in what has no zone of its own."""
    if zones.project != MEMBER_ZONE:
        return zones.project
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "SELECT timezone FROM milestream.members WHERE project = %s AND member_id = %s",
            (project, member_id),
        )
        return await cursor.fetchone() or zones.fallback
