"""The read models of what is spent, held, pending and lapses: events, and their rows."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from projections.batch import TableChanges
from projections.projection import Projection, Row
from projections.read_models.definitions import PROJECTS, WALLETS
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS
from projections.read_models.points import (
    LEADERBOARD_POINTS,
    POINTS_BALANCES,
    POINTS_HOLDS,
    POINTS_LEDGER,
    POINTS_LOTS,
    POINTS_TOTALS,
)
from schemas import outputs
from schemas.definition_records import DefinitionChange
from schemas.definitions import parse
from schemas.event_types import (
    POINTS_ADJUSTED,
    POINTS_CAPTURED,
    POINTS_EXPIRED,
    POINTS_HELD,
    POINTS_RELEASED,
    POINTS_SPENT,
)
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    PROJECT,
    hold_of,
    lot_of,
    member_of,
    points_activated,
    points_changed,
    points_moved,
    points_reserved,
)

MEMBER = member_of(1)
USER = f"user of {MEMBER}"
ISO = "2026-11-21T10:30:00.250000Z"
LOT, OTHER_LOT = lot_of("a", 1).id, lot_of("b", 1).id


def _changes(projection: Projection, events: Iterable[CloudEvent]) -> TableChanges:
    changes = TableChanges(projection)
    for event in events:
        for change in projection.rows(outputs.decode(outputs.encode(event))):
            changes.add(change)
    return changes


def _after(projection: Projection, *events: CloudEvent) -> list[dict[str, Any]]:
    return [_named(projection, row) for row in _changes(projection, events).rows()]


def _named(projection: Projection, row: Row) -> dict[str, Any]:
    return dict(zip(projection.columns, row, strict=True))


def test_what_takes_points_is_an_entry_of_the_ledger_with_what_was_said_of_it() -> None:
    entries = _after(
        POINTS_LEDGER,
        points_moved(POINTS_SPENT, MEMBER, 1, -30, reason="a mug"),
        points_moved(
            POINTS_CAPTURED, MEMBER, 2, -5, hold_identifier="hold-1", hold=hold_of(captured=5)
        ),
        points_moved(POINTS_ADJUSTED, MEMBER, 3, 7, reason="sorry", actor="joe@shop"),
        points_moved(POINTS_EXPIRED, MEMBER, 4, -9, unique_identifier=None),
        points_reserved(POINTS_HELD, MEMBER, 5, hold_of()),
        points_activated(MEMBER, 6, 10),
    )
    said = ("operation", "points", "reason", "actor", "unique_identifier", "hold_identifier")
    assert [tuple(entry[name] for name in said) for entry in entries] == [
        ("spend", -30, "a mug", None, "spend-1", None),
        ("capture", -5, None, None, "capture-2", "hold-1"),
        ("adjust", 7, "sorry", "joe@shop", "adjust-3", None),
        ("expire", -9, None, None, None, None),
    ]
    assert {entry["cut"] for entry in entries} == {0}


def test_a_grant_that_was_cut_says_by_how_much_and_by_what() -> None:
    (entry,) = _after(POINTS_LEDGER, points_changed(MEMBER, 1, 40, cut=60, cut_by="earnCap"))
    assert (entry["points"], entry["cut"], entry["cut_by"]) == (40, 60, "earnCap")


def test_a_balance_is_that_of_the_last_event_whatever_it_was() -> None:
    happened = [
        points_changed(MEMBER, 1, 100, pending=20),
        points_reserved(POINTS_HELD, MEMBER, 2, hold_of(), pending=20),
        points_moved(POINTS_SPENT, MEMBER, 3, -50, balance=50, held=30, pending=20),
        points_activated(MEMBER, 4, 20, balance=70, held=30, total_balance=75),
    ]

    def moved(*events: CloudEvent) -> tuple[Any, ...]:
        (row,) = _after(POINTS_BALANCES, *events)
        return tuple(row[name] for name in ("balance", "held", "pending", "sequence"))

    assert [moved(*happened[: n + 1]) for n in range(4)] == [
        (100, 0, 20, 1),
        (100, 30, 20, 2),
        (50, 30, 20, 3),
        (70, 30, 0, 4),
    ]
    (total,) = _after(POINTS_TOTALS, *happened)
    assert (total["balance"], total["updated_at"]) == (75, ISO)


def test_a_hold_is_as_its_last_event_left_it() -> None:
    closed = {"captured": 10, "status": "captured", "closed_at": AT + timedelta(hours=1)}
    held = points_reserved(POINTS_HELD, MEMBER, 1, hold_of())
    (row,) = _after(POINTS_HOLDS, held)
    assert row == {
        "project": PROJECT,
        "member_id": MEMBER,
        "hold_identifier": "hold-1",
        "user_id": USER,
        "challenge_group": "_default",
        "points": 30,
        "captured": 0,
        "status": "open",
        "until": "2026-11-28T10:30:00.250000Z",
        "opened_at": ISO,
        "closed_at": None,
        "sequence": 1,
    }
    captured = points_moved(POINTS_CAPTURED, MEMBER, 2, -10, hold=hold_of(**closed))
    rest = points_reserved(POINTS_RELEASED, MEMBER, 2, hold_of(**closed), why="captured")
    (row,) = _after(POINTS_HOLDS, held, captured, rest)
    assert (row["status"], row["captured"], row["points"]) == ("captured", 10, 30)
    assert row["closed_at"] == "2026-11-21T11:30:00.250000Z"


def test_a_lot_has_what_is_left_of_it_and_goes_when_it_is_empty() -> None:
    granted = points_changed(MEMBER, 1, 30, lots=[lot_of("a", 30, waits=True)], pending=30)
    active = points_activated(MEMBER, 2, 30, lots=[lot_of("a", 30)])
    spent = points_moved(
        POINTS_SPENT, MEMBER, 3, -10, lots=[lot_of("a", 20), lot_of("b", 5, lapses=False)]
    )
    lapsed = points_moved(POINTS_EXPIRED, MEMBER, 4, -20, lots=[lot_of("a", 0)])
    shown = ("id", "points", "activates_at", "expires_at", "sequence")

    def left(*events: CloudEvent) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in shown) for row in _after(POINTS_LOTS, *events)]

    assert left(granted) == [(LOT, 30, ISO, ISO, 1)]
    assert left(granted, active) == [(LOT, 30, None, ISO, 2)]
    assert left(granted, active, spent) == [
        (LOT, 20, None, ISO, 3),
        (OTHER_LOT, 5, None, None, 3),
    ]
    assert left(granted, active, spent, lapsed) == [(OTHER_LOT, 5, None, None, 3)]
    gone = _changes(POINTS_LOTS, (granted, lapsed)).gone
    assert gone == {(PROJECT, MEMBER, "_default", LOT)}


def test_a_group_without_a_wallet_has_no_lots() -> None:
    quoting = points_moved(POINTS_SPENT, MEMBER, 2, -1, reason='"lots":')
    assert _after(POINTS_LOTS, points_changed(MEMBER, 1, 3), quoting) == []


def test_boards_count_grants_and_nothing_that_is_given_or_taken_by_hand_or_time() -> None:
    others = [
        points_moved(POINTS_ADJUSTED, MEMBER, 2, 500),
        points_moved(POINTS_SPENT, MEMBER, 3, -40),
        points_moved(POINTS_EXPIRED, MEMBER, 4, -40),
        points_reserved(POINTS_RELEASED, MEMBER, 5, hold_of(status="released")),
        points_activated(MEMBER, 6, 10),
    ]
    for board in (LEADERBOARD_POINTS, LEADERBOARD_DAYS):
        (row,) = _after(board, points_changed(MEMBER, 1, 40), *others)
        assert row["points"] == 40


def _row_of(projection: Projection, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    definition = parse(kind, fields)
    change = DefinitionChange(PROJECT, kind, definition.id, definition, 6, AT)
    (row,) = projection.rows(change)
    assert isinstance(row, tuple)
    return _named(projection, row)


def test_a_wallet_and_a_projects_settings_are_rows() -> None:
    row = _row_of(
        WALLETS,
        "wallet",
        {
            "id": "vip",
            "name": "Points",
            "expiry": {"type": "calendar", "dates": ["12-31"]},
            "pendingFor": "P14D",
            "earnCap": {"points": 500, "period": "daily"},
            "noticeDays": [30, 7],
        },
    )
    assert (row["id"], row["expiry"], row["earn_cap"], row["notice_days"]) == (
        "vip",
        '{"type":"calendar","after":null,"dates":["12-31"]}',
        '{"points":500,"period":"daily"}',
        ["30", "7"],
    )
    assert (row["pending_for"], row["max_balance"], row["timezone"]) == ("P14D", None, None)
    row = _row_of(PROJECTS, "project", {"id": PROJECT, "memberSpend": True})
    assert (row["id"], row["timezone"], row["member_spend"]) == (PROJECT, "UTC", True)
