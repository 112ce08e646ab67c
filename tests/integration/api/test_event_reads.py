"""Leaderboards, ranks, points and streaks over rows that are put into the read models here."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projections.database import live
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS, SCORES
from schemas.ids import derive, member_id
from tests.integration.api.serving import Served, let_the_hour_begin

PROJECT = "ranked"
TABLES = (
    "members", "leaderboard_points", *LEADERBOARD_DAYS.tables, "points_balances", "points_totals",
    "streak_progress",
)  # fmt: skip
MEMBERS = {
    "ann": ["red"], "bob": [], "cid": ["blue"], "dan": ["red", "blue"], "eve": [], "fay": [],
    "gone": [],
}  # fmt: skip
POINTS = (
    # user, days ago, user group, event, points
    ("ann", 0, "default", "buy", 10), ("ann", 40, "default", "buy", 500),
    ("bob", 6, "red", "buy", 10), ("bob", 6, "default", "", 5),
    ("cid", 7, "default", "login", 15), ("dan", 1, "default", "login", 15),
    ("eve", 2, "default", "", 3), ("fay", 364, "default", "buy", 1), ("gone", 0, "red", "buy", 999),
)  # fmt: skip


@pytest.fixture(autouse=True)
def rows(api_without_worker: Served) -> Iterator[None]:
    """The rows as they are today, which does not end under a test."""
    let_the_hour_begin()
    now = datetime.now(UTC)
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        for user, groups in MEMBERS.items():
            status = "deleted" if user == "gone" else "live"
            insert(connection, "members", member_id=member_id(PROJECT, user), external_id=user,
                   first_name=user.capitalize(), groups=groups, status=status, created_at=now,
                   updated_at=now, version=1, sequence=0)  # fmt: skip
        for user, ago, group, event, points in POINTS:
            insert(connection, "leaderboard_points", day=now.date() - timedelta(days=ago),
                   member_id=member_id(PROJECT, user), user_group_id=group, event_id=event,
                   user_id=user, points=points)  # fmt: skip
        put_scores(connection)
        own = {"member_id": member_id(PROJECT, "ann"), "user_id": "ann", "updated_at": now}
        insert(connection, "points_totals", **own, balance=10**30, sequence=0)
        for group, balance in (("_default", 7), ("shop", 0)):
            insert(connection, "points_balances", **own, challenge_group=group, balance=balance,
                   sequence=0)  # fmt: skip
        put_streaks(connection, now)
    yield
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM milestream.{table} WHERE project = %s", (PROJECT,))


def insert(connection: "psycopg.Connection[Any]", table: str, **values: Any) -> None:
    values = {"project": PROJECT, **values}
    columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO milestream.{table} ({columns}) VALUES ({places})"
    connection.execute(statement, list(values.values()))


def put_scores(connection: "psycopg.Connection[Any]") -> None:
    """Do what the projection does with these points and members."""
    rows, model = sql.Identifier("pg_temp", "rows"), live(LEADERBOARD_DAYS.table)
    connection.execute(sql.SQL("CREATE TEMP TABLE rows (LIKE {}) ON COMMIT DROP").format(model))
    connection.execute(
        "INSERT INTO rows "
        "SELECT project, member_id, day, user_id, sum(points), 0 "
        "FROM milestream.leaderboard_points WHERE project = %s GROUP BY 1, 2, 3, 4 UNION ALL "
        "SELECT project, member_id, '0001-01-01', external_id, 0, (status = 'deleted')::integer "
        "FROM milestream.members WHERE project = %s",
        (PROJECT, PROJECT),
    )
    tables = {table: live(table) for table in SCORES.tables}
    connection.execute(sql.SQL(SCORES.statement).format(rows=rows, model=model, **tables))
    connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM rows").format(model))


def put_streaks(connection: "psycopg.Connection[Any]", now: datetime) -> None:
    hour = timedelta(hours=1)
    for user, length, longest, status, completed, until in (
        ("ann", 5, 9, "completed", True, now + hour),
        ("bob", 8, 8, "active", True, now + 20 * hour),
        ("cid", 6, 6, "active", False, now + hour),
        ("dan", 6, 6, "active", False, now + hour),
        ("eve", 40, 45, "active", True, now - hour),  # no tick has come since it ended
        ("fay", 0, 3, "broken", False, None),
    ):
        insert(connection, "streak_progress", streak_id="daily", id=derive(user),
               member_id=member_id(PROJECT, user), user_id=user, period="daily", timezone="UTC",
               period_key="2026-11-21", current_length=length, run_length=length,
               longest_length=longest, target_length=7, freezes_left=1, status=status,
               completed=completed, started_period_key="2026-11-21", active_until=until,
               occurred_at=now, created_at=now, updated_at=now, definition_version=0,
               sequence=0)  # fmt: skip


async def got(api_without_worker: Served, path: str, **parameters: str) -> Any:
    async with await api_without_worker.client(project=PROJECT) as admin:
        answer = await admin.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def board(api_without_worker: Served, **parameters: str) -> list[tuple[str, int, int]]:
    """Return (user, points, rank) of a leaderboard."""
    users = (await got(api_without_worker, "/leaderboard", **parameters))["users"]
    return [(user["userId"], user["points"], user["rank"]) for user in users]


async def test_equal_points_share_a_rank_and_the_deleted_are_left_out(
    api_without_worker: Served,
) -> None:
    week = await board(api_without_worker, timeframe="7d")
    assert week == [("bob", 15, 1), ("dan", 15, 1), ("ann", 10, 3), ("eve", 3, 4)]
    month = await board(api_without_worker, timeframe="30d")
    assert month[:4] == [("bob", 15, 1), ("cid", 15, 1), ("dan", 15, 1), ("ann", 10, 4)]
    year = await board(api_without_worker, timeframe="365d")
    assert (year[0], year[-1]) == (("ann", 510, 1), ("fay", 1, 6))
    assert await board(api_without_worker, timeframe="365d", limit="1") == [("ann", 510, 1)]


async def test_a_month_is_the_calendars(api_without_worker: Served) -> None:
    months: dict[str, dict[str, int]] = {}
    today = datetime.now(UTC).date()
    for user, ago, _, _, points in POINTS:
        if user != "gone":
            totals = months.setdefault((today - timedelta(days=ago)).isoformat()[:7], {})
            totals[user] = totals.get(user, 0) + points
    for month, totals in months.items():
        assert {
            user: points for user, points, _ in await board(api_without_worker, month=month)
        } == totals
    assert await board(api_without_worker) == await board(
        api_without_worker, month=today.isoformat()[:7]
    )
    assert await board(api_without_worker, month="1999-01") == []


async def test_a_group_has_what_was_granted_under_it_and_all_of_its_members(
    api_without_worker: Served,
) -> None:
    assert await board(api_without_worker, timeframe="30d", groupId="red") == [
        ("dan", 15, 1), ("ann", 10, 2), ("bob", 10, 2),
    ]  # fmt: skip
    assert await board(api_without_worker, timeframe="30d", groupId="nobody's") == []


async def test_a_definition_says_which_points_count(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project=PROJECT) as admin:
        for id_, fields in {
            "buyers": {"eventIds": ["buy"]},
            "blue-logins": {"eventIds": ["login"], "groups": ["blue"]},
            "everything": {},
        }.items():
            made = await admin.put(f"/definitions/leaderboard/{id_}", json=fields)
            assert made.status_code == 201, made.text
    buyers = await board(api_without_worker, timeframe="365d", groupId="buyers")
    assert buyers == [("ann", 510, 1), ("bob", 10, 2), ("fay", 1, 3)]
    blue = await board(api_without_worker, timeframe="30d", groupId="blue-logins")
    assert blue == [("cid", 15, 1), ("dan", 15, 1)]
    everything = await board(api_without_worker, timeframe="7d", groupId="everything")
    assert everything == await board(api_without_worker, timeframe="7d")
    answer = await got(
        api_without_worker, "/leaderboard", timeframe="30d", groupId="blue-logins", limit="1"
    )
    place = {"userId": "cid", "username": "Cid", "points": 15, "rank": 1}
    assert answer == {"groupId": "blue-logins", "users": [place]}


async def test_a_rank_has_its_neighbours(api_without_worker: Served) -> None:
    rank = await got(api_without_worker, "/v1/user/ann/rank")
    assert (rank["userId"], rank["groupId"]) == ("ann", None)
    assert (rank["points7d"], rank["rank7d"]) == (10, 3)
    assert (rank["points30d"], rank["rank30d"]) == (10, 4)
    assert (rank["points365d"], rank["rank365d"]) == (510, 1)
    beside = rank["neighbours30d"]
    assert [user["userId"] for user in beside["usersBefore"]] == ["cid", "dan"]
    assert [user["userId"] for user in beside["usersAfter"]] == ["eve"]
    assert {name: rank[name] for name in beside} == beside
    assert rank["neighbours365d"]["usersBefore"] == []
    last = await got(api_without_worker, "/user/fay/rank")
    assert (last["points7d"], last["rank7d"]) == (0, None)
    assert last["neighbours7d"] == {"usersBefore": [], "usersAfter": []}
    assert last["rank365d"] == 6


async def test_points_are_whole_whatever_their_size(api_without_worker: Served) -> None:
    points = await got(api_without_worker, "/user/ann/points")
    assert points == {
        "userId": "ann",
        "points": 10**30,
        "held": 0,
        "available": 10**30,
        "groups": {"_default": 7, "shop": 0},
        "wallets": {"_default": wallet(7)},
    }
    assert await got(api_without_worker, "/user/bob/points") == {
        "userId": "bob",
        "points": 0,
        "held": 0,
        "available": 0,
        "groups": {},
        "wallets": {},
    }


def wallet(balance: int) -> dict[str, Any]:
    """Return a wallet in which nothing is held, waits or lapses."""
    return {"balance": balance, "held": 0, "available": balance, "pending": 0, "expiring": []}


async def test_a_deleted_user_is_not_found(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project=PROJECT) as admin:
        assert (await admin.get("/user/gone/points")).status_code == 404


async def test_a_streak_is_alive_by_the_clock(api_without_worker: Served) -> None:
    assert await got(api_without_worker, "/analytics/streak", streakId="daily") == {
        "streakId": "daily",
        "totalParticipants": 6,
        "activeParticipants": 4,
        "averageStreakLength": 6.3,  # 6.25: halves go up
        "longestUserStreak": 45,
        "completionRate": 0.5,
    }
    ended = (await got(api_without_worker, "/user/eve/streak"))["streaks"]
    assert ended == [
        {"streakId": "daily", "currentLength": 0, "longestLength": 45, "status": "broken",
         "freezesLeft": 1},
    ]  # fmt: skip
    own = (await got(api_without_worker, "/user/ann/streak"))["streaks"][0]
    assert (own["status"], own["currentLength"]) == ("completed", 5)


async def test_nobody_took_part(api_without_worker: Served) -> None:
    assert await got(api_without_worker, "/analytics/streak", streakId="weekly") is None
    async with await api_without_worker.client(project="another") as admin:
        answer = await admin.get("/analytics/streak", params={"streakId": "daily"})
    assert answer.content == b"null"
