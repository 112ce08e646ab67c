"""SQL of one user: existence, balances and wallets, challenges, streaks.

Whether a streak is alive depends on the clock: the table says until when it is, and the fold
records a break at the next tick only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row, scalar_row

from schemas.definitions import MEMBER_ZONE


class Zones(NamedTuple):
    """The time zones of what has none of its own.

    `project` is for challenges without one, `member` where they go by that of each member;
    `fallback` is for members without one.
    """

    project: str
    fallback: str


async def exists(connection: AsyncConnection, project: str, member_id: UUID) -> bool:
    """Tell whether a project has a member that is not deleted."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM milestream.members
                WHERE project = %s AND member_id = %s AND status <> 'deleted'
            )
            """,
            (project, member_id),
        )
        return bool(await cursor.fetchone())


@dataclass(frozen=True)
class Lapse:
    """Points that lapse at one moment."""

    at: datetime
    points: int


@dataclass(frozen=True)
class Purse:
    """A member's points of one challenge group, and what of them lapses next, soonest first."""

    balance: int
    held: int
    available: int
    pending: int
    lapses: Sequence[Lapse]


async def balances(
    connection: AsyncConnection, project: str, member_id: UUID, *, lapses: int = 0
) -> tuple[int, dict[str, Purse]]:
    """Return a member's total balance, and its points of every challenge group, in order of the
    groups; of each at most so many moments at which points lapse that it can spend."""
    cursor = await connection.execute(
        """
        SELECT t.balance, b.challenge_group, b.balance, b.held, b.available, b.pending,
               l.moments, l.points
        FROM milestream.points_totals t
        LEFT JOIN milestream.points_balances b
            ON b.project = t.project AND b.member_id = t.member_id
        LEFT JOIN LATERAL (
            SELECT array_agg(at ORDER BY at) AS moments, array_agg(points ORDER BY at) AS points
            FROM (
                SELECT expires_at AS at, sum(points) AS points
                FROM milestream.points_lots
                WHERE project = b.project AND member_id = b.member_id
                    AND challenge_group = b.challenge_group
                    AND activates_at IS NULL AND expires_at IS NOT NULL
                GROUP BY expires_at ORDER BY expires_at LIMIT %s
            ) AS lapses
        ) l ON %s
        WHERE t.project = %s AND t.member_id = %s
        ORDER BY b.challenge_group
        """,
        (lapses, lapses > 0, project, member_id),
    )
    rows = await cursor.fetchall()
    total = int(rows[0][0]) if rows else 0
    return total, {
        group: purse(amounts, zip(moments or (), points or (), strict=True))
        for _, group, *amounts, moments, points in rows
        if group is not None
    }


def purse(amounts: Sequence[Decimal], lapses: Iterable[tuple[datetime, Decimal]]) -> Purse:
    """Return the purse of a balance, what is held, available and pending, and what lapses when."""
    balance, held, available, pending = map(int, amounts)
    found = [Lapse(at, int(points)) for at, points in lapses]
    return Purse(balance, held, available, pending, found)


async def has_points(connection: AsyncConnection, project: str, group: str) -> bool:
    """Tell whether any member of a project has a balance or pending points in a challenge group."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM milestream.points_balances
                WHERE project = %s AND challenge_group = %s AND (balance > 0 OR pending > 0)
            )
            """,
            (project, group),
        )
        return bool(await cursor.fetchone())


