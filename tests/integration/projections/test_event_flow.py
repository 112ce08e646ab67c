"""Events, points, streaks and their definitions: in the tables as they were written."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projections.analysts import create_login
from projections.database import live
from projections.read_models.event_user_days import COUNTS
from projections.runner import Runner
from schemas.definitions import definition_key, encode, parse
from schemas.event_types import STREAK_ADVANCED
from schemas.settings import Settings
from schemas.topics import DEFINITIONS
from tests.integration.projections import recomputation
from tests.integration.projections.driving import caught_up, projecting, query, table, writing
from tests.unit.projections.events import (
    AT,
    PROJECT,
    event_logged,
    member_of,
    points_changed,
    streak_changed,
)

MEMBER = member_of(1)


async def test_what_an_event_led_to_is_in_the_tables(settings: Settings) -> None:
    largest = 10**40
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(
            event_logged(
                MEMBER,
                1,
                event_id="käufe\t\\",
                points=largest,
                metadata='{"n":1.50,"huge":1e999999,"t":"\\\\ \\t \\ud83d\\ude00"}',
            ),
            points_changed(MEMBER, 1, largest, event_id="käufe\t\\"),
            points_changed(MEMBER, 2, -largest, balance=0, total_balance=0),
            streak_changed(STREAK_ADVANCED, MEMBER, 1),
        )
        await caught_up(settings)
    assert query(
        settings, "SELECT event_id, points, metadata, local_hour FROM milestream.event_log"
    ) == [("käufe\t\\", largest, {"n": 1.5, "huge": "1e999999", "t": "\\ \t \U0001f600"}, 10)]
    assert query(settings, "SELECT points, balance FROM milestream.points_ledger ORDER BY 1") == [
        (-largest, 0),
        (largest, largest),
    ]
    assert [row[4] for row in table(settings, "points_balances")] == [Decimal(0)]
    assert [row[3] for row in table(settings, "points_totals")] == [Decimal(0)]
    assert query(settings, "SELECT status, current_length FROM milestream.streak_progress") == [
        ("active", 1)
    ]
    recomputation.check(settings)


DEFINITIONS_IN_FORCE: list[tuple[str, dict[str, Any]]] = [
    (
        "event",
        {
            "eventId": "purchase",
            "title": "Purchase",
            "reward": {"default": Decimal("2.5")},
            "conditions": {"field": "a", "operator": "equals", "value": Decimal("1e400")},
        },
    ),
    ("streak", {"streakId": "daily_login", "eventIds": ['a,"b'], "targetLength": 7}),
    ("leaderboard", {"id": "vips", "groups": ["vip"]}),
]


async def test_definitions_are_in_force_until_they_are_deleted(settings: Settings) -> None:
    tables = ("event_definitions", "streaks", "leaderboards")
    async with writing(settings) as writer, projecting(Runner(settings)):
        for kind, fields in DEFINITIONS_IN_FORCE:
            definition = parse(kind, fields)
            key = definition_key(PROJECT, kind, definition.id).encode()
            await writer.put(DEFINITIONS, 0, key, encode(definition))
            await writer.put(DEFINITIONS, 0, key + b"\x00", None)
        await caught_up(settings)
        assert [len(table(settings, name)) for name in tables] == [1, 1, 1]
        assert query(
            settings,
            "SELECT definition -> 'reward', definition ->> 'limitPeriod' "
            "FROM milestream.event_definitions",
        ) == [({"default": 2.5}, "unlimited")]
        assert query(settings, "SELECT event_ids FROM milestream.streaks") == [(['a,"b'],)]
        for kind, fields in DEFINITIONS_IN_FORCE:
            key = definition_key(PROJECT, kind, parse(kind, fields).id).encode()
            await writer.put(DEFINITIONS, 0, key, None)
        await caught_up(settings)
        assert [table(settings, name) for name in tables] == [[], [], []]


@pytest.fixture
def analyst_url(settings: Settings) -> Iterator[str]:
    """A login that sees the project of the events."""
    login = create_login(settings.database_url, PROJECT)
    yield login.database_url
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(login.user)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login.user)))


async def test_an_analyst_counts_the_users_of_one_project_and_of_no_other(
    settings: Settings, analyst_url: str
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        ahead = datetime(2026, 11, 22, 1, tzinfo=UTC)
        await writer.commit(
            event_logged(MEMBER, 1),
            event_logged(MEMBER, 2, at=ahead),
            event_logged(member_of(2), 3, at=ahead),
            event_logged(member_of(3), 4, project="other"),
        )
        await caught_up(settings)
    with psycopg.connect(analyst_url) as connection:
        statement = "SELECT event_id, users FROM event_users(%s, %s, %s) ORDER BY 1"
        day = AT.date()
        assert connection.execute(statement, [PROJECT, day, day]).fetchall() == [
            ("", 1),
            ("purchase", 1),
        ]
        assert connection.execute(statement, [PROJECT, day, ahead.date()]).fetchall() == [
            ("", 2),
            ("purchase", 2),
        ]
        assert connection.execute(statement, ["other", day, day]).fetchall() == []


def test_a_members_days_are_looked_up_by_their_key_also_without_statistics(
    migrated_url: str,
) -> None:
    rows = sql.Identifier("pg_temp", "rows")
    statement = sql.SQL(COUNTS.statement).format(
        rows=rows, model=live("event_user_days"), event_user_counts=live("event_user_counts")
    )
    filling = sql.SQL(
        "INSERT INTO {} SELECT 'acme', '', gen_random_uuid(), '2026-11-01', 1, "
        "date '2026-11-01' - mod(number, 400) FROM generate_series(1, %s) AS number"
    )
    with psycopg.connect(migrated_url) as connection:
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(rows, live("event_user_days"))
        )
        for target in (rows, live("event_user_days"), live("event_user_days")):
            connection.execute(filling.format(target), [20_000])
        plan = str(connection.execute(sql.SQL("EXPLAIN ") + statement).fetchall())
    assert "event_user_days_pkey" in plan
    assert "event_user_days_last_day" not in plan
