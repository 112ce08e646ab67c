"""Output events as the processor writes them, for tests of what reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from schemas import ids, outputs
from schemas.event_types import (
    CHALLENGE_LOG_RECORDED,
    EVENT_LOGGED,
    MEMBER_UPSERTED,
    MILESTONE_REACHED,
    POINTS_ACTIVATED,
    POINTS_ADJUSTED,
    POINTS_CAPTURED,
    POINTS_EXPIRED,
    POINTS_GRANTED,
    POINTS_REDEEMED,
    POINTS_SPENT,
    EventType,
)
from schemas.outputs import CloudEvent

PROJECT = "acme"
CHALLENGE = "11111111-1111-4111-8111-111111111111"
MILESTONE = "22222222-2222-4222-8222-222222222222"
AT = datetime(2026, 11, 21, 10, 30, 0, 250000, tzinfo=UTC)
PERIOD = "2026-W47"


def member_of(number: int, project: str = PROJECT) -> str:
    """Return the id of the member with external id ``user-<number>``."""
    return ids.member_id(project, f"user-{number}")


def raw_named(record_id: str) -> Raw:
    """Return a joined definition's JSON."""
    return Raw(msgspec.json.encode({"id": record_id, "name": 'a "name"'}))


def progress(member: str, value: str, **changed: Any) -> outputs.ProgressRecord:
    """Return progress in ``PERIOD`` of ``CHALLENGE``."""
    fields: dict[str, Any] = {
        "id": ids.progress_id(PROJECT, CHALLENGE, member, PERIOD),
        "challenge_id": CHALLENGE,
        "owned_by_id": member,
        "period_key": PERIOD,
        "aggregation_method": "sum",
        "aggregation_period": "weekly",
        "timezone": "Europe/Berlin",
        "current_progress_value": Raw(value.encode()),
        "challenge_progress_status": "in_progress",
        "challenge_started_at": AT,
        "challenge_completed_at": None,
        "challenge_failed_at": None,
        "created_at": AT,
        "updated_at": AT,
    }
    return outputs.ProgressRecord(**fields | changed)


def event(
    event_type: EventType, data: Any, subject: str, sequence: int, project: str = PROJECT
) -> CloudEvent:
    """Return the event around ``data``."""
    return CloudEvent(
        id=event_type.event_id(project, data.id, sequence),
        source=outputs.source_of(project),
        type=event_type.name,
        subject=subject,
        time=AT,
        sequence=outputs.sequence_text(sequence),
        data=data,
    )


def log_recorded(
    member: str,
    number: int,
    *,
    value: str | None = "1",
    total: str | None = "1",
    sequence: int = 0,
    project: str = PROJECT,
    **changed: Any,
) -> CloudEvent:
    """Return ``challenge_log.recorded`` for a member's log number ``number``."""
    fields: dict[str, Any] = {
        "id": ids.challenge_log_id(project, CHALLENGE, member, f"log-{number}"),
        "challenge_id": CHALLENGE,
        "owned_by_id": member,
        "activity_at": AT + timedelta(seconds=number),
        "activity_id": "steps",
        "unique_identifier": f"log-{number}",
        "activity_value": outputs.NULL if value is None else Raw(value.encode()),
        "status": "live",
        "created_at": AT + timedelta(seconds=number),
        "challenge": raw_named(CHALLENGE),
        "challenge_progress": None if total is None else progress(member, total),
        "achieved_milestone": outputs.NULL,
        "next_milestone": raw_named(MILESTONE),
        "achieved_milestone_reward_log": None,
        "achieved_milestones": [],
        "achieved_milestone_reward_logs": [],
        "definition_version": 7,
    }
    data = outputs.ChallengeLogRecorded(**fields | changed)
    return event(CHALLENGE_LOG_RECORDED, data, member, sequence, project)


def progressed(
    event_type: EventType, member: str, value: str, sequence: int, **changed: Any
) -> CloudEvent:
    """Return ``challenge.completed`` or ``challenge.failed``."""
    fields = msgspec.structs.asdict(progress(member, value, **changed))
    data = outputs.ChallengeProgressed(**fields, definition_version=8)
    return event(event_type, data, member, sequence)


