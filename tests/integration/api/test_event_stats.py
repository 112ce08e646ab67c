"""`/stats/event` over a random history that is put into the read models here, against a naive count
of the same history."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from schemas.ids import member_id
from tests.integration.api import published_events as published
from tests.integration.api.published_events import assert_same_shape
from tests.integration.api.serving import Served, let_the_hour_begin

PROJECT = "counted"
ZONE = "Pacific/Auckland"
EVENTS = ("buy", "login", "😀 visit")
MODELS = (
    "event_stats_daily", "event_stats_hourly", "event_stats_hourly_all",
    "event_user_days", "event_user_counts",
)  # fmt: skip


@dataclass(frozen=True)
class Logged:
    """What statistics see of an event."""

    event: str
    user: str
    day: date
    hour: int
    points: int
    met: bool
    full: bool


@dataclass(frozen=True)
class History:
    """What happened, as of a day."""

    today: date
    logged: list[Logged]


def history_of(today: date) -> History:
    """Events of some 400 days, the last of them tomorrow: an event may be dated a day ahead."""
    chance = random.Random(4)
    logged = [
        Logged(
            event=chance.choices(EVENTS, (5, 3, 1))[0],
            user=f"user-{int(chance.expovariate(0.2))}",
            day=today - timedelta(days=min(int(chance.expovariate(0.03)), 400) - 1),
            hour=chance.randrange(24),
            points=chance.randrange(100),
            met=chance.random() < 0.9,
            full=chance.random() < 0.1,
        )
        for _ in range(800)
    ]
    return History(today, logged)


@pytest.fixture(scope="module")
def filled(api_without_worker: Served) -> Iterator[list[History]]:
    """The histories that were put into the read models, the last of which is there."""
    yield []
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        clear(connection)


@pytest.fixture
def history(api_without_worker: Served, filled: list[History]) -> History:
    """The history as of today, which does not end under a test, is in the read models."""
    let_the_hour_begin()
    today = datetime.now(UTC).astimezone(ZoneInfo(ZONE)).date()
    if not filled or filled[-1].today != today:
        filled.append(history_of(today))
        with psycopg.connect(api_without_worker.settings.database_url) as connection:
            clear(connection)
            put(connection, filled[-1].logged)
    return filled[-1]


def clear(connection: "psycopg.Connection[Any]") -> None:
    for model in MODELS:
        connection.execute(f"DELETE FROM milestream.{model} WHERE project = %s", (PROJECT,))


def put(connection: "psycopg.Connection[Any]", logged: list[Logged]) -> None:
    """Add a history up as the projection does it."""
    for event in (*EVENTS, ""):
        put_event(connection, event, [e for e in logged if event in ("", e.event)])
    for (day, hour), count in Counter((e.day, e.hour) for e in logged).items():
        insert(connection, "event_stats_hourly_all", PROJECT, day, hour, count)


def insert(connection: "psycopg.Connection[Any]", model: str, *values: Any) -> None:
    places = ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO milestream.{model} VALUES ({places})", values)


def put_event(connection: "psycopg.Connection[Any]", event: str, logged: list[Logged]) -> None:
    for day in {e.day for e in logged}:
        insert(connection, "event_stats_daily", PROJECT, event, day, *sums(logged, day, day))
        users = len({e.user for e in logged if e.day == day})
        insert(connection, "event_user_counts", PROJECT, event, "day", day, users)
    for month in {e.day.replace(day=1) for e in logged}:
        users = len({e.user for e in logged if e.day.replace(day=1) == month})
        insert(connection, "event_user_counts", PROJECT, event, "month", month, users)
    last = {user: max(e.day for e in logged if e.user == user) for user in {e.user for e in logged}}
    for day, users in Counter(last.values()).items():
        insert(connection, "event_user_counts", PROJECT, event, "last", day, users)
    for user, month in {(e.user, e.day.replace(day=1)) for e in logged}:
        days = {e.day for e in logged if e.user == user and e.day.replace(day=1) == month}
        bits = sum(1 << day.day - 1 for day in days)
        member = member_id(PROJECT, user)
        insert(connection, "event_user_days", PROJECT, event, member, month, bits, max(days))
    if event:
        for day, hour in {(e.day, e.hour) for e in logged}:
            then = [e for e in logged if e.hour == hour]
            values = (PROJECT, event, day, hour, *sums(then, day, day))
            insert(connection, "event_stats_hourly", *values)


def sums(logged: list[Logged], first: date, last: date) -> tuple[int, int, int, int, int]:
    """Return (events, points, conditions met, failed, limit reached) of some days."""
    found = [e for e in logged if first <= e.day <= last]
    met = sum(e.met for e in found)
    return (len(found), sum(e.points for e in found), met, len(found) - met,
            sum(e.full for e in found))  # fmt: skip


def naively(
    logged: list[Logged], event: str | None, first: date, last: date, *, hours: bool
) -> dict[str, Any]:
    """Return what the answer's `data` should be, counted from the history itself."""
    found = [e for e in logged if first <= e.day <= last and event in (None, e.event)]
    count = "events" if event is None else "count"
    daily = {}
    for day in sorted({e.day for e in found}):
        then = [e for e in found if e.day == day]
        spread = [sum(e.hour == hour for e in then) for hour in range(24)]
        daily[day.isoformat()] = {
            count: len(then),
            "users": len({e.user for e in then}),
            "points": sum(e.points for e in then),
            "hourlyDistribution": spread if hours else [],
        }
    total, points, met, failed, full = sums(found, first, last)
    users = len({e.user for e in found})
    if event is not None:
        return {
            "totalCount": total,
            "uniqueUsers": users,
            "pointsAwarded": points,
            "conditionMet": met,
            "conditionFailed": failed,
            "limitReached": full,
            "dailyData": daily,
        }
    breakdown = {}
    for name, number in sorted(
        Counter(e.event for e in found).items(), key=lambda c: (-c[1], c[0])
    ):
        own = [e for e in found if e.event == name]
        breakdown[name] = {
            "count": number,
            "users": len({e.user for e in own}),
            "points": sum(e.points for e in own),
        }
    return {
        "totalEvents": total,
        "uniqueUsers": users,
        "totalPoints": points,
        "eventBreakdown": breakdown,
        "topEvents": list(breakdown),
        "dailyData": daily,
        "_metadata": {
            "uniqueUsersCalculationMethod": "daily_exact" if hours else "monthly_exact",
            "uniqueUsersNote": None,
        },
    }


