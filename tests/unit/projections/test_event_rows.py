"""The read models of events, points and streaks: given these events, then these rows."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from projections.batch import TableChanges
from projections.projection import Amended, Deleted, Projection, Row
from projections.read_models.definitions import EVENT_DEFINITIONS, LEADERBOARDS, STREAKS
from projections.read_models.event_stats import (
    EVENT_STATS_DAILY,
    EVENT_STATS_HOURLY,
    EVENT_STATS_HOURLY_ALL,
)
from projections.read_models.event_user_days import EVENT_USER_DAYS
from projections.read_models.events import EVENT_LOG
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS
from projections.read_models.points import (
    LEADERBOARD_POINTS,
    POINTS_BALANCES,
    POINTS_HISTORY,
    POINTS_LEDGER,
    POINTS_TOTALS,
)
from projections.read_models.streaks import STREAK_PROGRESS
from schemas import outputs
from schemas.definition_records import DefinitionChange
from schemas.definitions import decode_numbers, parse, wire_fields
from schemas.event_types import (
    POINTS_HELD,
    POINTS_SPENT,
    STREAK_ADVANCED,
    STREAK_BROKEN,
    STREAK_COMPLETED,
)
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    PROJECT,
    event_logged,
    hold_of,
    lot_of,
    member_of,
    member_upserted,
    points_activated,
    points_changed,
    points_moved,
    points_reserved,
    streak_changed,
)

MEMBER, OTHER = member_of(1), member_of(2)
ISO = "2026-11-21T10:30:00.250000Z"


def _after(projection: Projection, events: Iterable[CloudEvent]) -> list[Row]:
    changes = TableChanges(projection)
    for event in events:
        for change in projection.rows(outputs.decode(outputs.encode(event))):
            changes.add(change)
    return list(changes.rows())


def _only(projection: Projection, *events: CloudEvent) -> dict[str, Any]:
    (row,) = _after(projection, events)
    return dict(zip(projection.columns, row, strict=True))


def test_an_event_is_a_row_of_the_log() -> None:
    event = event_logged(
        MEMBER,
        7,
        metadata='{"amount": 49.990, "tags": ["a\\tb"]}',
        idempotency_key="k",
        ip="203.0.113.9",
        condition_reached=False,
        local_date="2026-11-22",
        local_hour=1,
    )
    assert _only(EVENT_LOG, event) == {
        "project": PROJECT,
        "id": event.data.id,
        "event_id": "purchase",
        "member_id": MEMBER,
        "user_id": f"user of {MEMBER}",
        "occurred_at": ISO,
        "created_at": ISO,
        "points": 5,
        "type": "TRANSACTION",
        "title": "A title",
        "limit_reached": False,
        "condition_reached": False,
        "user_group_id": "default",
        "challenge_group": "_default",
        "metadata": '{"amount": 49.990, "tags": ["a\\tb"]}',
        "idempotency_key": "k",
        "ip": "203.0.113.9",
        "local_date": "2026-11-22",
        "local_hour": 1,
        "definition_version": 3,
        "sequence": 7,
    }


DAY = "2026-11-21"
MIXED = (
    event_logged(MEMBER, 1, points=10**30),
    event_logged(MEMBER, 2, points=1),
    event_logged(OTHER, 3, points=0, condition_reached=False, limit_reached=True),
    event_logged(OTHER, 4, event_id="login", points=2),
    event_logged(OTHER, 5, event_id="login", points=2, at=AT + timedelta(hours=1)),
)


def test_a_batch_adds_up_the_hours_of_each_event() -> None:
    assert _after(EVENT_STATS_HOURLY, MIXED) == [
        (PROJECT, "purchase", DAY, 10, 3, 10**30 + 1, 2, 1, 1),
        (PROJECT, "login", DAY, 10, 1, 2, 1, 0, 0),
        (PROJECT, "login", DAY, 11, 1, 2, 1, 0, 0),
    ]


def test_a_batch_adds_up_the_hours_of_all_events() -> None:
    assert _after(EVENT_STATS_HOURLY_ALL, MIXED) == [
        (PROJECT, DAY, 10, 4),
        (PROJECT, DAY, 11, 1),
    ]


def test_a_batch_adds_up_the_days_of_each_event_and_of_all() -> None:
    assert _after(EVENT_STATS_DAILY, MIXED) == [
        (PROJECT, "purchase", DAY, 3, 10**30 + 1, 2, 1, 1),
        (PROJECT, "", DAY, 5, 10**30 + 5, 4, 1, 1),
        (PROJECT, "login", DAY, 2, 4, 2, 0, 0),
    ]


def test_a_members_days_are_bits_of_a_month_and_a_late_one_is_not_the_last() -> None:
    days = [datetime(2026, *day, 12, tzinfo=UTC) for day in ((10, 31), (10, 1), (10, 31), (11, 2))]
    events = [event_logged(MEMBER, n, at=at) for n, at in enumerate(days)]
    october, november = 1 | 1 << 30, 1 << 1
    assert sorted(_after(EVENT_USER_DAYS, events)) == [
        (PROJECT, "", MEMBER, "2026-10-01", october, "2026-10-31"),
        (PROJECT, "", MEMBER, "2026-11-01", november, "2026-11-02"),
        (PROJECT, "purchase", MEMBER, "2026-10-01", october, "2026-10-31"),
        (PROJECT, "purchase", MEMBER, "2026-11-01", november, "2026-11-02"),
    ]


def test_projects_are_never_counted_together() -> None:
    events = [event_logged(MEMBER, 1), event_logged(MEMBER, 1, project="other")]
    for projection in (
        EVENT_STATS_HOURLY,
        EVENT_STATS_HOURLY_ALL,
        EVENT_STATS_DAILY,
        EVENT_USER_DAYS,
    ):
        rows = _after(projection, events)
        assert {row[0] for row in rows} == {PROJECT, "other"}
        assert len({row[1:] for row in rows}) == len(rows) / 2


def test_points_that_are_held_pending_or_in_lots_have_a_history_and_others_need_none() -> None:
    plain = points_changed(MEMBER, 1, 5)
    spent = points_moved(POINTS_SPENT, MEMBER, 2, -5)
    assert _after(POINTS_HISTORY, [plain, spent]) == []
    lots = [lot_of("a", 5)]
    for event, told in (
        (points_changed(MEMBER, 3, 5, lots=lots), {"total_balance": 5}),
        (points_changed(MEMBER, 3, 5, held=2), {"held": 2}),
        (points_changed(MEMBER, 3, 5, pending=7), {"pending": 7}),
        (points_moved(POINTS_SPENT, MEMBER, 3, -5, held=3), {"held": 3}),
        (points_activated(MEMBER, 3, 5, lots=lots), {"pending": 0}),
        (points_reserved(POINTS_HELD, MEMBER, 3, hold_of()), {"total_balance": None}),
    ):
        row = _only(POINTS_HISTORY, event)
        assert row | told == row
        assert (row["member_id"], row["sequence"]) == (MEMBER, 3)
        changed = [lot["id"] for lot in json.loads(str(row["lots"]))]
        assert changed == [lot.id for lot in getattr(event.data, "lots", ())]


def test_an_entry_of_the_ledger_has_the_balances_after_it() -> None:
    event = points_changed(MEMBER, 3, -40, balance=60, total_balance=75)
    assert isinstance(event.data, outputs.PointsChanged)
    assert _only(POINTS_LEDGER, event) == {
        "project": PROJECT,
        "id": event.data.id,
        "member_id": MEMBER,
        "user_id": f"user of {MEMBER}",
        "action_id": "redeem",
        "challenge_group": "_default",
        "points": -40,
        "balance": 60,
        "total_balance": 75,
        "operation": "redeem",
        "event_id": None,
        "user_group_id": "default",
        "source_id": event.data.source_id,
        "ip": None,
        "occurred_at": ISO,
        "created_at": ISO,
        "definition_version": 3,
        "cut": 0,
        "cut_by": None,
        "unique_identifier": None,
        "hold_identifier": None,
        "reason": None,
        "actor": None,
        "not_recovered": 0,
        "granted_at": None,
        "reversed_entry_id": None,
        "void_id": None,
        "base": None,
        "bonus": None,
        "boosts": None,
        "tier": None,
        "sequence": 3,
        "place": 0,
    }


def test_balances_are_those_after_the_last_entry_also_of_one_input() -> None:
    entries = [
        points_changed(MEMBER, 5, 10, balance=10, total_balance=10),
        points_changed(MEMBER, 5, 7, challenge_group="vip", balance=7, total_balance=17),
        points_changed(MEMBER, 5, 3, balance=13, total_balance=20),
        points_changed(MEMBER, 4, 1, balance=1, total_balance=1),  # an older one, once more
    ]
    balances = _after(POINTS_BALANCES, entries)
    assert {row[2]: row[4] for row in balances} == {"_default": 13, "vip": 7}
    assert _only(POINTS_TOTALS, *entries)["balance"] == 20


def test_leaderboards_add_up_grants_by_day_group_and_event_and_no_redemptions() -> None:
    late = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    entries = [
        points_changed(MEMBER, 1, 10),
        points_changed(MEMBER, 2, 5, at=late),
        points_changed(MEMBER, 3, -15),
        points_changed(MEMBER, 4, 2, event_id=None, action_id="challenge:c", user_group_id="vip"),
        points_changed(MEMBER, 5, 1, at=late + timedelta(minutes=1)),
    ]
    user = f"user of {MEMBER}"
    assert _after(LEADERBOARD_POINTS, entries) == [
        (PROJECT, "2026-11-21", MEMBER, "default", "purchase", user, 15),
        (PROJECT, "2026-11-21", MEMBER, "vip", "", user, 2),
        (PROJECT, "2026-11-22", MEMBER, "default", "purchase", user, 1),
    ]


def test_the_days_of_boards_have_all_grants_and_the_newest_standing_of_a_member() -> None:
    happened = [
        member_upserted(1, 5, status="deleted"),
        points_changed(MEMBER, 1, 10),
        points_changed(MEMBER, 2, 2, event_id=None, user_group_id="vip"),
        points_changed(MEMBER, 3, -15),
        member_upserted(1, 4),  # an older one, once more
    ]
    assert _after(LEADERBOARD_DAYS, happened) == [
        (PROJECT, MEMBER, "0001-01-01", "user-1", 0, 11),
        (PROJECT, MEMBER, "2026-11-21", f"user of {MEMBER}", 12, 0),
    ]


def test_a_streak_is_as_the_last_event_left_it() -> None:
    row = _only(
        STREAK_PROGRESS,
        streak_changed(STREAK_ADVANCED, MEMBER, 4, current_length=7, longest_length=7),
        streak_changed(
            STREAK_COMPLETED,
            MEMBER,
            4,
            current_length=7,
            status="completed",
            completed=True,
        ),
        streak_changed(STREAK_BROKEN, MEMBER, 3, current_length=0, status="broken"),
    )
    assert (row["streak_id"], row["member_id"], row["sequence"]) == ("daily_login", MEMBER, 4)
    assert (row["current_length"], row["status"], row["completed"]) == (7, "completed", True)
    assert row["active_until"] == "2026-11-23T10:30:00.250000Z"


def test_a_broken_streak_is_active_no_longer() -> None:
    row = _only(
        STREAK_PROGRESS,
        streak_changed(
            STREAK_BROKEN,
            MEMBER,
            9,
            current_length=0,
            status="broken",
            active_until=None,
        ),
    )
    assert (row["current_length"], row["active_until"]) == (0, None)


EVENT = {
    "eventId": "purchase",
    "title": "Purchase",
    "type": "TRANSACTION",
    "rewardValueField": "amount",
    "reward": {"default": Decimal("2.50"), "vip": 3},
    "limit": 10,
    "conditions": {"field": "amount", "operator": "greater_than", "value": 0},
}


def _change(kind: str, fields: dict[str, Any]) -> DefinitionChange:
    definition = parse(kind, fields)
    return DefinitionChange(PROJECT, kind, definition.id, definition, 6, AT)


def _row_of(projection: Projection, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    (row,) = projection.rows(_change(kind, fields))
    assert not isinstance(row, Deleted | Amended)
    return dict(zip(projection.columns, row, strict=True))


def test_an_event_definition_is_kept_whole() -> None:
    row = _row_of(EVENT_DEFINITIONS, "event", EVENT)
    assert (row["event_id"], row["status"], row["version"]) == ("purchase", "ACTIVE", 6)
    assert decode_numbers(row["definition"].encode()) == wire_fields(parse("event", EVENT))


def test_streaks_and_leaderboards_are_rows() -> None:
    streak = {"streakId": "daily_login", "eventIds": ["login"], "targetLength": 7, "freezes": 1}
    row = _row_of(STREAKS, "streak", streak)
    assert (row["streak_id"], row["event_ids"], row["timezone"]) == ("daily_login", ["login"], None)
    row = _row_of(LEADERBOARDS, "leaderboard", {"id": "vips", "groups": ["vip"]})
    assert (row["id"], row["event_ids"], row["groups"]) == ("vips", None, ["vip"])


@pytest.mark.parametrize(
    ("projection", "kind"),
    [
        (EVENT_DEFINITIONS, "event"),
        (STREAKS, "streak"),
        (LEADERBOARDS, "leaderboard"),
    ],
)
def test_a_deletion_names_a_row_or_nothing(projection: Projection, kind: str) -> None:
    def deleted(named: str) -> list[Any]:
        return list(projection.rows(DefinitionChange(PROJECT, kind, named, None, 7, AT)))

    assert deleted("any/name") == [Deleted((PROJECT, "any/name"))]
    assert deleted("with\x00nul") == []
    assert list(projection.rows(DefinitionChange(PROJECT, "pathway", "x", None, 7, AT))) == []
