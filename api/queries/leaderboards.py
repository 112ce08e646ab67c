"""Leaderboards: sums of granted points, day by day.

Boards of all points are kept in order: a read costs by the rows that it shows, not by the number of
members. Others are summed from their days.
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from api.queries.operations import pipelined

_ROLLING = (7, 30, 365)
"""Days of the boards that are kept as they end today."""


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

    @property
    def kept_as(self) -> str | None:
        """What it is called in `leaderboard_scores`, where it may be kept."""
        if self.event_ids is not None or self.groups is not None:
            return None
        days = (self.last - self.first).days + 1
        if self.first.day == 1 and days == monthrange(self.first.year, self.first.month)[1]:
            return f"{self.first:%Y-%m}"
        return f"{days}d" if days in _ROLLING else None


@dataclass(frozen=True)
class Rank:
    """A member on a board. Equal points share a rank; `place` is that among those shown."""

    member_id: UUID
    external_id: str
    first_name: str | None
    last_name: str | None
    points: Decimal
    rank: int
    place: int


# A rolling board is valid while it ends today and none of its scores is due. Any board is valid
# while its projection has reached that of the days.
_KEPT: LiteralString = """
WITH kept AS MATERIALIZED (
    SELECT (
        NOT %(rolling)s OR (
            %(last)s = (now() AT TIME ZONE 'UTC')::date
            AND NOT EXISTS (
                SELECT FROM milestream.leaderboard_scores
                WHERE due <= %(last)s AND project = %(project)s AND board = %(board)s
            )
        )
    ) AND NOT EXISTS (
        SELECT FROM milestream.projection_checkpoints AS shown
        LEFT JOIN milestream.projection_checkpoints AS scored
            ON scored.projection = 'leaderboard_days'
            AND (scored.topic, scored.partition) = (shown.topic, shown.partition)
        WHERE shown.projection IN ('leaderboard_points', 'members')
            AND shown.next_offset > coalesce(scored.next_offset, 0)
    ) AS is_right
)
"""

_TOP: LiteralString = f"""
{_KEPT}
SELECT is_right, found.*
FROM kept LEFT JOIN LATERAL (
    SELECT member_id, external_id, first_name, last_name, points,
        rank() OVER (ORDER BY points DESC) AS rank,
        row_number() OVER (ORDER BY points DESC, user_id) AS place
    FROM (
        SELECT m.member_id, m.external_id, m.first_name, m.last_name, s.points, s.user_id
        FROM milestream.leaderboard_scores AS s
        JOIN milestream.members AS m ON m.project = s.project AND m.member_id = s.member_id
        WHERE is_right AND s.project = %(project)s AND s.board = %(board)s AND s.points > 0
            AND m.status <> 'deleted'
        ORDER BY s.points DESC, s.user_id
        LIMIT %(top)s
    ) AS first
) AS found ON true
ORDER BY place
"""  # noqa: S608  (of this module's own texts)

_SHOWN: LiteralString = """
    SELECT m.member_id, m.external_id, m.first_name, m.last_name, s.points, s.user_id
    FROM milestream.leaderboard_scores AS s
    JOIN milestream.members AS m ON m.project = s.project AND m.member_id = s.member_id
    WHERE s.project = %(project)s AND s.board = %(board)s AND s.points > 0
        AND m.status <> 'deleted'
