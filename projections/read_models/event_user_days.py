"""``event_user_days``: on which days each member was active; and ``event_user_counts`` from it.

The counts say how many members there were on each day and in each month, and on how many members'
last day it was. A period that ends today has the members whose last day lies in it, so that its
exact unique users are a sum over a row a day. A late event is a new day, and no new last day.

A wholly voided event takes its day away where the member has no other there. No count is kept for
that, for voids are few: ``event_log`` is asked, which the same batch has written before.
"""

from collections.abc import Iterable
from typing import LiteralString

from projections.projection import Amended, Derived, Row, of_events
from projections.read_models.event_stats import ALL_EVENTS, LOGGED, VOIDED
from schemas.event_types import EVENT_LOGGED, EVENT_VOIDED
from schemas.outputs import Envelope

KEY = ("project", "event_id", "member_id", "month")


def logged(event: Envelope) -> Iterable[Row]:
    """That the member was active on that day: by this event, and at all."""
    log = LOGGED.decode(event.data)
    day = log.local_date
    month, bit = f"{day[:8]}01", 1 << int(day[8:]) - 1
    for event_id in (log.event_id, ALL_EVENTS):
        yield (event.project, event_id, log.owned_by_id, month, bit, day)


COUNTS = Derived(
    tables=("event_user_counts",),
    # A member's events lie on one partition, and this transaction holds its checkpoint: nobody
    # else changes the member's rows meanwhile. The counts are everybody's, and locked by their key.
    statement="""
        WITH news AS MATERIALIZED (
            SELECT project, event_id, member_id, month,
                coming.days & ~coalesce(known.days, 0) AS days,
                coming.last_day, known.days IS NULL AS month_is_new
            FROM {rows} AS coming
            LEFT JOIN {model} AS known USING (project, event_id, member_id, month)
            WHERE coming.days & ~coalesce(known.days, 0) <> 0
        ), moves AS (
            SELECT project, event_id, before.last_day AS old_day, max(news.last_day) AS new_day
            FROM news
            LEFT JOIN LATERAL (
                SELECT known.last_day
                FROM {model} AS known
                WHERE known.project = news.project AND known.event_id = news.event_id
                    AND known.member_id = news.member_id
                ORDER BY known.month DESC
                LIMIT 1
            ) AS before ON true
            GROUP BY project, event_id, member_id, before.last_day
            HAVING before.last_day IS NULL OR max(news.last_day) > before.last_day
        ), changes (project, event_id, kind, day, users) AS (
            SELECT project, event_id, 'day', month + bit, 1
            FROM news CROSS JOIN generate_series(0, 30) AS bit
            WHERE days & (1 << bit) <> 0
            UNION ALL
            SELECT project, event_id, 'month', month, 1 FROM news WHERE month_is_new
            UNION ALL
            SELECT project, event_id, 'last', new_day, 1 FROM moves
            UNION ALL
            SELECT project, event_id, 'last', old_day, -1 FROM moves WHERE old_day IS NOT NULL
        )
        INSERT INTO {event_user_counts} AS target (project, event_id, kind, day, users)
        SELECT project, event_id, kind, day, sum(users)
        FROM changes
        GROUP BY project, event_id, kind, day
        HAVING sum(users) <> 0
        ORDER BY project, event_id, kind, day
        ON CONFLICT (project, event_id, kind, day)
            DO UPDATE SET users = target.users + excluded.users
    """,
)


def voided(event: Envelope) -> Iterable[Amended]:
    """That an event is no more: the member's day may be none of activity now."""
    log = VOIDED.decode(event.data)
    if log.is_whole:
        for event_id in (log.event_id, ALL_EVENTS):
            key = (event.project, event_id, log.owned_by_id, log.local_date)
            yield Amended(dict(zip(_DAY, key, strict=True)))


_DAY = ("project", "event_id", "member_id", "day")

