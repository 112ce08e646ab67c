"""What is added up as events come, compared with plain SQL over the logs."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from projections import leaderboard_renewal
from projections.database import connect
from schemas.settings import Settings
from tests.integration.projections.driving import query

_STAYS = "voided_portion < 1"
_SUMS = (
    f"count(*) FILTER (WHERE {_STAYS}), sum(points - floor(points * voided_portion + 0.5)), "
    f"count(*) FILTER (WHERE condition_reached AND {_STAYS}), "
    f"count(*) FILTER (WHERE NOT condition_reached AND {_STAYS}), "
    f"count(*) FILTER (WHERE limit_reached AND {_STAYS})"
)
_GRANTS = (
    "(SELECT project, member_id, (coalesce(granted_at, occurred_at) AT TIME ZONE 'UTC')::date "
    "AS day, points - not_recovered AS points, user_id, user_group_id, event_id "
    "FROM milestream.points_ledger WHERE operation = 'grant' OR granted_at IS NOT NULL) AS grants"
)
_TODAY = "(now() AT TIME ZONE 'UTC')::date"
_IS_THERE = (
    "NOT EXISTS (SELECT FROM milestream.members WHERE status = 'deleted' "
    "AND members.project = grants.project AND members.member_id = grants.member_id)"
)
_ALL_TOO = (
    "milestream.event_log AS log "
    "CROSS JOIN LATERAL (VALUES (log.event_id), ('')) AS counted (event_of)"
)
"""The log with each event twice: once as itself, once as one of all."""
_ALL_LEFT = f"(SELECT * FROM {_ALL_TOO} WHERE {_STAYS}) AS log"
"""The same without those of which nothing is left."""

AGAIN = {
    "event_stats_hourly": (
        f"SELECT project, event_id, local_date, local_hour, {_SUMS} FROM milestream.event_log "
        "GROUP BY 1, 2, 3, 4"
    ),
    "event_stats_hourly_all": (
        f"SELECT project, local_date, local_hour, count(*) FILTER (WHERE {_STAYS}) "
        "FROM milestream.event_log GROUP BY 1, 2, 3"
    ),
    "event_stats_daily": (
        f"SELECT project, event_of, local_date, {_SUMS} FROM {_ALL_TOO} GROUP BY 1, 2, 3"
    ),
    "event_user_days": (
        "SELECT project, event_of, member_id, date_trunc('month', local_date)::date, "
        "bit_or(1 << extract(day FROM local_date)::integer - 1), max(local_date) "
        f"FROM {_ALL_LEFT} GROUP BY 1, 2, 3, 4"
    ),
    "event_user_counts": (
        "SELECT project, event_of, 'day', local_date, count(DISTINCT member_id) "
        f"FROM {_ALL_LEFT} GROUP BY 1, 2, 4 UNION ALL "
        "SELECT project, event_of, 'month', date_trunc('month', local_date)::date, "
        f"count(DISTINCT member_id) FROM {_ALL_LEFT} GROUP BY 1, 2, 4 UNION ALL "
        "SELECT project, event_of, 'last', last_day, count(*) FROM "
        "(SELECT project, event_of, member_id, max(local_date) AS last_day "
        f"FROM {_ALL_LEFT} GROUP BY 1, 2, 3) AS members GROUP BY 1, 2, 4"
    ),
    "leaderboard_points": (
        "SELECT project, day, member_id, user_group_id, coalesce(event_id, ''), min(user_id), "
        f"sum(points) FROM {_GRANTS} GROUP BY 1, 2, 3, 4, 5"
    ),
    "leaderboard_days": (
        "SELECT project, member_id, day, min(user_id), sum(points), 0 "
        f"FROM {_GRANTS} GROUP BY 1, 2, 3 UNION ALL "
        "SELECT project, member_id, '0001-01-01', external_id, 0, "
        "2 * sequence + (status = 'deleted')::integer FROM milestream.members"
    ),
    "leaderboard_scores": (
        "SELECT project, to_char(day, 'YYYY-MM'), member_id, min(user_id), sum(points), NULL::date "
        f"FROM {_GRANTS} WHERE {_IS_THERE} GROUP BY 1, 2, 3 UNION ALL "
        "SELECT project, days || 'd', member_id, min(user_id), "
        f"coalesce(sum(points) FILTER (WHERE day <= {_TODAY}), 0), "
        f"min(CASE WHEN day > {_TODAY} THEN day ELSE day + days END) "
        f"FROM {_GRANTS} CROSS JOIN (VALUES (7), (30), (365)) AS boards (days) "
        f"WHERE {_IS_THERE} AND day > {_TODAY} - days GROUP BY 1, 2, 3"
    ),
    "leaderboard_counts": (
        "SELECT project, board, rpad(left(points::text, 3), length(points::text), '0')::numeric, "
        "count(*) FROM milestream.leaderboard_scores WHERE points > 0 GROUP BY 1, 2, 3"
    ),
}
"""Each table that is added up, from the log that has it all."""

PERIODS = (
    ("2026-11-21", "2026-11-21"),
    ("2026-11-15", "2026-11-21"),
    ("2026-08-24", "2026-11-21"),
    ("2026-11-01", "2026-11-21"),
    ("2026-01-01", "2026-11-21"),
    ("-infinity", "2026-11-21"),
    ("-infinity", "infinity"),
    ("2026-11-22", "2026-11-22"),
    ("2026-11-23", "2026-12-24"),
    ("2026-02-03", "2026-06-05"),
)
"""First and last days: those of the events face where today is 2026-11-21, and others."""


def check(settings: Settings) -> None:
    """Compare every table that is added up, and the unique users of some periods."""
    assert differing(settings) == []
    for first, final in PERIODS:
        users = "SELECT event_id, users FROM milestream.event_users('acme', %s, %s) WHERE users > 0"
        plain = (
            f"SELECT event_of, count(DISTINCT member_id) FROM {_ALL_LEFT} "
            "WHERE project = 'acme' AND local_date BETWEEN %s AND %s GROUP BY 1"
        )
        assert set(query(settings, users, first, final)) == set(
            query(settings, plain, first, final)
        ), (first, final)


def differing(settings: Settings) -> list[str]:
    """Return the tables that are not what their log comes to.

    Scores are of a day: what fell due since they were written is made anew first, as a projector
    does, and where the day ends meanwhile it is looked at again.
    """
    while True:
        today = _today(settings)
        with ThreadPoolExecutor(1) as thread:  # the caller's has a loop that runs
            thread.submit(asyncio.run, _renew(settings)).result()
        found = [
            table
            for table, statement in AGAIN.items()
            if rows(settings, table) != set(query(settings, statement))
        ]
        if _today(settings) == today:
            return found


async def _renew(settings: Settings) -> None:
    async with await connect(settings.database_url, "milestream-test") as connection:
        while await leaderboard_renewal.renew(connection):
            pass


def _today(settings: Settings) -> date:
    found: date = query(settings, f"SELECT {_TODAY}")[0][0]
    return found


def rows(settings: Settings, table: str) -> set[tuple[Any, ...]]:
    """Return a table's rows, without counts that came down to nobody."""
    found = query(settings, f"SELECT * FROM milestream.{table}")
    assert len(found) == len(set(found))
    return {row for row in found if not table.endswith("_counts") or row[-1] != 0}