"""

# Members with equal points are a query of their own, because the index descends by points and
# ascends by ids. A rank is counted from the bands above, most of which all rows share, and within
# the member's own band.
_BESIDE: LiteralString = f"""
{_KEPT}, own AS MATERIALIZED (
    SELECT shown.* FROM kept CROSS JOIN LATERAL (
        {_SHOWN} AND is_right AND s.member_id = %(member_id)s
    ) AS shown
), near AS MATERIALIZED (
    SELECT * FROM own
    UNION ALL
    SELECT above.* FROM own CROSS JOIN LATERAL (
        SELECT * FROM (
            ({_SHOWN} AND s.points = own.points AND s.user_id < own.user_id
                ORDER BY s.user_id DESC LIMIT %(beside)s)
            UNION ALL
            ({_SHOWN} AND s.points > own.points
                ORDER BY s.points, s.user_id DESC LIMIT %(beside)s)
        ) AS both_of
        ORDER BY points, user_id DESC LIMIT %(beside)s
    ) AS above
    UNION ALL
    SELECT below.* FROM own CROSS JOIN LATERAL (
        SELECT * FROM (
            ({_SHOWN} AND s.points = own.points AND s.user_id > own.user_id
                ORDER BY s.user_id LIMIT %(beside)s)
            UNION ALL
            ({_SHOWN} AND s.points < own.points
                ORDER BY s.points DESC, s.user_id LIMIT %(beside)s)
        ) AS both_of
        ORDER BY points DESC, user_id LIMIT %(beside)s
    ) AS below
), above_all AS MATERIALIZED (
    SELECT best.band, coalesce(sum(counts.members), 0) AS members
    FROM (SELECT milestream.score_band_end(max(points)) AS band FROM near) AS best
    LEFT JOIN milestream.leaderboard_counts AS counts
        ON counts.project = %(project)s AND counts.board = %(board)s AND counts.band >= best.band
    GROUP BY best.band
), ranks AS MATERIALIZED (
    SELECT scores.points, 1 + (
        SELECT members + coalesce((
            SELECT sum(members) FROM milestream.leaderboard_counts AS counts
            WHERE counts.project = %(project)s AND counts.board = %(board)s
                AND counts.band >= milestream.score_band_end(scores.points)
                AND counts.band < above_all.band
        ), 0)
        FROM above_all
    )::bigint + (
        SELECT count(*) FROM milestream.leaderboard_scores AS s
        WHERE s.project = %(project)s AND s.board = %(board)s AND s.points > 0
            AND s.points > scores.points AND s.points < milestream.score_band_end(scores.points)
    ) AS rank
    FROM (SELECT DISTINCT points FROM near) AS scores
)
SELECT is_right, member_id, external_id, first_name, last_name, points, rank,
    row_number() OVER (ORDER BY points DESC, user_id) AS place
FROM kept LEFT JOIN (near JOIN ranks USING (points)) ON true
ORDER BY place
"""  # noqa: S608  (of this module's own texts)

_ADDED_UP: LiteralString = """
WITH board AS MATERIALIZED (
    SELECT m.member_id, m.external_id, m.first_name, m.last_name, sum(p.points) AS points
    FROM milestream.leaderboard_points p
    JOIN milestream.members m ON m.project = p.project AND m.member_id = p.member_id
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
WHERE place <= %(top)s OR abs(place - (SELECT place FROM own)) <= %(beside)s
ORDER BY place
"""


async def top(connection: AsyncConnection, board: Board, count: int) -> list[Rank]:
    """Return the first places of a board."""
    found = await _kept(connection, board, _TOP, top=count)
    return await added_up(connection, board, top=count) if found is None else found


async def beside(
    connection: AsyncConnection, board: Board, member_id: UUID, count: int
) -> list[Rank]:
    """Return a member's place on a board with so many on either side; none where it has none."""
    async with pipelined(connection), connection.transaction():
        # The statement takes three times as long to plan as to run, and its plan is the same for
        # all members.
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        found = await _kept(connection, board, _BESIDE, member_id=member_id, beside=count)
    if found is None:
        return await added_up(connection, board, member_id=member_id, beside=count)
    return found


async def _kept(
    connection: AsyncConnection, board: Board, statement: LiteralString, **asked: object
) -> list[Rank] | None:
    """Return places of a board that is kept in order; None where it is not, or not right now."""
    if board.kept_as is None:
        return None
    cursor = await connection.execute(statement, kept_values(board, **asked), prepare=True)
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    if not rows[0][0]:
        return None
    return [Rank(*row) for _, *row in rows if row[0] is not None]


def kept_values(board: Board, **asked: object) -> dict[str, object]:
    """Return the parameters of the statements that read a board which is kept in order."""
    name = board.kept_as
    return {"board": name, "rolling": str(name).endswith("d"), **vars(board), **asked}


async def added_up(
    connection: AsyncConnection,
    board: Board,
    *,
    top: int = 0,
    member_id: UUID | None = None,
    beside: int = 0,
) -> list[Rank]:
    """Return the first places of a board, or a member's with those beside it, from all its days."""
    async with connection.cursor(row_factory=class_row(Rank)) as cursor:
        await cursor.execute(
            _ADDED_UP, {**vars(board), "top": top, "member_id": member_id, "beside": beside}
        )
        return await cursor.fetchall()
