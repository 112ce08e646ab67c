"""Streaks: how many members are in each, and how long theirs are."""

from typing import LiteralString

from psycopg import AsyncConnection

from api.queries.dashboard.samples import Rows, Sample, rows, sampled

STREAKS = 50
SAMPLE, LEAST_SAMPLE = 2000, 800
"""Members of a streak that its figures are made from; of very many streaks fewer of each."""
SAMPLES = 40_000
"""What the samples of all come to."""

_IN_FORCE: LiteralString = """
SELECT streak_id AS id, period, target_length AS "targetLength", freezes FROM milestream.streaks
WHERE project = %(project)s ORDER BY streak_id LIMIT %(limit)s
"""

_FIGURES: LiteralString = """
WITH sample AS MATERIALIZED (
    SELECT member_id, current_length, longest_length, completed,
        status <> 'broken' AND active_until > now() AS alive
    FROM milestream.streak_progress WHERE project = %(project)s AND streak_id = %(streak_id)s
    ORDER BY member_id LIMIT %(limit)s
)
SELECT count(*) AS taken, (array_agg(member_id ORDER BY member_id DESC))[1] AS last,
    count(*) FILTER (WHERE longest_length > 0) AS participants,
    count(*) FILTER (WHERE alive) AS alive,
    round(avg(current_length) FILTER (WHERE alive), 1) AS "averageLength",
    coalesce(max(longest_length), 0) AS "longestLength",
    count(*) FILTER (WHERE completed) AS completed
FROM sample
"""


async def in_force(connection: AsyncConnection, project: str) -> Rows:
    """Return the streaks that are defined."""
    return await rows(connection, _IN_FORCE, project=project, limit=STREAKS)


def size_of_sample(streaks: int) -> int:
    """Return how many members of each of so many streaks are looked at."""
    return min(SAMPLE, max(LEAST_SAMPLE, SAMPLES // max(1, streaks)))


async def figures(connection: AsyncConnection, project: str, streak_id: str, size: int) -> Sample:
    """Return one row: how many of a sample took part, are alive and reached the target; lengths."""
    given = {"project": project, "streak_id": streak_id}
    return await sampled(connection, _FIGURES, size, **given)