async def asked(api_without_worker: Served, **parameters: str | None) -> dict[str, Any]:
    """Ask as an end user of the project, whose days are Auckland's."""
    async with await api_without_worker.client(project=PROJECT) as admin:
        path = f"/definitions/project/{PROJECT}"
        assert (await admin.put(path, json={"timezone": ZONE})).status_code in (200, 201)
    given = {name: value for name, value in parameters.items() if value is not None}
    async with await api_without_worker.end_user("anybody", PROJECT) as user:
        answer = await user.get("/v2/stats/event", params=given)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("event", [None, *EVENTS])
@pytest.mark.parametrize("period", ["1d", "7d", "30d", "90d", "current_month", "ytd", "all"])
async def test_a_period(
    api_without_worker: Served, history: History, event: str | None, period: str
) -> None:
    today = history.today
    first = {
        "1d": today,
        "7d": today - timedelta(days=6),
        "30d": today - timedelta(days=29),
        "90d": today - timedelta(days=89),
        "current_month": today.replace(day=1),
        "ytd": today.replace(month=1, day=1),
        "all": min(e.day for e in history.logged if event in (None, e.event)),
    }[period]
    assert await asked(api_without_worker, period=period, eventId=event) == {
        "period": period,
        "eventId": event,
        "startDate": first.isoformat(),
        "endDate": today.isoformat(),
        "data": naively(history.logged, event, first, today, hours=True),
    }


@pytest.mark.parametrize("event", [None, *EVENTS])
async def test_a_calendar_month(
    api_without_worker: Served, history: History, event: str | None
) -> None:
    last = history.today.replace(day=1) - timedelta(days=1)
    first = last.replace(day=1)
    month = first.isoformat()[:7]
    assert await asked(api_without_worker, timeframe="month", month=month, eventId=event) == {
        "period": month,
        "eventId": event,
        "startDate": first.isoformat(),
        "endDate": last.isoformat(),
        "data": naively(history.logged, event, first, last, hours=False),
    }


@pytest.mark.usefixtures("history")
async def test_the_defaults_and_the_published_shapes(api_without_worker: Served) -> None:
    everything = await asked(api_without_worker)
    assert everything["period"] == "7d"
    assert_same_shape(everything, published.GLOBAL_STATS)
    assert_same_shape(
        await asked(api_without_worker, eventId="buy", period="30d"), published.EVENT_STATS
    )
    assert await asked(api_without_worker, timeframe="month", period="30d") == await asked(
        api_without_worker, period="30d"
    )


async def test_an_event_that_never_happened_has_zeros(
    api_without_worker: Served, history: History
) -> None:
    today = history.today
    for period, days in (("7d", 6), ("all", 0)):
        assert await asked(api_without_worker, eventId="never", period=period) == {
            "period": period,
            "eventId": "never",
            "startDate": (today - timedelta(days=days)).isoformat(),
            "endDate": today.isoformat(),
            "data": naively(history.logged, "never", today, today, hours=True),
        }
    future = await asked(api_without_worker, timeframe="month", month="2999-02")
    assert (future["startDate"], future["endDate"]) == ("2999-02-01", "2999-02-28")
    assert future["data"]["totalEvents"] == 0


@pytest.mark.usefixtures("history")
async def test_another_project_sees_nothing(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project="elsewhere") as admin:
        answer = (await admin.get("/stats/event", params={"period": "all"})).json()
    assert answer["data"]["totalEvents"] == 0
    assert answer["data"]["eventBreakdown"] == {}
