"""Output events: CloudEvents whose `data` is a struct of `records`, by their types.

`tests/unit/api/test_client_drift.py` holds the types against the product's own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from milestream_client import records
from milestream_client.records import Json

CHALLENGE_LOG_RECORDED = "milestream.challenge_log.recorded.v1"
CHALLENGE_COMPLETED = "milestream.challenge.completed.v1"
CHALLENGE_FAILED = "milestream.challenge.failed.v1"
MILESTONE_REACHED = "milestream.milestone.reached.v1"
REWARD_GRANTED = "milestream.reward.granted.v1"
REWARD_UPDATED = "milestream.reward.updated.v1"
MEMBER_UPSERTED = "milestream.member.upserted.v1"
EVENT_LOGGED = "milestream.event.logged.v1"
POINTS_GRANTED = "milestream.points.granted.v1"
POINTS_REDEEMED = "milestream.points.redeemed.v1"
POINTS_SPENT = "milestream.points.spent.v1"
POINTS_CAPTURED = "milestream.points.captured.v1"
POINTS_ADJUSTED = "milestream.points.adjusted.v1"
POINTS_EXPIRED = "milestream.points.expired.v1"
POINTS_HELD = "milestream.points.held.v1"
POINTS_RELEASED = "milestream.points.released.v1"
POINTS_REFUSED = "milestream.points.refused.v1"
POINTS_ACTIVATED = "milestream.points.activated.v1"
POINTS_EXPIRING = "milestream.points.expiring.v1"
TIER_CHANGED = "milestream.tier.changed.v1"
CLOCK_MOVED = "milestream.clock.moved.v1"
STREAK_ADVANCED = "milestream.streak.advanced.v1"
STREAK_BROKEN = "milestream.streak.broken.v1"
STREAK_COMPLETED = "milestream.streak.completed.v1"
MEMBER_ENROLLED = "milestream.member.enrolled.v1"
MEMBER_UNENROLLED = "milestream.member.unenrolled.v1"
ACTIVITY_PROGRESSED = "milestream.activity.progressed.v1"
ACTIVITY_COMPLETED = "milestream.activity.completed.v1"
CHALLENGE_LOG_VOIDED = "milestream.challenge_log.voided.v1"
CHALLENGE_REOPENED = "milestream.challenge.reopened.v1"
CHALLENGE_PROGRESS_CORRECTED = "milestream.challenge_progress.corrected.v1"
REWARD_REVOKED = "milestream.reward.revoked.v1"
EVENT_VOIDED = "milestream.event.voided.v1"
POINTS_REVERSED = "milestream.points.reversed.v1"
STREAK_REVERTED = "milestream.streak.reverted.v1"
ACTIVITY_REVERTED = "milestream.activity.reverted.v1"
EVENT_FORGOTTEN = "milestream.event.forgotten.v1"
POINTS_FORGOTTEN = "milestream.points.forgotten.v1"


class Unknown(msgspec.Struct, frozen=True):
    """The `data` of a type that this version of the package does not know, as it came."""

    json: Json


class Erased(msgspec.Struct, frozen=True):
    """The `data` of a record of `member-events` without value: drop all that you keep of who this
    member is. The event has no `type` then, nor an `id`."""

    member_id: str


class Place(msgspec.Struct, frozen=True):
    """Where an event was read."""

    topic: str
    partition: int
    offset: int


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """An output event.

    `id` is the same however often it is read; `subject` is the member's id; `time` is when it
    happened, None of what is `Erased`; `sequence` is its input's place in its partition.
    """

    id: str
    type: str
    project: str
    subject: str
    time: datetime | None
    sequence: str
    data: Any
    place: Place


class Envelope(msgspec.Struct):
    """A CloudEvent as it is on the topic; what is unknown of it is passed over."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    sequence: str
    data: msgspec.Raw


