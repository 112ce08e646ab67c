"""Points: what is owed, what lapses when, and what was granted and taken day by day."""

from typing import LiteralString

from psycopg import AsyncConnection

from api.queries.dashboard.samples import Sample, sampled

SAMPLE = 20_000
"""Balances, and lots, that figures are made from."""
MEMBERS = 2000
"""Members whose ledger is read."""
ENTRIES = 200
"""Entries of each of them at most, the newest."""
DAYS = 30

_SIZE: LiteralString = """
SELECT count(*) AS taken, (array_agg(member_id ORDER BY member_id DESC))[1] AS last FROM sample
"""

_OWED: LiteralString = f"""
WITH sample AS MATERIALIZED (
    SELECT member_id, challenge_group, balance, held, pending FROM milestream.points_balances
    WHERE project = %(project)s ORDER BY member_id, challenge_group LIMIT %(limit)s
), size AS ({_SIZE})
SELECT s.challenge_group AS "group", max(w.name) AS name, sum(s.balance) AS balance,
    sum(s.held) AS held, sum(s.pending) AS pending,
    count(*) FILTER (WHERE s.balance > 0 OR s.pending > 0) AS members, taken, last
FROM sample AS s CROSS JOIN size
LEFT JOIN milestream.wallets AS w ON w.project = %(project)s AND w.id = s.challenge_group
GROUP BY s.challenge_group, taken, last ORDER BY 3 DESC, 1 LIMIT 100
"""  # noqa: S608  (of this module's own texts)

_LAPSING: LiteralString = f"""
WITH sample AS MATERIALIZED (
    SELECT member_id, points, expires_at FROM milestream.points_lots
    WHERE project = %(project)s ORDER BY member_id, challenge_group, id LIMIT %(limit)s
), size AS ({_SIZE})
SELECT (date_trunc('month', expires_at AT TIME ZONE 'UTC'))::date AS month,
    sum(points) AS points, count(DISTINCT member_id) AS members, taken, last
FROM sample CROSS JOIN size
GROUP BY 1, taken, last ORDER BY 1 LIMIT 36
"""  # noqa: S608  (of this module's own texts)

_FLOW: LiteralString = f"""
WITH sample AS MATERIALIZED (
    SELECT member_id FROM milestream.points_totals
    WHERE project = %(project)s ORDER BY member_id LIMIT %(limit)s
), size AS ({_SIZE})
SELECT (entry.occurred_at AT TIME ZONE 'UTC')::date AS day, entry.operation,
    sum(entry.points) AS points, count(*) AS entries, taken, last
FROM sample CROSS JOIN size CROSS JOIN LATERAL (
    SELECT occurred_at, operation, points FROM milestream.points_ledger
    WHERE member_id = sample.member_id AND project = %(project)s
        AND occurred_at >= date_trunc('day', now()) - make_interval(days => %(days)s)
    ORDER BY occurred_at DESC LIMIT %(entries)s
) AS entry
GROUP BY 1, 2, taken, last ORDER BY 1, 2
"""  # noqa: S608  (of this module's own texts)


async def owed(connection: AsyncConnection, project: str) -> Sample:
    """Return by group what members have, hold and wait for."""
    return await sampled(connection, _OWED, SAMPLE, project=project)


async def lapsing(connection: AsyncConnection, project: str) -> Sample:
    """Return by month (UTC) what lapses in it; without a month what never does."""
    return await sampled(connection, _LAPSING, SAMPLE, project=project)


async def flow(connection: AsyncConnection, project: str) -> Sample:
    """Return by day (UTC) and operation what was granted and taken lately."""
    given = {"project": project, "days": DAYS - 1, "entries": ENTRIES}
    return await sampled(connection, _FLOW, MEMBERS, **given)