async def challenges(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    zones: Zones,
    ids: Collection[str] | None = None,
    *,
    present: datetime,
) -> list[dict[str, Any]]:
    """Return the running challenges, or those with these ids whether they run or not, with a
    member's progress in their current period.

    A period's key follows the calendar, so that the database can compute it.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT c.id, c.name, c.description, c.challenge_group, c.aggregation_period,
                   c.completion_target_value, c.points_on_completion, c.created_at, c.updated_at,
                   c.period_key, p.current_progress_value, p.status AS progress_status,
                   p.challenge_completed_at
            FROM (
                SELECT c.*, CASE aggregation_period WHEN 'all_time' THEN 'all' ELSE to_char(
                    %(present)s::timestamptz
                        AT TIME ZONE CASE coalesce(c.timezone, %(project_zone)s)
                        WHEN %(by_member)s THEN coalesce(m.timezone, %(fallback)s)
                        ELSE coalesce(c.timezone, %(project_zone)s)
                    END,
                    CASE aggregation_period
                        WHEN 'daily' THEN 'YYYY-MM-DD' WHEN 'weekly' THEN 'IYYY-"W"IW'
                        WHEN 'monthly' THEN 'YYYY-MM' ELSE 'YYYY'
                    END) END AS period_key
                FROM milestream.challenges c
                LEFT JOIN milestream.members m
                    ON m.project = %(project)s AND m.member_id = %(member)s
                WHERE c.project = %(project)s AND CASE
                    WHEN %(ids)s::uuid[] IS NOT NULL THEN c.id = ANY (%(ids)s::uuid[])
                    ELSE c.status = 'live' AND coalesce(starts_at <= %(present)s, true)
                        AND coalesce(ends_at > %(present)s, true)
                END
            ) c
            LEFT JOIN milestream.challenge_progress p ON p.project = %(project)s
                AND p.challenge_id = c.id AND p.member_id = %(member)s
                AND p.period_key = c.period_key
            ORDER BY c.created_at, c.id
            """,
            {
                "project": project,
                "member": member_id,
                "project_zone": zones.project,
                "fallback": zones.fallback,
                "by_member": MEMBER_ZONE,
                "present": present,
                "ids": None if ids is None else list(ids),
            },
        )
        return await cursor.fetchall()


async def streak_analytics(
    connection: AsyncConnection, project: str, streak_id: str, present: datetime
) -> dict[str, Any] | None:
    """Return a streak's figures over all participants, None where there are none. Of whom voids
    took every hit is none."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT count(*) AS participants,
                   count(*) FILTER (WHERE alive) AS active,
                   round(coalesce(avg(current_length) FILTER (WHERE alive), 0), 1) AS average,
                   max(longest_length) AS longest,
                   round(avg(completed::integer), 2) AS completed
            FROM (
                SELECT *, status <> 'broken' AND coalesce(active_until > %s, true) AS alive
                FROM milestream.streak_progress
                WHERE project = %s AND streak_id = %s AND longest_length > 0
            ) p
            HAVING count(*) > 0
            """,
            (present, project, streak_id),
        )
        return await cursor.fetchone()


async def streaks(
    connection: AsyncConnection, project: str, member_id: UUID, present: datetime
) -> list[dict[str, Any]]:
    """Return every streak that a member ever took part in, as of now; not one of which voids left
    nothing."""
    asked = {"project": project, "member": member_id, "moment": present}
    return await rows_of(connection, _STREAKS, asked)


def streaks_at(rows: sql.SQL) -> sql.Composed:
    """Return the SQL of streaks as they show at a moment, of which `rows` is the SQL of one row
    each: one whose last period went by is broken, whether or not that was folded by then."""
    return sql.SQL(
        """
        SELECT streak_id, longest_length, freezes_left,
               CASE WHEN alive THEN current_length ELSE 0 END AS current_length,
               CASE WHEN alive THEN status ELSE 'broken' END AS status
        FROM (
            SELECT *, status <> 'broken' AND coalesce(active_until > %(moment)s, true) AS alive
            FROM ({}) AS told WHERE longest_length > 0
        ) AS shown
        ORDER BY streak_id
        """
    ).format(rows)


_STREAKS = streaks_at(
    sql.SQL(
        """
        SELECT * FROM milestream.streak_progress
        WHERE project = %(project)s AND member_id = %(member)s
        """
    )
)


async def rows_of(
    connection: AsyncConnection, query: sql.Composed, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Return the rows that a query finds, each by its columns."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()
