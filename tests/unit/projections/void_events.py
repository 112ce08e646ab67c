"""Output events of voids as the processor writes them, for tests of what reads them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from schemas import ids, outputs
from schemas.event_types import (
    ACTIVITY_REVERTED,
    CHALLENGE_LOG_VOIDED,
    EVENT_VOIDED,
    POINTS_REVERSED,
    REWARD_REVOKED,
    STREAK_REVERTED,
)
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    CHALLENGE,
    PERIOD,
    PROJECT,
    event,
    progress,
    reward,
    streak_changed,
)

LATER = AT + timedelta(hours=3)


def _said(member: str, number: int, portion: str, voided: str) -> dict[str, Any]:
    """Return what every event of a void says."""
    return {
        "void_id": ids.void_id(PROJECT, member, f"void-{number}"),
        "unique_identifier": f"void-{number}",
        "reason": "sent back",
        "actor": "jo",
        "portion": Raw(portion.encode()),
        "voided_portion": Raw(voided.encode()),
        "voided_at": LATER,
    }


def log_voided(
    member: str,
    log: int,
    number: int,
    *,
    portion: str = "1",
    voided: str = "1",
    total: str | None = "0",
    **changed: Any,
) -> CloudEvent:
    """Return ``challenge_log.voided`` of a member's log number ``log``."""
    fields: dict[str, Any] = {
        "id": ids.challenge_log_id(PROJECT, CHALLENGE, member, f"log-{log}"),
        "challenge_id": CHALLENGE,
        "owned_by_id": member,
        "activity_at": AT,
        "activity_id": "steps",
        "activity_value": Raw(b"1"),
        "period_key": PERIOD,
        "counted": True,
        "change": Raw(b"-1"),
        "challenge_progress": None if total is None else progress(member, total),
        "definition_version": 7,
        **_said(member, number, portion, voided),
    }
    data = outputs.ChallengeLogVoided(**fields | changed)
    return event(CHALLENGE_LOG_VOIDED, data, member, number)


def event_voided(
    logged: CloudEvent,
    number: int,
    *,
    portion: str = "1",
    voided: str = "1",
    now: int | None = None,
    **changed: Any,
) -> CloudEvent:
    """Return ``event.voided`` of an event; ``now`` are the points that this void takes back, by
    default all."""
    log = logged.data
    assert isinstance(log, outputs.EventLogged)
    fields: dict[str, Any] = {
        "id": log.id,
        "user_id": log.user_id,
        "owned_by_id": log.owned_by_id,
        "event_id": log.event_id,
        "challenge_group": log.challenge_group,
        "user_group_id": log.user_group_id,
        "points": log.points,
        "points_voided": half_up(log.points * Decimal(voided)),
        "points_voided_now": log.points if now is None else now,
        "condition_reached": log.condition_reached,
        "limit_reached": log.limit_reached,
        "occurred_at": log.occurred_at,
        "local_date": log.local_date,
        "local_hour": log.local_hour,
        "definition_version": log.definition_version,
        **_said(log.owned_by_id, number, portion, voided),
    }
    data = outputs.EventVoided(**fields | changed)
    project = logged.source.rpartition("/")[2]
    return event(EVENT_VOIDED, data, log.owned_by_id, number, project)


def half_up(points: Decimal) -> int:
    """Return points to the nearest whole number, halves up."""
    return int(points + Decimal("0.5"))


def points_reversed(
    member: str,
    number: int,
    points: int,
    *,
    granted_at: datetime | None = AT,
    what: str = "event",
    **changed: Any,
) -> CloudEvent:
    """Return ``points.reversed``; without ``granted_at`` they are given back."""
    fields: dict[str, Any] = {
        "id": ids.derive(f"{PROJECT}:points:void:{member}:{number}"),
        "user_id": f"user of {member}",
        "owned_by_id": member,
        "action_id": "reverse",
        "challenge_group": "_default",
        "points": points,
        "balance": 100,
        "total_balance": 100,
        "operation": "reverse",
        "event_id": None if granted_at is None else "purchase",
        "user_group_id": "default",
        "source_id": f"{member}:{number}",
        "ip": None,
        "occurred_at": LATER,
        "created_at": LATER,
        "definition_version": -1,
        "held": 0,
        "available": 100,
        "granted_at": granted_at,
        "reversed_entry_id": ids.derive(f"{PROJECT}:points:{member}:{number}"),
        "what": what,
        "voided_id": ids.derive(f"{PROJECT}:{what}:{member}:{number}"),
        **_said(member, number, "1", "1"),
    }
    return event(POINTS_REVERSED, outputs.PointsReversed(**fields | changed), member, number)


def reward_revoked(member: str, number: int, **changed: Any) -> CloudEvent:
    """Return ``reward.revoked``."""
    fields = msgspec.structs.asdict(reward(member, **changed))
    data = outputs.RewardRevoked(
        **fields,
        definition_version=9,
        revoked_at=LATER,
        void_id=ids.void_id(PROJECT, member, f"void-{number}"),
        reason="sent back",
    )
    return event(REWARD_REVOKED, data, member, number)


def streak_reverted(member: str, number: int, **changed: Any) -> CloudEvent:
    """Return ``streak.reverted`` of the streak ``daily_login``."""
    before = streak_changed(STREAK_REVERTED, member, number, **changed).data
    data = outputs.StreakReverted(
        **msgspec.structs.asdict(before),
        void_id=ids.void_id(PROJECT, member, f"void-{number}"),
        reason="sent back",
    )
    return event(STREAK_REVERTED, data, member, number)


def activity_reverted(changed: outputs.ActivityChanged, number: int) -> CloudEvent:
    """Return ``activity.reverted`` with the activity as it is afterwards."""
    member = changed.owned_by_id
    said = _said(member, number, "1", "1")
    del said["portion"], said["voided_portion"]
    log_id = ids.derive(f"{PROJECT}:activity_log:{member}:{number}")
    fields = msgspec.structs.asdict(changed)
    data = outputs.ActivityReverted(**fields, activity_log_id=log_id, **said)
    return event(ACTIVITY_REVERTED, data, member, number)
