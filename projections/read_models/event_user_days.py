"""``event_user_days``: on which days each member was active; and ``event_user_counts`` from it.

The counts say how many members there were on each day and in each month, and on how many members'
last day it was. A period that ends today has the members whose last day lies in it, so that its
exact unique users are a sum over a row a day. A late event is a new day, and no new last day.
"""

from collections.abc import Iterable

from projections.projection import Derived, Row, of_events
from projections.read_models.event_stats import ALL_EVENTS, LOGGED
from schemas.event_types import EVENT_LOGGED
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

EVENT_USER_DAYS = of_events(
    table="event_user_days",
    columns=(*KEY, "days", "last_day"),
    key=KEY,
    combined={"days": "union", "last_day": "greatest"},
    derived=COUNTS,
    events={EVENT_LOGGED: logged},
)