# Also where the log is ahead, as in a rebuild, the last word on a day is right: that of its last
# event, or of its last void, at which the log has both.
_WITHOUT: LiteralString = """
    WITH voided AS MATERIALIZED (
        SELECT DISTINCT project COLLATE "C", event_id COLLATE "C", member_id, day
        FROM json_to_recordset(%s::json)
            AS amended (project text, event_id text, member_id uuid, day date)
    ), gone AS MATERIALIZED (
        SELECT project, event_id, member_id, date_trunc('month', day)::date AS month,
            bit_or(1 << extract(day FROM day)::integer - 1) AS days
        FROM voided
        WHERE NOT EXISTS (
            SELECT FROM milestream.event_log AS other
            WHERE other.project = voided.project AND other.member_id = voided.member_id
                AND other.occurred_at BETWEEN day - interval '2 days' AND day + interval '2 days'
                AND other.local_date = day AND voided.event_id IN (other.event_id, '')
                AND other.voided_portion < 1
        )
        GROUP BY 1, 2, 3, 4
    ), months AS MATERIALIZED (
        SELECT who.*, known.month, known.days AS old_days, known.last_day AS old_last_day,
            known.days & ~coalesce(gone.days, 0) AS days
        FROM (SELECT DISTINCT project, event_id, member_id FROM gone) AS who
        CROSS JOIN LATERAL (
            SELECT month, days, last_day FROM {model} AS known
            WHERE known.project = who.project AND known.event_id = who.event_id
                AND known.member_id = who.member_id
            LIMIT 10000  -- so that it is looked up by the key, statistics or not
        ) AS known
        LEFT JOIN gone USING (project, event_id, member_id, month)
    ), left_over AS MATERIALIZED (
        SELECT months.*, (
            SELECT max(month + bit) FROM generate_series(0, 30) AS bit WHERE days & (1 << bit) <> 0
        ) AS last_day
        FROM months
    ), removed AS (
        DELETE FROM {model} AS target USING left_over AS known
        WHERE (target.project, target.event_id, target.member_id, target.month)
            = (known.project, known.event_id, known.member_id, known.month) AND known.days = 0
    ), shrunk AS (
        UPDATE {model} AS target SET days = known.days, last_day = known.last_day
        FROM left_over AS known
        WHERE (target.project, target.event_id, target.member_id, target.month)
            = (known.project, known.event_id, known.member_id, known.month)
            AND known.days NOT IN (0, known.old_days)
    ), moves AS (
        SELECT project, event_id, max(old_last_day) AS old_day, max(last_day) AS new_day
        FROM left_over
        GROUP BY project, event_id, member_id
        HAVING max(old_last_day) IS DISTINCT FROM max(last_day)
    ), changes (project, event_id, kind, day, users) AS (
        SELECT project, event_id, 'day', month + bit, -1
        FROM left_over CROSS JOIN generate_series(0, 30) AS bit
        WHERE (old_days & ~days) & (1 << bit) <> 0
        UNION ALL
        SELECT project, event_id, 'month', month, -1 FROM left_over WHERE days = 0
        UNION ALL
        SELECT project, event_id, 'last', new_day, 1 FROM moves WHERE new_day IS NOT NULL
        UNION ALL
        SELECT project, event_id, 'last', old_day, -1 FROM moves
    )
    INSERT INTO {event_user_counts} AS target (project, event_id, kind, day, users)
    SELECT project, event_id, kind, day, sum(users)
    FROM changes
    GROUP BY project, event_id, kind, day
    HAVING sum(users) <> 0
    ORDER BY project, event_id, kind, day
    ON CONFLICT (project, event_id, kind, day)
        DO UPDATE SET users = target.users + excluded.users
"""

EVENT_USER_DAYS = of_events(
    table="event_user_days",
    columns=(*KEY, "days", "last_day"),
    key=KEY,
    combined={"days": "union", "last_day": "greatest"},
    derived=COUNTS,
    amend=_WITHOUT,
    events={EVENT_LOGGED: logged, EVENT_VOIDED: voided},
)
