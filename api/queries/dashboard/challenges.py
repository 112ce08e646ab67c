"""How far members are in each challenge, period by period."""

from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from api.queries.dashboard.samples import Rows, Sample, rows, sampled

CHALLENGES = 50
SAMPLE, LEAST_SAMPLE = 4000, 800
"""Progress of a challenge that its figures are made from; of very many challenges less of each."""
SAMPLES = 40_000
"""What the samples of all come to."""
PERIODS = 12

_LIVE: LiteralString = """
SELECT c.id, c.name, c.completion_target_value AS target, c.aggregation_period AS period
FROM milestream.challenges AS c
WHERE c.project = %(project)s AND c.status = 'live' ORDER BY c.name, c.id LIMIT %(limit)s
"""

_PERIODS: LiteralString = """
WITH sample AS MATERIALIZED (
    SELECT member_id, period_key, status, created_at FROM milestream.challenge_progress
    WHERE project = %(project)s AND challenge_id = %(challenge_id)s
    ORDER BY member_id, period_key LIMIT %(limit)s
), size AS (
    SELECT count(*) AS taken, (array_agg(member_id ORDER BY member_id DESC))[1] AS last FROM sample
)
SELECT period_key AS "periodKey", count(*) AS started,
    count(*) FILTER (WHERE status = 'completed') AS completed, taken, last
FROM sample CROSS JOIN size
GROUP BY period_key, taken, last ORDER BY max(created_at) DESC, period_key DESC
LIMIT %(periods)s
"""

_MILESTONES: LiteralString = """
WITH sample AS MATERIALIZED (
    SELECT member_id, period_key FROM milestream.challenge_progress
    WHERE project = %(project)s AND challenge_id = %(challenge_id)s
    ORDER BY member_id, period_key LIMIT %(limit)s
), reached AS MATERIALIZED (
    SELECT r.milestone_id, count(*) AS members
    FROM sample CROSS JOIN LATERAL (
        SELECT milestone_id FROM milestream.milestones_reached
        WHERE member_id = sample.member_id AND project = %(project)s
            AND period_key = sample.period_key
            AND linked_schema_record_id = %(challenge_id)s::text
        LIMIT 100
    ) AS r
    WHERE sample.period_key = %(period_key)s
    GROUP BY r.milestone_id
)
SELECT m.name, m.milestone_target_value AS target, coalesce(reached.members, 0) AS reached
FROM milestream.milestones AS m LEFT JOIN reached ON reached.milestone_id = m.id
WHERE m.project = %(project)s AND m.linked_schema_record_id = %(challenge_id)s::text
ORDER BY m.milestone_target_value, m.id LIMIT 100
"""


async def live(connection: AsyncConnection, project: str) -> Rows:
    """Return the live challenges, by name."""
    return await rows(connection, _LIVE, project=project, limit=CHALLENGES)


def size_of_sample(challenges: int) -> int:
    """Return how much progress of each of so many challenges is looked at."""
    return min(SAMPLE, max(LEAST_SAMPLE, SAMPLES // max(1, challenges)))


async def periods(
    connection: AsyncConnection, project: str, challenge_id: UUID, size: int
) -> Sample:
    """Return of a challenge's newest periods how many of a sample began and completed, the newest
    first."""
    given = {"project": project, "challenge_id": challenge_id, "periods": PERIODS}
    return await sampled(connection, _PERIODS, size, **given)


async def milestones(
    connection: AsyncConnection, project: str, challenge_id: UUID, period_key: str, size: int
) -> Rows:
    """Return how many of the same sample reached each milestone in a period."""
    given = {"project": project, "challenge_id": challenge_id, "period_key": period_key}
    return await rows(connection, _MILESTONES, limit=size, **given)
