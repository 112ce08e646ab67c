"""The catalogue of output events: what each is called, where it goes, what it carries.

A type is declared here once. The fold emits by it, read models are declared by it, and AsyncAPI,
the JSON Schemas and the tests go through the catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from schemas import ids, outputs, topics


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of CloudEvent.

    ``name`` is the CloudEvent's ``type``, ``topic`` the output topic without prefix, ``data`` the
    struct that its ``data`` has. ``id_seed`` is what its id is derived from beside the record's id:
    it is part of the wire format, so it never changes. None: the id is the record's own.
    """

    name: str
    topic: str
    data: type[msgspec.Struct]
    id_seed: str | None

    def event_id(self, project: str, record_id: str, version: int = 0) -> str:
        """Return the id of the ``version``-th event of this type about a record."""
        if self.id_seed is None:
            return record_id
        return ids.event_id(project, self.id_seed, record_id, version)


CHALLENGE_LOG_RECORDED = EventType(
    "milestream.challenge_log.recorded.v1",
    topics.PROGRESS_EVENTS,
    outputs.ChallengeLogRecorded,
    id_seed=None,
)
CHALLENGE_COMPLETED = EventType(
    "milestream.challenge.completed.v1",
    topics.PROGRESS_EVENTS,
    outputs.ChallengeProgressed,
    id_seed="challenge.completed",
)
CHALLENGE_FAILED = EventType(
    "milestream.challenge.failed.v1",
    topics.PROGRESS_EVENTS,
    outputs.ChallengeProgressed,
    id_seed="challenge.failed",
)
MILESTONE_REACHED = EventType(
    "milestream.milestone.reached.v1",
    topics.MILESTONE_EVENTS,
    outputs.MilestoneReached,
    id_seed="milestone.reached",
)
REWARD_GRANTED = EventType(
    "milestream.reward.granted.v1",
    topics.REWARD_EVENTS,
    outputs.RewardChanged,
    id_seed="reward.granted",
)
REWARD_UPDATED = EventType(
    "milestream.reward.updated.v1",
    topics.REWARD_EVENTS,
    outputs.RewardChanged,
    id_seed="reward.updated",
)
MEMBER_UPSERTED = EventType(
    "milestream.member.upserted.v1",
    topics.MEMBER_EVENTS,
    outputs.MemberRecord,
    id_seed="member.upserted",
)
EVENT_LOGGED = EventType(
    "milestream.event.logged.v1", topics.EVENT_RESULTS, outputs.EventLogged, id_seed=None
)
POINTS_GRANTED = EventType(
    "milestream.points.granted.v1", topics.POINTS_EVENTS, outputs.PointsChanged, id_seed="points"
)
POINTS_REDEEMED = EventType(
    "milestream.points.redeemed.v1", topics.POINTS_EVENTS, outputs.PointsChanged, id_seed="points"
)
POINTS_SPENT = EventType(
    "milestream.points.spent.v1",
    topics.POINTS_EVENTS,
    outputs.PointsMoved,
    id_seed="points",
)
POINTS_CAPTURED = EventType(
    "milestream.points.captured.v1",
    topics.POINTS_EVENTS,
    outputs.PointsMoved,
    id_seed="points",
)
POINTS_ADJUSTED = EventType(
    "milestream.points.adjusted.v1",
    topics.POINTS_EVENTS,
    outputs.PointsMoved,
    id_seed="points",
)
POINTS_EXPIRED = EventType(
    "milestream.points.expired.v1",
    topics.POINTS_EVENTS,
    outputs.PointsMoved,
    id_seed="points",
)
POINTS_HELD = EventType(
    "milestream.points.held.v1",
    topics.POINTS_EVENTS,
    outputs.PointsReserved,
    id_seed="points.held",
)
POINTS_RELEASED = EventType(
    "milestream.points.released.v1",
    topics.POINTS_EVENTS,
    outputs.PointsReserved,
    id_seed="points.released",
)
POINTS_REFUSED = EventType(
    "milestream.points.refused.v1",
    topics.POINTS_EVENTS,
    outputs.PointsRefused,
    id_seed="points.refused",
)
POINTS_ACTIVATED = EventType(
    "milestream.points.activated.v1",
    topics.POINTS_EVENTS,
    outputs.PointsActivated,
    id_seed="points.activated",
)
POINTS_EXPIRING = EventType(
    "milestream.points.expiring.v1",
    topics.POINTS_EVENTS,
    outputs.PointsExpiring,
    id_seed="points.expiring",
)
TIER_CHANGED = EventType(
    "milestream.tier.changed.v1", topics.TIER_EVENTS, outputs.TierChanged, id_seed="tier.changed"
)
CLOCK_MOVED = EventType(
    "milestream.clock.moved.v1", topics.CLOCK_EVENTS, outputs.ClockMoved, id_seed="clock.moved"
)
STREAK_ADVANCED = EventType(
    "milestream.streak.advanced.v1",
    topics.STREAK_EVENTS,
    outputs.StreakChanged,
    id_seed="milestream.streak.advanced.v1",
)
STREAK_BROKEN = EventType(
    "milestream.streak.broken.v1",
    topics.STREAK_EVENTS,
    outputs.StreakChanged,
    id_seed="milestream.streak.broken.v1",
)
STREAK_COMPLETED = EventType(
    "milestream.streak.completed.v1",
    topics.STREAK_EVENTS,
    outputs.StreakChanged,
    id_seed="milestream.streak.completed.v1",
)
MEMBER_ENROLLED = EventType(
    "milestream.member.enrolled.v1",
    topics.PATHWAY_EVENTS,
    outputs.Enrolled,
    id_seed="milestream.member.enrolled.v1",
)
MEMBER_UNENROLLED = EventType(
    "milestream.member.unenrolled.v1",
    topics.PATHWAY_EVENTS,
    outputs.Enrolled,
    id_seed="milestream.member.unenrolled.v1",
)
ACTIVITY_PROGRESSED = EventType(
    "milestream.activity.progressed.v1",
    topics.PATHWAY_EVENTS,
    outputs.ActivityChanged,
    id_seed="milestream.activity.progressed.v1",
)
ACTIVITY_COMPLETED = EventType(
    "milestream.activity.completed.v1",
    topics.PATHWAY_EVENTS,
    outputs.ActivityChanged,
    id_seed="milestream.activity.completed.v1",
)

