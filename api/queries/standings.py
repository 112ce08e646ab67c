"""Standings: members' points in challenge groups, and their ranks.

Deleted members do not rank. Equal points share a rank. Recent points are those granted, less those
of them that were voided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

Period = Literal["all", "7days"]

_EARNED: LiteralString = "sum(points - not_recovered) AS points"
_RECENT: LiteralString = """
    (operation = 'grant' OR granted_at IS NOT NULL)
    AND coalesce(granted_at, occurred_at) > %(since)s
    AND occurred_at > %(since)s - interval '1 day'
"""
"""A grant, or what a void took of it, by the grant's own time. That lies a day ahead of the void at
most, and the index is by the entries' time."""


@dataclass(frozen=True)
class Points:
    """A member's points in a group: the balance, and recent grants."""

    challenge_group: str
    total: Decimal
    recent: Decimal


@dataclass(frozen=True)
class Ranks:
    """A member's ranks in a group: by the balance and by recent grants."""

    challenge_group: str
    total_rank: int
    recent_rank: int


@dataclass(frozen=True)
class Standing:
    """A member's standing in one group."""

    member_id: UUID
    external_id: str
    first_name: str | None
    last_name: str | None
    total: Decimal
    recent: Decimal
    rank: int


async def points(
    connection: AsyncConnection, project: str, member_id: UUID, since: datetime
) -> list[Points]:
    """Return a member's points in every group that it ever had points in.

    The statement is planned each time, as that of the actions log: only the member's entries are
    read.
    """
    async with connection.cursor(row_factory=class_row(Points)) as cursor:
        await cursor.execute(
            f"""
            SELECT b.challenge_group, b.balance AS total, coalesce(r.points, 0) AS recent
            FROM milestream.points_balances b
            LEFT JOIN (
                SELECT challenge_group, {_EARNED} FROM milestream.points_ledger
                WHERE member_id = %(member_id)s AND project = %(project)s AND {_RECENT}
                GROUP BY challenge_group
            ) AS r USING (challenge_group)
            WHERE b.project = %(project)s AND b.member_id = %(member_id)s
            """,  # noqa: S608  (of this module's own texts)
            {"project": project, "member_id": member_id, "since": since},
            prepare=False,
        )
        return await cursor.fetchall()


async def ranks(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    groups: Sequence[str],
    since: datetime,
) -> list[Ranks]:
    """Return a member's ranks in groups."""
    async with connection.cursor(row_factory=class_row(Ranks)) as cursor:
        await cursor.execute(
            f"""
            WITH recent AS MATERIALIZED (
                SELECT challenge_group, member_id, {_EARNED}
                FROM milestream.points_ledger
                WHERE project = %(project)s AND {_RECENT}
                    AND challenge_group = ANY(%(groups)s)
                GROUP BY challenge_group, member_id
            ), board AS (
                SELECT b.challenge_group, b.member_id, b.balance, coalesce(r.points, 0) AS recent
                FROM milestream.points_balances b
                JOIN milestream.members m ON m.project = b.project AND m.member_id = b.member_id
                LEFT JOIN recent r
                    ON r.challenge_group = b.challenge_group AND r.member_id = b.member_id
                WHERE b.project = %(project)s AND m.status <> 'deleted'
                    AND b.challenge_group = ANY(%(groups)s)
            )
            SELECT own.challenge_group,
                   1 + count(*) FILTER (WHERE o.balance > own.balance) AS total_rank,
                   1 + count(*) FILTER (WHERE o.recent > own.recent) AS recent_rank
            FROM board own JOIN board o USING (challenge_group)
            WHERE own.member_id = %(member_id)s
            GROUP BY own.challenge_group
            """,  # noqa: S608  (of this module's own texts)
            {"project": project, "member_id": member_id, "groups": groups, "since": since},
        )
        return await cursor.fetchall()


async def top(
    connection: AsyncConnection,
    project: str,
    group: str,
    period: Period,
    since: datetime,
    *,
    limit: int,
    member_id: UUID | None,
) -> list[Standing]:
    """Return the best members of a group, and one member at any rank; none without points."""
    async with connection.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(
            f"""
            WITH recent AS MATERIALIZED (
                SELECT member_id, {_EARNED} FROM milestream.points_ledger
                WHERE project = %(project)s AND {_RECENT}
                    AND challenge_group = %(group)s
                GROUP BY member_id
            ), board AS (
                SELECT m.member_id, m.external_id, m.first_name, m.last_name,
                       b.balance AS total, coalesce(r.points, 0) AS recent,
                       CASE %(period)s WHEN 'all' THEN b.balance ELSE coalesce(r.points, 0) END
                           AS points
                FROM milestream.points_balances b
                JOIN milestream.members m ON m.project = b.project AND m.member_id = b.member_id
                LEFT JOIN recent r ON r.member_id = b.member_id
                WHERE b.project = %(project)s AND b.challenge_group = %(group)s
                    AND m.status <> 'deleted'
            ), ranked AS (
                SELECT *, rank() OVER (ORDER BY points DESC) AS rank,
                       row_number() OVER (ORDER BY points DESC, external_id COLLATE "C") AS place
                FROM board WHERE points > 0
            )
            SELECT member_id, external_id, first_name, last_name, total, recent, rank
            FROM ranked WHERE place <= %(limit)s OR member_id = %(member_id)s
            ORDER BY place
            """,  # noqa: S608  (of this module's own texts)
            {
                "project": project,
                "group": group,
                "period": period,
                "since": since,
                "limit": limit,
                "member_id": member_id,
            },
        )
        return await cursor.fetchall()
