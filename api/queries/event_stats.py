"""Statistics of events, from what the projection added up. `event_id` is empty for all events
together; days are those of the project's zone, and both ends of a span are included. Days and hours
all of whose events were voided are as if there had been none."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row


@dataclass(frozen=True)
class StatsQuery:
    """A project, an event and a span of days."""

    project: str
    event_id: str
    first: date
    last: date


@dataclass(frozen=True)
class Day:
    """The figures of a day; `users` are unique."""

    day: date
    events: int
    points: Decimal
    condition_met: int
    condition_failed: int
    limit_reached: int
    users: int


@dataclass(frozen=True)
class Share:
    """The figures of an event."""

    event_id: str
    events: int
    points: Decimal


async def first_day(connection: AsyncConnection, project: str, event_id: str) -> date | None:
    """Return the first day with events, None where there is none."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT min(local_date) FROM milestream.event_stats_daily
            WHERE project = %s AND event_id = %s AND events > 0
            """,
            (project, event_id),
        )
        day: date | None = await cursor.fetchone()
        return day


async def days(connection: AsyncConnection, query: StatsQuery) -> list[Day]:
    """Return the days with events, the first one first."""
    async with connection.cursor(row_factory=class_row(Day)) as cursor:
        await cursor.execute(
            """
            SELECT d.local_date AS day, d.events, d.points, d.condition_met, d.condition_failed,
                   d.limit_reached, coalesce(u.users, 0) AS users
            FROM milestream.event_stats_daily d
            LEFT JOIN milestream.event_user_counts u ON u.project = d.project
                AND u.event_id = d.event_id AND u.kind = 'day' AND u.day = d.local_date
            WHERE d.project = %(project)s AND d.event_id = %(event_id)s
                AND d.local_date BETWEEN %(first)s AND %(last)s AND d.events > 0
            ORDER BY d.local_date
            """,
            vars(query),
        )
        return await cursor.fetchall()


async def hours(connection: AsyncConnection, query: StatsQuery) -> list[tuple[date, int, int]]:
    """Return (day, hour, how many events) of one event's hours in which there were any."""
    cursor = await connection.execute(
        """
        SELECT local_date, local_hour, events FROM milestream.event_stats_hourly
        WHERE project = %(project)s AND event_id = %(event_id)s
            AND local_date BETWEEN %(first)s AND %(last)s AND events > 0
        """,
        vars(query),
    )
    return await cursor.fetchall()


async def hours_of_all(
    connection: AsyncConnection, query: StatsQuery
) -> list[tuple[date, int, int]]:
    """Return (day, hour, how many events of any kind) of the hours in which there were any."""
    cursor = await connection.execute(
        """
        SELECT local_date, local_hour, events FROM milestream.event_stats_hourly_all
        WHERE project = %(project)s AND local_date BETWEEN %(first)s AND %(last)s AND events > 0
        """,
        vars(query),
    )
    return await cursor.fetchall()


async def shares(connection: AsyncConnection, query: StatsQuery) -> list[Share]:
    """Return the figures of each event, the most frequent one first."""
    async with connection.cursor(row_factory=class_row(Share)) as cursor:
        await cursor.execute(
            """
            SELECT event_id, sum(events)::bigint AS events, sum(points) AS points
            FROM milestream.event_stats_daily
            WHERE project = %(project)s AND event_id <> ''
                AND local_date BETWEEN %(first)s AND %(last)s AND events > 0
            GROUP BY event_id ORDER BY 2 DESC, event_id
            """,
            vars(query),
        )
        return await cursor.fetchall()


async def users(connection: AsyncConnection, query: StatsQuery) -> dict[str, int]:
    """Return the unique users of each event, and under the empty id those of all together."""
    cursor = await connection.execute(
        "SELECT event_id, users FROM milestream.event_users(%(project)s, %(first)s, %(last)s)",
        vars(query),
    )
    return dict(await cursor.fetchall())


async def users_of_one(connection: AsyncConnection, query: StatsQuery) -> int:
    """Return the unique users of one event."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT users FROM milestream.event_users(%(project)s, %(first)s, %(last)s)
            WHERE event_id = %(event_id)s COLLATE "C"
            """,
            vars(query),
        )
        return int(await cursor.fetchone() or 0)


async def users_of_month(connection: AsyncConnection, query: StatsQuery) -> dict[str, int]:
    """Return the unique users of the calendar month that begins on `first`, by event as `users`."""
    cursor = await connection.execute(
        """
        SELECT event_id, users FROM milestream.event_user_counts
        WHERE project = %(project)s AND kind = 'month' AND day = %(first)s
        """,
        vars(query),
    )
    return dict(await cursor.fetchall())
