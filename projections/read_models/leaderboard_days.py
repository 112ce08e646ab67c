"""``leaderboard_days``: each member's points day by day; scores and their counts kept from it.

``leaderboard_scores`` has a member's points on each board that counts all points, in the order of
an index. A rank is one more than the members above: ``leaderboard_counts`` has how many there are
in each band of scores, so that only those of the member's own band are counted one by one.

A rolling board changes without a grant, as days go by. So each of its scores says on which day it
is ``due``, and ``projections.leaderboard_renewal`` makes those anew. Who is deleted or forgotten
has no scores; the days stay, for a member that is upserted lives again.
"""

from collections.abc import Iterable

import msgspec

from projections.projection import Derived, Row, of_events
from projections.read_models.points import WITHDRAWN
from schemas.event_types import (
    MEMBER_UPSERTED,
    POINTS_FORGOTTEN,
    POINTS_GRANTED,
    POINTS_REVERSED,
)
from schemas.outputs import Envelope

KEY = ("project", "member_id", "day")
STANDING_DAY = "0001-01-01"
"""The day of the row that has no points, but the member's ``standing``."""


class _Granted(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.PointsChanged``."""

    owned_by_id: str
    user_id: str
    points: int
    occurred_at: str


class _Member(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.MemberRecord``."""

    id: str
    external_id: str
    status: str


_GRANTED = msgspec.json.Decoder(_Granted)
_MEMBER = msgspec.json.Decoder(_Member)


def granted(event: Envelope) -> Iterable[Row]:
    """What a grant adds to its member's day; outputs' times are in UTC."""
    grant = _GRANTED.decode(event.data)
    key = (event.project, grant.owned_by_id, grant.occurred_at[:10])
    yield (*key, grant.user_id, grant.points, 0)


def withdrawn(event: Envelope) -> Iterable[Row]:
    """What a void takes from the day of a grant."""
    void = WITHDRAWN.decode(event.data)
    if void.granted_at is not None:
        key = (event.project, void.owned_by_id, void.granted_at[:10])
        yield (*key, void.user_id, void.earned, 0)


def upserted(event: Envelope) -> Iterable[Row]:
    """Whether the member is deleted. ``standing`` is twice the sequence, and one more if it is: the
    greatest is the newest, and its lowest bit says whether the member is deleted."""
    member = _MEMBER.decode(event.data)
    standing = 2 * int(event.sequence) + (member.status == "deleted")
    yield (event.project, member.id, STANDING_DAY, member.external_id, 0, standing)


class _Gone(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.MemberForgotten``."""

    id: str
    user_id: str


_GONE = msgspec.json.Decoder(_Gone)


def forgotten(event: Envelope) -> Iterable[Row]:
    """A member that is forgotten is deleted here: the other topic tells nothing of it any more."""
    member = _GONE.decode(event.data)
    standing = 2 * int(event.sequence) + 1
    yield (event.project, member.id, STANDING_DAY, member.user_id, 0, standing)


SCORES = Derived(
    tables=("leaderboard_scores", "leaderboard_counts"),
    # This transaction holds the checkpoints of a member's partition, in both topics: nobody else
    # changes its rows meanwhile. The counts are everybody's, and locked by their key. `LIMIT 1`
    # makes the planner use the key even without statistics.
    statement="""
        WITH today AS MATERIALIZED (
            SELECT (now() AT TIME ZONE 'UTC')::date AS today
        ), members AS MATERIALIZED (
            SELECT coming.project, coming.member_id,
                coalesce(known.standing, 0) & 1 = 1 AS was_gone,
                greatest(known.standing, max(coming.standing)) & 1 = 1 AS is_gone
            FROM {rows} AS coming
            LEFT JOIN LATERAL (
                SELECT standing FROM {model} AS known
                WHERE known.project = coming.project AND known.member_id = coming.member_id
                    AND known.day = '0001-01-01'
                LIMIT 1
            ) AS known ON true
            GROUP BY coming.project, coming.member_id, known.standing
        ), days AS (
            SELECT project, member_id, day, user_id, points
            FROM {rows} JOIN members USING (project, member_id)
            WHERE NOT is_gone AND day > '0001-01-01'
            UNION ALL
            SELECT project, member_id, day, user_id, points
            FROM members JOIN {model} USING (project, member_id)
            WHERE was_gone AND NOT is_gone AND day > '0001-01-01'
        ), gains AS (
            SELECT project, board, member_id, max(user_id) AS user_id,
                sum(counted) AS points, min(due) AS due
            FROM days CROSS JOIN today CROSS JOIN LATERAL (
                SELECT to_char(day, 'YYYY-MM'), points, NULL
                UNION ALL
                SELECT length || 'd', CASE WHEN day <= today THEN points ELSE 0 END,
                    CASE WHEN day <= today THEN day + length ELSE day END
                FROM unnest('{{7,30,365}}'::integer[]) AS length
                WHERE day > today - length
            ) AS gain (board, counted, due)
            GROUP BY project, board, member_id
        ), moves AS MATERIALIZED (
            SELECT project, board, member_id, gains.user_id, known.points AS old_points,
                gains.points + coalesce(known.points, 0) AS points,
                least(gains.due, known.due) AS due
            FROM gains LEFT JOIN LATERAL (
                SELECT points, due FROM {leaderboard_scores} AS known
                WHERE known.project = gains.project AND known.board = gains.board
                    AND known.member_id = gains.member_id
                LIMIT 1
            ) AS known ON true
        ), gone AS (
            DELETE FROM {leaderboard_scores} AS target USING members
            WHERE target.project = members.project AND target.member_id = members.member_id
                AND is_gone AND NOT was_gone
                AND target.board = ANY (ARRAY(
                    SELECT to_char(day, 'YYYY-MM') FROM {model} AS known
                    WHERE known.project = members.project AND known.member_id = members.member_id
                ) || '{{7d,30d,365d}}'::text[])
            RETURNING target.project, target.board, target.points
        ), kept AS (
            INSERT INTO {leaderboard_scores} AS target
                (project, board, member_id, user_id, points, due)
            SELECT project, board, member_id, user_id, points, due
            FROM moves
            ORDER BY project, board, member_id
            ON CONFLICT (project, board, member_id)
                DO UPDATE SET points = excluded.points, due = excluded.due
        ), changes (project, board, points, members) AS (
            SELECT project, board, points, 1 FROM moves
            UNION ALL
            SELECT project, board, old_points, -1 FROM moves
            UNION ALL
            SELECT project, board, points, -1 FROM gone
        )
        INSERT INTO {leaderboard_counts} AS target (project, board, band, members)
        SELECT project, board, milestream.score_band(points) AS band, sum(members)
        FROM changes
        WHERE points > 0
        GROUP BY project, board, band
        HAVING sum(members) <> 0
        ORDER BY project, board, band
        ON CONFLICT (project, board, band)
            DO UPDATE SET members = target.members + excluded.members
    """,
)

LEADERBOARD_DAYS = of_events(
    table="leaderboard_days",
    columns=(*KEY, "user_id", "points", "standing"),
    key=KEY,
    combined={"points": "sum", "standing": "greatest"},
    derived=SCORES,
    events={
        POINTS_GRANTED: granted,
        POINTS_REVERSED: withdrawn,
        MEMBER_UPSERTED: upserted,
        POINTS_FORGOTTEN: forgotten,
    },
)
