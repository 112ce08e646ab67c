"""What is spent, held, pending and lapses: in the tables and views as it was written."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projections.analysts import create_login
from projections.rebuild import rebuild
from projections.runner import Runner
from schemas import outputs
from schemas.definitions import definition_key, encode, parse
from schemas.event_types import (
    POINTS_CAPTURED,
    POINTS_EXPIRED,
    POINTS_HELD,
    POINTS_RELEASED,
    POINTS_SPENT,
)
from schemas.outputs import CloudEvent
from schemas.settings import Settings
from schemas.topics import DEFINITIONS
from tests.integration.projections.driving import (
    Writer,
    caught_up,
    projecting,
    query,
    table,
    writing,
)
from tests.unit.projections.events import (
    AT,
    PROJECT,
    hold_of,
    lot_of,
    member_of,
    member_upserted,
    points_activated,
    points_changed,
    points_moved,
    points_reserved,
)

README = Path(__file__).parents[3] / "projections" / "README.md"
MEMBER, OTHER = member_of(1), member_of(2)
MIDNIGHT = datetime(2026, 12, 31, 23, tzinfo=UTC)
"""The end of the year 2026 in Berlin."""


def lot(name: str, points: int, **changed: Any) -> outputs.Lot:
    """Return a lot that lapses with the year."""
    fields: dict[str, Any] = {"activates_at": None, "expires_at": MIDNIGHT} | changed
    return outputs.Lot(id=lot_of(name, 0).id, points=points, **fields)


def history() -> list[CloudEvent]:
    """Return what happens to members with wallets, and to a neighbour."""
    closed = hold_of(captured=10, status="captured", closed_at=AT)
    waits = {"activates_at": AT + timedelta(days=14), "expires_at": MIDNIGHT + timedelta(days=1)}
    return [
        points_changed(MEMBER, 1, 100, cut=20, cut_by="maxBalance", lots=[lot("a", 100)]),
        points_changed(MEMBER, 2, 40, balance=100, pending=40, lots=[lot("b", 40, **waits)]),
        points_reserved(POINTS_HELD, MEMBER, 3, hold_of(), pending=40),
        points_moved(
            POINTS_CAPTURED, MEMBER, 4, -10, balance=90, pending=40, available=90, hold=closed,
            hold_identifier="hold-1", lots=[lot("a", 90)],
        ),
        points_reserved(
            POINTS_RELEASED, MEMBER, 4, closed, balance=90, held=0, pending=40, why="captured"
        ),
        points_reserved(
            POINTS_HELD, MEMBER, 5, hold_of(hold_identifier="hold/2"), balance=90, pending=40
        ),
        points_changed(
            OTHER, 6, 7, challenge_group="vip", lots=[lot("c", 7, expires_at=None)]
        ),
        points_changed(OTHER, 7, 5, balance=5, total_balance=12, lots=[lot("a", 5)]),
        points_changed(member_of(3), 8, 1, project="other", lots=[lot("d", 1)]),
    ]  # fmt: skip


async def define(writer: Writer, kind: str, fields: dict[str, Any]) -> None:
    """Put a definition in force."""
    definition = parse(kind, fields)
    key = definition_key(PROJECT, kind, definition.id).encode()
    await writer.put(DEFINITIONS, 0, key, encode(definition))


@pytest.fixture
def analyst_url(settings: Settings) -> Iterator[str]:
    """A login that sees the project of the events."""
    login = create_login(settings.database_url, PROJECT)
    yield login.database_url
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(login.user)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login.user)))


FORECAST = (
    "SELECT challenge_group, day, points, members FROM milestream.points_expiry_forecast "
    "WHERE project = 'acme' ORDER BY 1, 2"
)
LIABILITY = (
    "SELECT challenge_group, balance, held, pending, members FROM milestream.points_liability "
    "WHERE project = 'acme' ORDER BY 1"
)


async def test_wallets_are_in_the_tables_and_views_also_after_a_rebuild(
    settings: Settings, analyst_url: str
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await define(writer, "project", {"id": PROJECT, "timezone": "Asia/Tokyo"})
        await define(
            writer,
            "wallet",
            {
                "id": "_default",
                "name": "Points",
                "expiry": {"type": "calendar", "dates": ["12-31"]},
                "earnCap": {"points": 5, "period": "daily"},
                "noticeDays": [30, 7],
                "timezone": "Europe/Berlin",
            },
        )
        await define(writer, "wallet", {"id": "vip", "name": "VIP"})
        for event in history():
            await writer.commit(event)
        await caught_up(settings)
        _check(settings, analyst_url)
        for name in ("points_ledger", "points_balances", "points_holds", "points_lots", "wallets"):
            rows = table(settings, name)
            assert await rebuild(settings, name, lambda _done, _total: None) == len(rows)
            assert table(settings, name) == rows
        _check(settings, analyst_url)

        later = [
            points_activated(MEMBER, 9, 40, balance=130, held=30, lots=[lot("b", 40)]),
            points_moved(
                POINTS_SPENT, MEMBER, 10, -60, balance=70, held=30, lots=[lot("a", 30)]
            ),
            points_moved(
                POINTS_EXPIRED, MEMBER, 11, -40, balance=30, held=30, lots=[lot("b", 0)]
            ),
        ]  # fmt: skip
        await writer.commit(*later)
        await caught_up(settings)
        assert query(settings, FORECAST) == [("_default", date(2026, 12, 31), 35, 2)]
        await writer.commit(member_upserted(1, 12, timezone="Asia/Tokyo"), member_upserted(2, 13))
        await define(writer, "wallet", {"id": "_default", "name": "Points", "timezone": "member"})
        await caught_up(settings)
    assert query(
        settings, "SELECT points FROM milestream.points_lots WHERE user_id = %s", USER
    ) == [(30,)]
    # Each member's own day now; who has no zone has the project's, which is Tokyo's too.
    assert query(settings, FORECAST) == [("_default", date(2027, 1, 1), 35, 2)]
    assert query(settings, LIABILITY) == [("_default", 35, 30, 0, 2), ("vip", 7, 0, 0, 1)]


USER = f"user of {MEMBER}"


def _check(settings: Settings, analyst_url: str) -> None:
    assert query(
        settings,
        "SELECT balance, held, available, pending FROM milestream.points_balances "
        "WHERE project = 'acme' ORDER BY member_id = %s DESC, challenge_group",
        MEMBER,
    ) == [(90, 30, 60, 40), (5, 0, 5, 0), (7, 0, 7, 0)]
    assert query(
        settings,
        "SELECT hold_identifier, status, points, captured, closed_at IS NULL "
        "FROM milestream.points_holds ORDER BY 1",
    ) == [("hold-1", "captured", 30, 10, False), ("hold/2", "open", 30, 0, True)]
    assert query(settings, "SELECT cut, cut_by FROM milestream.points_ledger WHERE cut > 0") == [
        (20, "maxBalance")
    ]
    # One moment, and two days: Berlin's year is over, and the day of one who waits is the next.
    year = [
        ("_default", date(2026, 12, 31), 95, 2),
        ("_default", date(2027, 1, 1), 40, 1),
    ]
    assert query(settings, FORECAST) == year
    owed = [("_default", 95, 30, 40, 2), ("vip", 7, 0, 0, 1)]
    assert query(settings, LIABILITY) == owed
    with psycopg.connect(analyst_url) as connection:
        for statement, rows in ((FORECAST, year), (LIABILITY, owed)):
            assert connection.execute(statement.encode()).fetchall() == rows
            everything = statement.replace("WHERE project = 'acme'", "")
            assert connection.execute(everything.encode()).fetchall() == rows
        [documented] = [text for text in _documented() if "points_liability" in text]
        assert len(connection.execute(documented.encode()).fetchall()) == len(owed)


def _documented() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
