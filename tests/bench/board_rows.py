"""Rows for the benchmark of leaderboards: members with points on some days of the last year."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from projections.database import live
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS, SCORES
from schemas import ids

DAYS = 3
"""On how many days each member was granted points, at most."""

# Day and points come from the member's number n and that of the day, k, scattered by md5. Points
# are many for few: up to 50,000, half of them below 225.
_POINTS = f"""
INSERT INTO milestream.leaderboard_points
    (project, day, member_id, user_group_id, event_id, user_id, points)
SELECT project, day, member_id, 'default', 'purchase', external_id,
    sum(1 + floor(50000 * ((scatter & 65535) / 65536.0) ^ 8 + (scatter >> 16 & 255)))
FROM milestream.members
CROSS JOIN generate_series(1, {DAYS}) AS k
CROSS JOIN LATERAL (
    SELECT ('x' || left(md5(external_id || ' ' || k), 8))::bit(32)::bigint AS scatter
) AS scattered
CROSS JOIN LATERAL (
    SELECT (now() AT TIME ZONE 'UTC')::date
        - ((scatter >> 8) % CASE k WHEN 1 THEN 30 ELSE 365 END)::integer
) AS chosen (day)
WHERE project = %(project)s
GROUP BY project, day, member_id, external_id
"""
_ROWS = """
INSERT INTO rows
SELECT project, member_id, day, max(user_id), sum(points), 0
FROM milestream.leaderboard_points WHERE project = %(project)s GROUP BY project, member_id, day
"""


def fill(database_url: str, project: str, members: int) -> None:
    """Make so many members, `user-0` and on, and their boards by the projection's own statement."""
    rows = sql.Identifier("pg_temp", "rows")
    derive = sql.SQL(SCORES.statement).format(
        rows=rows,
        model=live(LEADERBOARD_DAYS.table),
        **{table: live(table) for table in SCORES.tables},
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'")
        with connection.transaction(), connection.cursor() as cursor:
            _copy_members(cursor, project, members)
        connection.execute(_POINTS.replace(" % ", " %% ").encode(), {"project": project})
        with connection.transaction():
            connection.execute(
                sql.SQL("CREATE TEMPORARY TABLE rows (LIKE {}) ON COMMIT DROP").format(
                    live(LEADERBOARD_DAYS.table)
                )
            )
            connection.execute(_ROWS.encode(), {"project": project})
            connection.execute("ANALYZE rows")
            connection.execute(derive)
            connection.execute("INSERT INTO milestream.leaderboard_days SELECT * FROM rows")
        connection.execute("VACUUM ANALYZE")


def _copy_members(cursor: "psycopg.Cursor[tuple[object, ...]]", project: str, count: int) -> None:
    copy = (
        "COPY milestream.members (project, member_id, external_id, first_name, groups, status, "
        "created_at, updated_at, version, sequence) FROM STDIN"
    )
    with cursor.copy(copy) as copying:
        for line in _members(project, count):
            copying.write(line)


def _members(project: str, count: int) -> Iterator[str]:
    at = "2026-01-01T00:00:00Z"
    for n in range(count):
        user = f"user-{n}"
        own = (project, ids.member_id(project, user), user)
        yield "\t".join((*own, "Ann", "{}", "live", at, at, "1", "0")) + "\n"
