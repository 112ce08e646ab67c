"""Leaderboards: sums of the points that members were granted, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Board:
    """Which points count: all of the project's, or fewer.

    Attributes:
        event_ids: only points of these events.
        groups: only points granted under one of these user groups, or to its members.
        first, last: the days, both included; in UTC.
    """

    project: str
    first: date
    last: date
    event_ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class Place:
    """A member on a board. Equal points share a rank; `place` tells them apart."""

    member_id: UUID
    external_id: str
    first_name: str | None
    last_name: str | None
    points: Decimal
    rank: int
    place: int


async def places(
    connection: AsyncConnection,
    board: Board,
    *,
    top: int = 0,
    member_id: UUID | None = None,
    beside: int = 0,
) -> list[Place]:
    """Return the first `top` places of a board, and a member's with so many on either side."""
    async with connection.cursor(row_factory=class_row(Place)) as cursor:
        await cursor.execute(
            """
            WITH board AS MATERIALIZED (
                SELECT m.member_id, m.external_id, m.first_name, m.last_name,
                       sum(p.points) AS points
                FROM milestream.leaderboard_points p
                JOIN milestream.members m
                    ON m.project = p.project AND m.member_id = p.member_id
                WHERE p.project = %(project)s AND m.status <> 'deleted'
                    AND p.day BETWEEN %(first)s AND %(last)s
                    AND (%(event_ids)s::text[] IS NULL OR p.event_id = ANY(%(event_ids)s::text[]))
                    AND (%(groups)s::text[] IS NULL OR m.groups && %(groups)s::text[]
                        OR p.user_group_id = ANY(%(groups)s::text[]))
                GROUP BY m.project, m.member_id
                HAVING sum(p.points) > 0
            ), ranked AS (
                SELECT *, rank() OVER (ORDER BY points DESC) AS rank,
                       row_number() OVER (ORDER BY points DESC, external_id COLLATE "C") AS place
                FROM board
            ), own AS MATERIALIZED (
                SELECT place FROM ranked WHERE member_id = %(member_id)s
            )
            SELECT * FROM ranked
            WHERE place <= %(top)s
                OR abs(place - (SELECT place FROM own)) <= %(beside)s
            ORDER BY place
            """,
            {**vars(board), "top": top, "member_id": member_id, "beside": beside},
        )
        return await cursor.fetchall()