def reward(member: str, **changed: Any) -> outputs.RewardLogRecord:
    """Return the reward log for ``MILESTONE`` in ``PERIOD``."""
    fields: dict[str, Any] = {
        "id": ids.reward_log_id(PROJECT, MILESTONE, member, PERIOD),
        "owned_by_id": member,
        "linked_schema_slug": "challenge",
        "linked_schema_record_id": CHALLENGE,
        "milestone_id": MILESTONE,
        "period_key": PERIOD,
        "created_at": AT,
        "updated_at": AT,
        "version": 1,
        "milestone": raw_named(MILESTONE),
    }
    return outputs.RewardLogRecord(**fields | changed)


def reward_changed(event_type: EventType, member: str, sequence: int, **changed: Any) -> CloudEvent:
    """Return ``reward.granted`` or ``reward.updated``."""
    fields = msgspec.structs.asdict(reward(member, **changed))
    data = outputs.RewardChanged(**fields, definition_version=9)
    return event(event_type, data, member, sequence)


def milestone_reached(member: str, value: str, sequence: int) -> CloudEvent:
    """Return ``milestone.reached`` for ``MILESTONE`` in ``PERIOD``."""
    data = outputs.MilestoneReached(
        id=ids.milestone_reached_id(PROJECT, MILESTONE, member, PERIOD),
        owned_by_id=member,
        milestone_id=MILESTONE,
        linked_schema_slug="challenge",
        linked_schema_record_id=CHALLENGE,
        period_key=PERIOD,
        value=Raw(value.encode()),
        reached_at=AT,
        milestone=raw_named(MILESTONE),
        definition_version=9,
    )
    return event(MILESTONE_REACHED, data, member, sequence)


def member_upserted(
    number: int, sequence: int, project: str = PROJECT, **changed: Any
) -> CloudEvent:
    """Return ``member.upserted`` for ``user-<number>``."""
    fields: dict[str, Any] = {
        "id": member_of(number, project),
        "external_id": f"user-{number}",
        "created_at": AT,
        "updated_at": AT,
        "version": 1,
    }
    data = outputs.MemberRecord(**fields | changed)
    return event(MEMBER_UPSERTED, data, data.id, sequence, project)


