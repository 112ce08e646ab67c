"""How soon `/stats/event?period=90d` answers over many events: asked over HTTP, rows made by SQL.

The rows are what the projection makes of such events; that it makes the same is a test's matter.
Only the wait for the projection is left out: the topics are empty, so there is nothing to wait for.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.integration.api.serving import PROJECT, served
from tests.stack import FreshSettings

MEMBERS = 50_000
KINDS = 10
"""How many kinds of event there are; the first ones are the most frequent."""
ASKS = 200
_WARM_UP = 10

_STATEMENTS = (
    # Everything about an event comes from its number; the days are the last 90.
    """
    CREATE UNLOGGED TABLE made AS
    SELECT 'event-' || (least(h % 97, h / 97 % 97) * %(kinds)s / 97)::text AS event_id,
        md5('member-' || (h / 89 % %(members)s)::text)::uuid AS member_id,
        current_date - (h / 7 % 90)::integer AS local_date,
        (h / 630 % 24)::smallint AS local_hour,
        h / 3 % 100 AS points, h % 20 <> 0 AS met, h % 11 = 0 AS over_limit
    FROM (
        SELECT hashint8extended(n, 7) & 9223372036854775807 AS h
        FROM generate_series(1, %(events)s) AS n
    ) AS numbered
    """,
    """
    INSERT INTO milestream.event_stats_hourly
    SELECT %(project)s, event_id, local_date, local_hour, count(*), sum(points),
        count(*) FILTER (WHERE met), count(*) FILTER (WHERE NOT met),
        count(*) FILTER (WHERE over_limit)
    FROM made GROUP BY event_id, local_date, local_hour
    """,
    """
    INSERT INTO milestream.event_stats_hourly_all
    SELECT project, local_date, local_hour, sum(events)
    FROM milestream.event_stats_hourly GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO milestream.event_stats_daily
    SELECT project, coalesce(event_id, ''), local_date, sum(events), sum(points),
        sum(condition_met), sum(condition_failed), sum(limit_reached)
    FROM milestream.event_stats_hourly
    GROUP BY GROUPING SETS ((project, event_id, local_date), (project, local_date))
    """,
    """
    INSERT INTO milestream.event_user_days
    SELECT %(project)s, coalesce(event_id, ''), member_id, date_trunc('month', local_date)::date,
        bit_or(1 << extract(day FROM local_date)::integer - 1), max(local_date)
    FROM made
    GROUP BY GROUPING SETS (
        (event_id, member_id, date_trunc('month', local_date)),
        (member_id, date_trunc('month', local_date))
    )
    """,
    """
    INSERT INTO milestream.event_user_counts
    SELECT project, event_id, 'month', month, count(*)
    FROM milestream.event_user_days GROUP BY 1, 2, 4
    UNION ALL
    SELECT project, event_id, 'day', month + bit, count(*)
    FROM milestream.event_user_days, generate_series(0, 30) AS bit
    WHERE days & (1 << bit) <> 0 GROUP BY 1, 2, 4
    UNION ALL
    SELECT project, event_id, 'last', last_day, count(*)
    FROM (
        SELECT project, event_id, member_id, max(last_day) AS last_day
        FROM milestream.event_user_days GROUP BY 1, 2, 3
    ) AS members GROUP BY 1, 2, 4
    """,
    "DROP TABLE made",
    "ANALYZE",
)


@dataclass(frozen=True)
class Asked:
    """How long many answers to one question took, in milliseconds."""

    question: str
    p50: float
    p95: float
    slowest: float


@dataclass(frozen=True)
class StatsTiming:
    """What asking for statistics found."""

    events: int
    members: int
    asked: Sequence[Asked]

    def text(self) -> str:
        """Say it in a sentence or two."""
        each = "; ".join(
            f"{a.question}: {a.p50:.1f} ms (p95 {a.p95:.1f}, slowest {a.slowest:.1f})"
            for a in self.asked
        )
        return (
            f"Statistics of 90 days over {self.events:,} events of {self.members:,} members, the "
            f"median of {ASKS} asks: {each}."
        )


def ask_stats(fresh: FreshSettings, events: int, directory: Path) -> StatsTiming:
    """Make the rows of so many events, and ask an API for their statistics again and again."""
    with served(fresh, log=directory) as api:
        _fill(api.settings.database_url, events)
        key = asyncio.run(api.key())
        headers = {"x-api-key": key.key_id, "x-api-secret": key.secret}
        questions: Mapping[str, Mapping[str, str]] = {
            "all events": {"period": "90d"},
            "one event": {"period": "90d", "eventId": "event-0"},
        }
        with httpx.Client(base_url=api.url, headers=headers, timeout=60) as client:
            asked = [_ask(client, name, question, events) for name, question in questions.items()]
    return StatsTiming(events, MEMBERS, asked)


def _fill(database_url: str, events: int) -> None:
    values = {"events": events, "members": MEMBERS, "kinds": KINDS, "project": PROJECT}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET work_mem = '512MB'")
        for statement in _STATEMENTS:
            connection.execute(_escaped(statement), values)


def _escaped(statement: str) -> bytes:
    """Return a statement in which a lone percent sign is the modulo operator."""
    return statement.replace(" % ", " %% ").encode()


def _ask(client: httpx.Client, name: str, question: Mapping[str, str], events: int) -> Asked:
    for _ in range(_WARM_UP):
        data = _answer(client, question)["data"]
        found = data["totalEvents"] if "totalEvents" in data else data["totalCount"]
        assert 0 < found <= events
        assert len(data["dailyData"]) == 90
    took = []
    for _ in range(ASKS):
        begun = time.perf_counter()
        _answer(client, question)
        took.append((time.perf_counter() - begun) * 1000)
    return Asked(name, statistics.median(took), statistics.quantiles(took, n=20)[-1], max(took))


def _answer(client: httpx.Client, question: Mapping[str, str]) -> Any:
    response = client.get("/v1/stats/event", params=question)
    response.raise_for_status()
    return response.json()