DATA: Mapping[str, type[msgspec.Struct]] = {
    CHALLENGE_LOG_RECORDED: records.ChallengeLogRecorded,
    CHALLENGE_COMPLETED: records.ChallengeProgressed,
    CHALLENGE_FAILED: records.ChallengeProgressed,
    MILESTONE_REACHED: records.MilestoneReached,
    REWARD_GRANTED: records.RewardChanged,
    REWARD_UPDATED: records.RewardChanged,
    MEMBER_UPSERTED: records.MemberRecord,
    EVENT_LOGGED: records.EventLogged,
    POINTS_GRANTED: records.PointsChanged,
    POINTS_REDEEMED: records.PointsChanged,
    POINTS_SPENT: records.PointsMoved,
    POINTS_CAPTURED: records.PointsMoved,
    POINTS_ADJUSTED: records.PointsMoved,
    POINTS_EXPIRED: records.PointsMoved,
    POINTS_HELD: records.PointsReserved,
    POINTS_RELEASED: records.PointsReserved,
    POINTS_REFUSED: records.PointsRefused,
    POINTS_ACTIVATED: records.PointsActivated,
    POINTS_EXPIRING: records.PointsExpiring,
    TIER_CHANGED: records.TierChanged,
    CLOCK_MOVED: records.ClockMoved,
    STREAK_ADVANCED: records.StreakChanged,
    STREAK_BROKEN: records.StreakChanged,
    STREAK_COMPLETED: records.StreakChanged,
    MEMBER_ENROLLED: records.Enrolled,
    MEMBER_UNENROLLED: records.Enrolled,
    ACTIVITY_PROGRESSED: records.ActivityChanged,
    ACTIVITY_COMPLETED: records.ActivityChanged,
    CHALLENGE_LOG_VOIDED: records.ChallengeLogVoided,
    CHALLENGE_REOPENED: records.ChallengeProgressed,
    CHALLENGE_PROGRESS_CORRECTED: records.ProgressCorrected,
    REWARD_REVOKED: records.RewardRevoked,
    EVENT_VOIDED: records.EventVoided,
    POINTS_REVERSED: records.PointsReversed,
    STREAK_REVERTED: records.StreakReverted,
    ACTIVITY_REVERTED: records.ActivityReverted,
    EVENT_FORGOTTEN: records.MemberForgotten,
    POINTS_FORGOTTEN: records.MemberForgotten,
}
"""What an event of each type carries."""

TOPICS: Mapping[str, str] = {
    CHALLENGE_LOG_RECORDED: "progress-events",
    CHALLENGE_COMPLETED: "progress-events",
    CHALLENGE_FAILED: "progress-events",
    MILESTONE_REACHED: "milestone-events",
    REWARD_GRANTED: "reward-events",
    REWARD_UPDATED: "reward-events",
    MEMBER_UPSERTED: "member-events",
    EVENT_LOGGED: "event-results",
    POINTS_GRANTED: "points-events",
    POINTS_REDEEMED: "points-events",
    POINTS_SPENT: "points-events",
    POINTS_CAPTURED: "points-events",
    POINTS_ADJUSTED: "points-events",
    POINTS_EXPIRED: "points-events",
    POINTS_HELD: "points-events",
    POINTS_RELEASED: "points-events",
    POINTS_REFUSED: "points-events",
    POINTS_ACTIVATED: "points-events",
    POINTS_EXPIRING: "points-events",
    TIER_CHANGED: "tier-events",
    CLOCK_MOVED: "clock-events",
    STREAK_ADVANCED: "streak-events",
    STREAK_BROKEN: "streak-events",
    STREAK_COMPLETED: "streak-events",
    MEMBER_ENROLLED: "pathway-events",
    MEMBER_UNENROLLED: "pathway-events",
    ACTIVITY_PROGRESSED: "pathway-events",
    ACTIVITY_COMPLETED: "pathway-events",
    CHALLENGE_LOG_VOIDED: "progress-events",
    CHALLENGE_REOPENED: "progress-events",
    CHALLENGE_PROGRESS_CORRECTED: "progress-events",
    REWARD_REVOKED: "reward-events",
    EVENT_VOIDED: "event-results",
    POINTS_REVERSED: "points-events",
    STREAK_REVERTED: "streak-events",
    ACTIVITY_REVERTED: "pathway-events",
    EVENT_FORGOTTEN: "event-results",
    POINTS_FORGOTTEN: "points-events",
}
"""The topic of each type, without prefix."""


_ENVELOPE = msgspec.json.Decoder(Envelope)


def decoded(value: bytes, place: Place) -> Event:
    """Return the event that a record's value is.

    Raises:
        msgspec.MsgspecError: it is none, or its data is not what its type says.
    """
    read = _ENVELOPE.decode(value)
    known = DATA.get(read.type)
    data: Any
    if known is None:
        data = Unknown(msgspec.json.decode(read.data, type=dict[str, Any]))
    else:
        data = msgspec.json.decode(read.data, type=known)
    return Event(
        id=read.id,
        type=read.type,
        project=read.source.rpartition("/")[2],
        subject=read.subject,
        time=read.time,
        sequence=read.sequence,
        data=data,
        place=place,
    )


def erased(member_id: str, project: str, place: Place) -> Event:
    """Return the event that a record without value is."""
    return Event(
        id="",
        type="",
        project=project,
        subject=member_id,
        time=None,
        sequence="",
        data=Erased(member_id),
        place=place,
    )