CHALLENGE_LOG_VOIDED = EventType(
    "milestream.challenge_log.voided.v1",
    topics.PROGRESS_EVENTS,
    outputs.ChallengeLogVoided,
    id_seed="challenge_log.voided",
)
CHALLENGE_REOPENED = EventType(
    "milestream.challenge.reopened.v1",
    topics.PROGRESS_EVENTS,
    outputs.ChallengeProgressed,
    id_seed="challenge.reopened",
)
CHALLENGE_PROGRESS_CORRECTED = EventType(
    "milestream.challenge_progress.corrected.v1",
    topics.PROGRESS_EVENTS,
    outputs.ProgressCorrected,
    id_seed="challenge_progress.corrected",
)
REWARD_REVOKED = EventType(
    "milestream.reward.revoked.v1",
    topics.REWARD_EVENTS,
    outputs.RewardRevoked,
    id_seed="reward.revoked",
)
EVENT_VOIDED = EventType(
    "milestream.event.voided.v1",
    topics.EVENT_RESULTS,
    outputs.EventVoided,
    id_seed="event.voided",
)
POINTS_REVERSED = EventType(
    "milestream.points.reversed.v1",
    topics.POINTS_EVENTS,
    outputs.PointsReversed,
    id_seed="points",
)
STREAK_REVERTED = EventType(
    "milestream.streak.reverted.v1",
    topics.STREAK_EVENTS,
    outputs.StreakReverted,
    id_seed="streak.reverted",
)
ACTIVITY_REVERTED = EventType(
    "milestream.activity.reverted.v1",
    topics.PATHWAY_EVENTS,
    outputs.ActivityReverted,
    id_seed="activity.reverted",
)

EVENT_FORGOTTEN = EventType(
    "milestream.event.forgotten.v1",
    topics.EVENT_RESULTS,
    outputs.MemberForgotten,
    id_seed="event.forgotten",
)
POINTS_FORGOTTEN = EventType(
    "milestream.points.forgotten.v1",
    topics.POINTS_EVENTS,
    outputs.MemberForgotten,
    id_seed="points.forgotten",
)
"""Besides the record without value on ``member-events``: on each topic whose events have addresses,
in its order, for it is by one topic that a table is rebuilt."""

EVENT_TYPES: Mapping[str, EventType] = {
    each.name: each
    for each in (
        CHALLENGE_LOG_RECORDED,
        CHALLENGE_COMPLETED,
        CHALLENGE_FAILED,
        MILESTONE_REACHED,
        REWARD_GRANTED,
        REWARD_UPDATED,
        POINTS_GRANTED,
        POINTS_REDEEMED,
        POINTS_SPENT,
        POINTS_CAPTURED,
        POINTS_ADJUSTED,
        POINTS_EXPIRED,
        POINTS_REVERSED,
        POINTS_HELD,
        POINTS_RELEASED,
        POINTS_REFUSED,
        POINTS_ACTIVATED,
        POINTS_EXPIRING,
        POINTS_FORGOTTEN,
        EVENT_LOGGED,
        EVENT_VOIDED,
        EVENT_FORGOTTEN,
        STREAK_ADVANCED,
        STREAK_BROKEN,
        STREAK_COMPLETED,
        STREAK_REVERTED,
        MEMBER_ENROLLED,
        MEMBER_UNENROLLED,
        ACTIVITY_PROGRESSED,
        ACTIVITY_COMPLETED,
        ACTIVITY_REVERTED,
        MEMBER_UPSERTED,
        TIER_CHANGED,
        CLOCK_MOVED,
        CHALLENGE_LOG_VOIDED,
        CHALLENGE_REOPENED,
        CHALLENGE_PROGRESS_CORRECTED,
        REWARD_REVOKED,
    )
}
"""Every type by its name."""
