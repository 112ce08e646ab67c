"""What voids do to the read models: events, and their rows and amendments."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from projections.batch import TableChanges
from projections.projection import Projection, Value
from projections.read_models.challenges import CHALLENGE_LOGS, CHALLENGE_PROGRESS
from projections.read_models.event_stats import (
    EVENT_STATS_DAILY,
    EVENT_STATS_HOURLY,
    EVENT_STATS_HOURLY_ALL,
)
from projections.read_models.event_user_days import EVENT_USER_DAYS
from projections.read_models.events import EVENT_LOG
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS
from projections.read_models.milestones import REWARD_LOGS
from projections.read_models.points import (
    LEADERBOARD_POINTS,
    POINTS_BALANCES,
    POINTS_LEDGER,
    POINTS_LOTS,
    POINTS_TOTALS,
)
from projections.read_models.streaks import STREAK_PROGRESS
from projections.read_models.voids import VOIDS
from schemas import ids, outputs
from schemas.event_types import (
    CHALLENGE_COMPLETED,
    CHALLENGE_REOPENED,
    REWARD_GRANTED,
    REWARD_UPDATED,
    STREAK_ADVANCED,
)
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    PROJECT,
    event_logged,
    log_recorded,
    lot_of,
    member_of,
    points_changed,
    progressed,
    reward_changed,
    streak_changed,
)
from tests.unit.projections.void_events import (
    event_voided,
    log_voided,
    points_reversed,
    reward_revoked,
    streak_reverted,
)

MEMBER, OTHER = member_of(1), member_of(2)
ISO, LATER = "2026-11-21T10:30:00.250000Z", "2026-11-21T13:30:00.250000Z"
DAY = "2026-11-21"


def _changes(projection: Projection, events: Iterable[CloudEvent]) -> TableChanges:
    changes = TableChanges(projection)
    for event in events:
        for change in projection.rows(outputs.decode(outputs.encode(event))):
            changes.add(change)
    return changes


def _after(projection: Projection, *events: CloudEvent) -> list[dict[str, Any]]:
    rows = _changes(projection, events).rows()
    return [dict(zip(projection.columns, row, strict=True)) for row in rows]


def _amended(projection: Projection, *events: CloudEvent) -> list[dict[str, Value]]:
    return [dict(values) for values in _changes(projection, events).amended]


def test_a_void_of_a_log_or_an_event_is_a_row_and_what_it_took_along_is_none() -> None:
    logged = event_logged(MEMBER, 3)
    captured = points_reversed(MEMBER, 7, 20, granted_at=None, what="capture", actor=None)
    events = [
        log_voided(MEMBER, 1, 5, portion="0.25", voided="0.75"),
        event_voided(logged, 6),
        log_voided(MEMBER, 2, 6, event_log_id=logged.data.id),
        points_reversed(MEMBER, 6, -5),
        captured,
    ]
    assert isinstance(captured.data, outputs.PointsReversed)
    common: dict[str, Any] = {
        "project": PROJECT,
        "member_id": MEMBER,
        "reason": "sent back",
        "actor": "jo",
        "at": LATER,
    }
    assert _after(VOIDS, *events) == [
        common
        | {
            "void_id": ids.void_id(PROJECT, MEMBER, f"void-{number}"),
            "what": what,
            "id": voided_id,
            "portion": portion,
            "unique_identifier": f"void-{number}",
            "sequence": number,
            "actor": actor,
        }
        for voided_id, number, what, portion, actor in (
            (events[0].data.id, 5, "challenge_log", "0.25", "jo"),
            (logged.data.id, 6, "event", "1", "jo"),
            (captured.data.voided_id, 7, "capture", "1", None),
        )
    ]


def test_a_voided_log_stays_with_the_portion_that_is_voided() -> None:
    recorded, voided = log_recorded(MEMBER, 1), log_voided(MEMBER, 1, 2, voided="0.5")
    assert _amended(CHALLENGE_LOGS, recorded, voided) == [
        {"project": PROJECT, "id": recorded.data.id, "portion": "0.5"}
    ]
    assert len(_after(CHALLENGE_LOGS, recorded, voided)) == 1
    logged = event_logged(MEMBER, 1)
    assert _amended(EVENT_LOG, logged, event_voided(logged, 2, voided="0.5")) == [
        {"project": PROJECT, "id": logged.data.id, "portion": "0.5"}
    ]


def test_progress_is_as_the_void_left_it_and_open_again() -> None:
    def after(*events: CloudEvent) -> tuple[Any, Any]:
        (row,) = _after(CHALLENGE_PROGRESS, *events)
        return row["current_progress_value"], row["status"]

    done = {"challenge_progress_status": "completed", "challenge_completed_at": AT}
    recorded = log_recorded(MEMBER, 1, total="5", sequence=1)
    completed = progressed(CHALLENGE_COMPLETED, MEMBER, "5", 1, **done)
    assert after(recorded, completed) == ("5", "completed")
    voided = log_voided(MEMBER, 1, 2, total="3")
    reopened = progressed(CHALLENGE_REOPENED, MEMBER, "3", 2)
    assert after(recorded, completed, voided, reopened) == ("3", "in_progress")
    assert _after(CHALLENGE_PROGRESS, log_voided(MEMBER, 1, 2, total=None)) == []


def test_statistics_lose_the_points_of_a_part_and_the_event_with_the_last_part() -> None:
    logged = event_logged(MEMBER, 1, points=5)
    other = event_logged(OTHER, 2, points=7, condition_reached=False, limit_reached=True)
    half = event_voided(logged, 3, portion="0.5", voided="0.5", now=3)
    rest = event_voided(logged, 4, portion="0.5", voided="1", now=2)

    def counts(projection: Projection, *events: CloudEvent) -> set[tuple[Value, ...]]:
        return {row[-5:] for row in _changes(projection, (logged, other, *events)).rows()}

    for projection in (EVENT_STATS_DAILY, EVENT_STATS_HOURLY):
        assert counts(projection, half) == {(2, 9, 1, 1, 1)}
        assert counts(projection, half, rest) == {(1, 7, 0, 1, 1)}
        assert counts(projection, half, rest, event_voided(other, 5)) == {(0, 0, 0, 0, 0)}
    everything = (logged, other, half, rest)
    assert [tuple(row) for row in _changes(EVENT_STATS_HOURLY_ALL, everything).rows()] == [
        (PROJECT, DAY, 10, 1)
    ]


def test_a_day_is_looked_at_again_when_nothing_is_left_of_an_event() -> None:
    logged = event_logged(MEMBER, 1)
    part = event_voided(logged, 2, portion="0.5", voided="0.5", now=3)
    assert _amended(EVENT_USER_DAYS, logged, part) == []
    assert _amended(EVENT_USER_DAYS, logged, part, event_voided(logged, 3)) == [
        {"project": PROJECT, "event_id": event_id, "member_id": MEMBER, "day": DAY}
        for event_id in ("purchase", "")
    ]


def test_a_reversal_is_an_entry_with_the_balances_after_it() -> None:
    lot = lot_of("a", 0)
    event = points_reversed(
        MEMBER, 3, -4, not_recovered=2, balance=60, total_balance=75, held=5, lots=[lot]
    )
    (entry,) = _after(POINTS_LEDGER, event)
    data = event.data
    assert isinstance(data, outputs.PointsReversed)
    expected = {
        "points": -4,
        "not_recovered": 2,
        "operation": "reverse",
        "granted_at": ISO,
        "reversed_entry_id": data.reversed_entry_id,
        "void_id": data.void_id,
        "reason": "sent back",
        "unique_identifier": "void-3",
    }
    assert {name: entry[name] for name in expected} == expected
    (balance,) = _after(POINTS_BALANCES, event)
    assert (balance["balance"], balance["held"]) == (60, 5)
    (total,) = _after(POINTS_TOTALS, event)
    assert total["balance"] == 75
    assert _changes(POINTS_LOTS, [event]).gone == {(PROJECT, MEMBER, "_default", lot.id)}


def test_boards_fall_on_the_day_of_the_grant_by_all_that_was_withdrawn() -> None:
    yesterday = AT - timedelta(days=1)
    events = [
        points_changed(MEMBER, 1, 10, at=yesterday),
        points_reversed(MEMBER, 2, -4, not_recovered=2, granted_at=yesterday),
        points_reversed(MEMBER, 3, 30, granted_at=None, what="spend"),
    ]
    user = f"user of {MEMBER}"
    rows = [tuple(row) for row in _changes(LEADERBOARD_POINTS, events).rows()]
    assert rows == [(PROJECT, "2026-11-20", MEMBER, "default", "purchase", user, 4)]
    rows = [tuple(row) for row in _changes(LEADERBOARD_DAYS, events).rows()]
    assert rows == [(PROJECT, MEMBER, "2026-11-20", user, 4, 0)]


def test_a_reward_is_revoked_until_it_is_granted_again() -> None:
    def revoked_at(*events: CloudEvent) -> Any:
        (row,) = _after(REWARD_LOGS, *events)
        return row["version"], row["revoked_at"]

    granted = reward_changed(REWARD_GRANTED, MEMBER, 1)
    revoked = reward_revoked(MEMBER, 2, version=2)
    assert revoked_at(granted) == (1, None)
    assert revoked_at(granted, revoked) == (2, LATER)
    again = reward_changed(REWARD_GRANTED, MEMBER, 3, version=3)
    issued = reward_changed(REWARD_UPDATED, MEMBER, 4, version=4, reward_issued_at=AT)
    assert revoked_at(granted, revoked, again) == (3, None)
    assert revoked_at(granted, revoked, again, issued) == (4, None)


def test_a_streak_is_as_the_void_left_it() -> None:
    (row,) = _after(
        STREAK_PROGRESS,
        streak_changed(STREAK_ADVANCED, MEMBER, 1, current_length=4, longest_length=4),
        streak_reverted(MEMBER, 2, current_length=3, longest_length=3),
    )
    assert (row["current_length"], row["longest_length"], row["sequence"]) == (3, 3, 2)
