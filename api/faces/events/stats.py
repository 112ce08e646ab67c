"""`/stats/event`: what all events, or one, came to in some days of the project's time zone."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from fastapi import Request, Response
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.faces.events import periods
from api.faces.events.parameters import text
from api.faces.events.periods import Span
from api.faces.events.shapes import (
    EventDay,
    EventShare,
    EventStats,
    EventStatsAnswer,
    GlobalDay,
    GlobalStats,
    GlobalStatsAnswer,
    StatsMetadata,
)
from api.http.responses import json_response
from api.queries import event_stats as queries
from api.queries.event_stats import Day, Share, StatsQuery
from api.queries.operations import snapshot

TOP_EVENTS = 10
EXACT_BY_DAY, EXACT_BY_MONTH = "daily_exact", "monthly_exact"
"""How unique users were counted: from the days they were active on, or a month's own count."""

_FOR_ALL = ("event_stats_daily", "event_stats_hourly_all", "event_user_days")
_FOR_ONE = ("event_stats_daily", "event_stats_hourly", "event_user_days")
"""The read models that the response is made from. `event_user_counts` is kept with its days."""

_ALL = ""
"""The event id under which all events together are counted."""

Hours = Iterable[tuple[date, int, int]]


async def events(request: Request, caller: Caller) -> Response:
    """Answer the statistics that the parameters ask for."""
    event_id = text(request, "eventId")
    held = resources.of(request)
    definitions, _ = await asyncio.gather(
        held.definitions.current(),
        held.barrier.wait(_FOR_ALL if event_id is None else _FOR_ONE),
    )
    present = await held.clocks.present(definitions, caller.project)
    day = periods.today(definitions.timezone(caller.project), present)
    span = periods.of_stats(request.query_params, day)
    async with held.reads.connection() as connection, snapshot(connection):
        if span.start is None:
            first = await queries.first_day(connection, caller.project, event_id or _ALL)
            span = replace(span, start=min(first or span.end, span.end))
        assert span.start is not None
        query = StatsQuery(caller.project, event_id or _ALL, span.start, span.end)
        if event_id is None:
            return json_response(await _of_all(connection, query, span))
        return json_response(await _of_one(connection, query, span, event_id))


async def _of_all(connection: AsyncConnection, query: StatsQuery, span: Span) -> GlobalStatsAnswer:
    days = await queries.days(connection, query)
    shares = await queries.shares(connection, query)
    if span.is_month:
        users, hours = await queries.users_of_month(connection, query), None
    else:
        users = await queries.users(connection, query)
        hours = await queries.hours_of_all(connection, query)
    return GlobalStatsAnswer(
        period=span.name,
        event_id=None,
        start_date=query.first.isoformat(),
        end_date=query.last.isoformat(),
        data=global_stats(days, shares, users, hours),
    )


async def _of_one(
    connection: AsyncConnection, query: StatsQuery, span: Span, event_id: str
) -> EventStatsAnswer:
    days = await queries.days(connection, query)
    if span.is_month:
        users = (await queries.users_of_month(connection, query)).get(event_id, 0)
        hours = None
    else:
        users = await queries.users_of_one(connection, query)
        hours = await queries.hours(connection, query)
    return EventStatsAnswer(
        period=span.name,
        event_id=event_id,
        start_date=query.first.isoformat(),
        end_date=query.last.isoformat(),
        data=one_events_stats(days, users, hours),
    )


def global_stats(
    days: Sequence[Day], shares: Sequence[Share], users: Mapping[str, int], hours: Hours | None
) -> GlobalStats:
    """Return the figures of all events; `hours` is None where monthly aggregates answer."""
    counts = distributions(hours)
    return GlobalStats(
        total_events=sum(day.events for day in days),
        unique_users=users.get(_ALL, 0),
        total_points=sum(int(day.points) for day in days),
        event_breakdown={
            share.event_id: EventShare(
                count=share.events, users=users.get(share.event_id, 0), points=int(share.points)
            )
            for share in shares
        },
        top_events=[share.event_id for share in shares[:TOP_EVENTS]],
        daily_data={
            day.day.isoformat(): GlobalDay(
                events=day.events,
                users=day.users,
                points=int(day.points),
                hourly_distribution=counts.get(day.day, []),
            )
            for day in days
        },
        metadata=StatsMetadata(
            unique_users_calculation_method=EXACT_BY_MONTH if hours is None else EXACT_BY_DAY
        ),
    )


def one_events_stats(days: Sequence[Day], users: int, hours: Hours | None) -> EventStats:
    """Return the figures of one event; see `global_stats`."""
    counts = distributions(hours)
    return EventStats(
        total_count=sum(day.events for day in days),
        unique_users=users,
        points_awarded=sum(int(day.points) for day in days),
        condition_met=sum(day.condition_met for day in days),
        condition_failed=sum(day.condition_failed for day in days),
        limit_reached=sum(day.limit_reached for day in days),
        daily_data={
            day.day.isoformat(): EventDay(
                count=day.events,
                users=day.users,
                points=int(day.points),
                hourly_distribution=counts.get(day.day, []),
            )
            for day in days
        },
    )


def distributions(hours: Hours | None) -> dict[date, list[int]]:
    """Return the counts of a day's 24 hours, by day."""
    counts: dict[date, list[int]] = {}
    for day, hour, events_then in hours or ():
        counts.setdefault(day, [0] * 24)[hour] += events_then
    return counts