def event_logged(
    member: str,
    number: int,
    *,
    event_id: str = "purchase",
    at: datetime = AT,
    points: int = 5,
    metadata: str = "{}",
    project: str = PROJECT,
    **changed: Any,
) -> CloudEvent:
    """Return ``event.logged`` for a member's event number ``number``; its zone is UTC."""
    fields: dict[str, Any] = {
        "id": ids.derive(f"{project}:event:{member}:{event_id}:{number}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "event_id": event_id,
        "title": "A title",
        "type": "TRANSACTION",
        "points": points,
        "limit": None,
        "maximum_reward": outputs.NULL,
        "metadata": Raw(metadata.encode()),
        "condition_reached": True,
        "limit_reached": False,
        "user_group_id": "default",
        "challenge_group": "_default",
        "idempotency_key": None,
        "ip": None,
        "occurred_at": at,
        "created_at": AT,
        "local_date": at.date().isoformat(),
        "local_hour": at.hour,
        "definition_version": 3,
    }
    data = outputs.EventLogged(**fields | changed)
    return event(EVENT_LOGGED, data, member, number, project)


def points_changed(
    member: str,
    number: int,
    points: int,
    *,
    at: datetime = AT,
    project: str = PROJECT,
    **changed: Any,
) -> CloudEvent:
    """Return ``points.granted``, or ``points.redeemed`` where ``points`` are negative."""
    granted = points > 0
    fields: dict[str, Any] = {
        "id": ids.derive(f"{project}:points:{member}:{number}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "action_id": "purchase" if granted else "redeem",
        "challenge_group": "_default",
        "points": points,
        "balance": max(0, points),
        "total_balance": max(0, points),
        "operation": "grant" if granted else "redeem",
        "event_id": "purchase" if granted else None,
        "user_group_id": "default",
        "source_id": ids.derive(f"{project}:event:{member}:{number}"),
        "ip": None,
        "occurred_at": at,
        "created_at": AT,
        "definition_version": 3,
    }
    data = outputs.PointsChanged(**fields | changed)
    event_type = POINTS_GRANTED if granted else POINTS_REDEEMED
    return event(event_type, data, member, number, project)


def points_moved(
    event_type: EventType,
    member: str,
    number: int,
    points: int,
    **changed: Any,
) -> CloudEvent:
    """Return ``points.spent``, ``captured``, ``adjusted`` or ``expired``."""
    what = {
        POINTS_SPENT: "spend",
        POINTS_CAPTURED: "capture",
        POINTS_ADJUSTED: "adjust",
        POINTS_EXPIRED: "expire",
    }[event_type]
    fields: dict[str, Any] = {
        "id": ids.derive(f"{PROJECT}:points:{what}:{member}:{number}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "action_id": what,
        "challenge_group": "_default",
        "points": points,
        "balance": 100,
        "total_balance": 100,
        "operation": what,
        "event_id": None,
        "user_group_id": "default",
        "source_id": f"{member}:{number}",
        "ip": None,
        "occurred_at": AT,
        "created_at": AT,
        "definition_version": -1,
        "held": 0,
        "available": 100,
        "unique_identifier": f"{what}-{number}",
    }
    data = outputs.PointsMoved(**fields | changed)
    return event(event_type, data, member, number)


def hold_of(**changed: Any) -> outputs.Hold:
    """Return a hold of 30 points, open."""
    fields: dict[str, Any] = {
        "hold_identifier": "hold-1",
        "challenge_group": "_default",
        "points": 30,
        "captured": 0,
        "status": "open",
        "until": AT + timedelta(days=7),
        "opened_at": AT,
        "closed_at": None,
    }
    return outputs.Hold(**fields | changed)


def points_reserved(
    event_type: EventType,
    member: str,
    number: int,
    hold: outputs.Hold,
    **changed: Any,
) -> CloudEvent:
    """Return ``points.held`` or ``points.released``."""
    fields: dict[str, Any] = {
        "id": ids.hold_id(PROJECT, member, hold.hold_identifier),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "challenge_group": hold.challenge_group,
        "points": hold.points - hold.captured,
        "balance": 100,
        "held": 30,
        "available": 70,
        "hold_identifier": hold.hold_identifier,
        "hold": hold,
        "occurred_at": AT,
        "created_at": AT,
    }
    return event(event_type, outputs.PointsReserved(**fields | changed), member, number)


def lot_of(name: str, points: int, *, waits: bool = False, lapses: bool = True) -> outputs.Lot:
    """Return a lot of the member's; ``name`` tells it from others."""
    return outputs.Lot(
        id=ids.lot_id(PROJECT, "a member", "_default", name),
        points=points,
        activates_at=AT if waits else None,
        expires_at=AT if lapses else None,
    )


def points_activated(member: str, number: int, points: int, **changed: Any) -> CloudEvent:
    """Return ``points.activated``."""
    fields: dict[str, Any] = {
        "id": ids.derive(f"{PROJECT}:activate:{member}:{number}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "challenge_group": "_default",
        "points": points,
        "balance": points,
        "total_balance": points,
        "held": 0,
        "available": points,
        "pending": 0,
        "lots": [],
        "occurred_at": AT,
        "created_at": AT,
    }
    return event(POINTS_ACTIVATED, outputs.PointsActivated(**fields | changed), member, number)


def streak_changed(event_type: EventType, member: str, number: int, **changed: Any) -> CloudEvent:
    """Return an event of the streak ``daily_login``."""
    fields: dict[str, Any] = {
        "id": ids.derive(f"{PROJECT}:streak_progress:daily_login:{member}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "streak_id": "daily_login",
        "period": "daily",
        "timezone": "UTC",
        "period_key": "2026-11-21",
        "current_length": 1,
        "run_length": 1,
        "longest_length": 1,
        "target_length": 7,
        "freezes_left": 1,
        "healed": False,
        "status": "active",
        "completed": False,
        "started_period_key": "2026-11-21",
        "active_until": AT + timedelta(days=2),
        "occurred_at": AT,
        "created_at": AT,
        "updated_at": AT,
        "definition_version": 3,
    }
    return event(event_type, outputs.StreakChanged(**fields | changed), member, number)
