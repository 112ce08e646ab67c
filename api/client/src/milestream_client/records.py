"""What Milestream answers, and what its output events carry (`data`), by the names of its records.

Names are in camel case on the wire. Amounts are exact. Fields that a newer Milestream has beside
these are passed over. `tests/unit/api/test_client_drift.py` holds them against the product's own.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

Json = dict[str, Any]
"""A JSON object whose shape is its definition's, or its sender's."""


class Record(msgspec.Struct, kw_only=True, rename="camel"):
    """The base of what is shown: camel-case names, every field present."""


class MemberRecord(Record, kw_only=True):
    """A member, with its personal fields. `version` counts its changes from 1."""

    id: str
    external_id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    telephone: str | None = None
    country: str | None = None
    city: str | None = None
    groups: list[str] = msgspec.field(default_factory=list)
    timezone: str | None = None
    attributes: dict[str, Any] | UnsetType = UNSET
    """One JSON object; left out where the member has none."""
    status: str = "live"
    created_at: datetime
    updated_at: datetime
    version: int


class MemberReference(Record, kw_only=True):
    """What a reply says of a member: who and which version. Personal fields go elsewhere."""

    id: str
    external_id: str
    status: str
    created_at: datetime
    updated_at: datetime
    version: int


class ProgressRecord(Record, kw_only=True):
    """A member's progress in one period of a challenge. Amounts are plain JSON numbers."""

    id: str
    challenge_id: str
    owned_by_id: str
    period_key: str
    aggregation_method: str
    aggregation_period: str
    timezone: str
    current_progress_value: Decimal
    challenge_progress_status: str
    challenge_started_at: datetime
    challenge_completed_at: datetime | None
    challenge_failed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class RewardLogRecord(Record, kw_only=True):
    """The reward for one milestone, member and period; the coupon comes by PATCH."""

    id: str
    owned_by_id: str
    linked_schema_slug: str
    linked_schema_record_id: str
    milestone_id: str
    period_key: str
    coupon_code: str | None = None
    reward_issued_at: datetime | None = None
    reward_expiry_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    version: int
    milestone: Json | None


class MilestoneReachedRecord(Record, kw_only=True):
    """That a member reached a milestone: where, with what value, by what was done when."""

    id: str
    owned_by_id: str
    milestone_id: str
    linked_schema_slug: str
    linked_schema_record_id: str
    period_key: str
    value: Decimal
    reached_at: datetime
    milestone: Json | None


class ChallengeLogRecord(Record, kw_only=True):
    """A challenge log with what it led to: the answer to the POST that made it."""

    id: str
    challenge_id: str
    owned_by_id: str
    activity_at: datetime
    activity_id: str
    unique_identifier: str
    activity_value: Decimal | None
    status: str
    created_at: datetime
    challenge: Json | None
    challenge_progress: ProgressRecord | None
    achieved_milestone: Json | None
    next_milestone: Json | None
    achieved_milestone_reward_log: RewardLogRecord | None
    achieved_milestones: list[Json]
    achieved_milestone_reward_logs: list[RewardLogRecord]


class ChallengeLogRecorded(ChallengeLogRecord, kw_only=True):
    """`data` of `challenge_log.recorded`."""

    definition_version: int


class ChallengeProgressed(ProgressRecord, kw_only=True):
    """`data` of `challenge.completed` and `challenge.failed`."""

    definition_version: int


class ProgressCorrected(Record, kw_only=True):
    """`data` of `challenge_progress.corrected`: a progress before and after the correction that
    a recalculation sent; `before` is null where there was none.

    `difference` is what the exact sum, or count, moved by. `id` is the correction's,
    `unique_identifier` the command's.
    """

    id: str
    recalculation_id: str
    challenge_id: str
    owned_by_id: str
    period_key: str
    difference: Decimal
    before: ProgressRecord | None
    after: ProgressRecord
    unique_identifier: str
    corrected_at: datetime
    definition_version: int


class MilestoneReached(MilestoneReachedRecord, kw_only=True):
    """`data` of `milestone.reached`."""

    definition_version: int


class RewardChanged(RewardLogRecord, kw_only=True):
    """`data` of `reward.granted` and `reward.updated`."""

    definition_version: int


class EventAnswer(Record, kw_only=True):
    """What the events face answers of a logged event. `metadata` is the sender's own text."""

    user_id: str
    event_id: str
    points: int
    type: str
    title: str
    limit: int | None
    maximum_reward: Decimal | None
    metadata: Json | None
    condition_reached: bool
    limit_reached: bool
    user_group_id: str


class EventLogged(EventAnswer, kw_only=True):
    """`data` of `event.logged`. The local date and hour are those of the project's zone."""

    id: str
    owned_by_id: str
    challenge_group: str
    idempotency_key: str | None
    ip: str | None
    occurred_at: datetime
    created_at: datetime
    local_date: str
    local_hour: int
    definition_version: int


class Lot(Record, kw_only=True):
    """Points of one wallet that begin to count and lapse together, as they are afterwards.

    `points` are those left, 0 where the lot is gone. `activates_at` is set while they are
    pending; without `expires_at` they live for ever.
    """

    id: str
    points: int
    activates_at: datetime | None
    expires_at: datetime | None


class Hold(Record, kw_only=True):
    """A hold as it is afterwards. `captured` are the points of it that were spent; `status` is
    open, captured, released or lapsed."""

    hold_identifier: str
    challenge_group: str
    points: int
    captured: int
    status: str
    until: datetime
    opened_at: datetime
    closed_at: datetime | None


class PointsAnswer(Record, kw_only=True):
    """The answer to a command that moves points.

    `points` are as in the command (those taken, where a capture names none); `balance` is the
    group's afterwards, of which `held` are reserved; `until` is a hold's.
    """

    user_id: str
    unique_identifier: str
    challenge_group: str
    points: int
    balance: int
    held: int
    available: int
    until: datetime | None = None


class _LedgerEntry(Record, kw_only=True):
    """What every entry of the ledger says."""

    id: str
    user_id: str
    owned_by_id: str
    action_id: str
    challenge_group: str
    points: int
    balance: int
    total_balance: int
    operation: str
    event_id: str | None
    user_group_id: str
    source_id: str
    ip: str | None
    occurred_at: datetime
    created_at: datetime
    definition_version: int


class PointsChanged(_LedgerEntry, kw_only=True):
    """`data` of `points.granted` and `points.redeemed`: one entry of the ledger.

    `points` is signed; `balance` is its group's afterwards, `total_balance` that of all.
    The fields with a default are left out where they have it. `held` and `pending` are the
    group's afterwards; `cut` is how many points of the grant `cut_by` (`limit`, `earnCap`
    or `maxBalance`) took away; `lots` are those that changed. Where tiers or boosts acted,
    `base` are the points without them, `bonus` what they made more of, `boosts` their ids as
    they acted, and `tier` the member's tiers by their sets.
    """

    held: int = 0
    pending: int = 0
    cut: int = 0
    cut_by: str | None = None
    lots: list[Lot] = []
    base: int | UnsetType = UNSET
    bonus: int | UnsetType = UNSET
    boosts: list[str] | UnsetType = UNSET
    tier: dict[str, str] | UnsetType = UNSET


class PointsMoved(_LedgerEntry, kw_only=True):
    """`data` of `points.spent`, `points.captured`, `points.adjusted` and
    `points.expired`: one entry of the ledger, with `points` signed.

    The fields are those of `PointsChanged`, with `held` and `available` always there.
    `unique_identifier` is the command's; `hold` is the hold that was captured.
    """

    held: int
    available: int
    pending: int = 0
    lots: list[Lot] = []
    unique_identifier: str | None = None
    hold_identifier: str | None = None
    reason: str | None = None
    actor: str | None = None
    hold: Hold | None = None


class PointsReserved(Record, kw_only=True):
    """`data` of `points.held` and `points.released`: no entry of the ledger.

    `points` are those reserved, or given back. `why` is said of a release: released, lapsed
    (by time) or captured (the rest of a hold that was captured in part). `id` is the hold's.
    """

    id: str
    user_id: str
    owned_by_id: str
    challenge_group: str
    points: int
    balance: int
    held: int
    available: int
    hold_identifier: str
    hold: Hold
    occurred_at: datetime
    created_at: datetime
    pending: int = 0
    why: str | None = None
    unique_identifier: str | None = None
    reason: str | None = None


class PointsRefused(Record, kw_only=True):
    """`data` of `points.refused`: a command that asked for no answer and for more points than
    there are. `command` is its type. Nothing was changed, and its identifier stays free."""

    id: str
    user_id: str
    owned_by_id: str
    command: str
    unique_identifier: str
    challenge_group: str
    asked: int
    balance: int
    held: int
    available: int
    occurred_at: datetime
    created_at: datetime
    reason: str | None = None
    actor: str | None = None


class PointsActivated(Record, kw_only=True):
    """`data` of `points.activated`: pending points that count from now on. No entry of the
    ledger: their grant is one."""

    id: str
    user_id: str
    owned_by_id: str
    challenge_group: str
    points: int
    balance: int
    total_balance: int
    held: int
    available: int
    pending: int
    lots: list[Lot]
    occurred_at: datetime
    created_at: datetime


class PointsExpiring(Record, kw_only=True):
    """`data` of `points.expiring`: `points` of one lot will lapse at `expires_at`, in
    `notice_days` local days."""

    id: str
    user_id: str
    owned_by_id: str
    challenge_group: str
    lot_id: str
    points: int
    expires_at: datetime
    notice_days: int
    occurred_at: datetime
    created_at: datetime


class StreakChanged(Record, kw_only=True):
    """`data` of the streak events: a member's streak after what happened.

    `period_key` is the period that was hit, or the first one missed; `current_length` is that
    of the latest run (0 when broken), `run_length` that of the run the hit is in.
    `active_until` is when the current run breaks without another event.
    """

    id: str
    user_id: str
    owned_by_id: str
    streak_id: str
    period: str
    timezone: str
    period_key: str
    current_length: int
    run_length: int
    longest_length: int
    target_length: int
    freezes_left: int
    healed: bool
    status: str
    completed: bool
    started_period_key: str
    active_until: datetime | None
    occurred_at: datetime
    created_at: datetime
    updated_at: datetime
    definition_version: int


class Enrolled(Record, kw_only=True):
    """`data` of `member.enrolled` and `member.unenrolled`."""

    id: str
    user_id: str
    owned_by_id: str
    pathway_id: str
    enrolled: bool
    enrolled_at: datetime | None
    completed_required: int
    required_activities: int
    pathway_completed: bool
    updated_at: datetime
    version: int
    definition_version: int


class ActivityChanged(Record, kw_only=True):
    """`data` of `activity.progressed` and `activity.completed`.

    `progress` is 0 to 100; `fulfilment` is what the pathway-logs face shows of it;
    `timestamp` is when it was completed, else when it was last worked at.
    """

    id: str
    user_id: str
    owned_by_id: str
    pathway_id: str
    activity_id: str
    state: str
    complete: bool
    progress: Decimal
    timestamp: datetime
    fulfilment: Any
    enrolled: bool
    completed_required: int
    required_activities: int
    pathway_completed: bool
    started_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    definition_version: int


class TierChanged(Record, kw_only=True):
    """`data` of `tier.changed`: a member's tier in a set, and what it was.

    `from` and `to` are alike where an assignment begins, changes or ends and the tier stays.
    `since` is when it came to that tier; `until` is the assignment's, left out where none is or
    it has no end. `reason` is earned (a record moved the basis), window (time did), assigned or
    definition; `assigned_because` is what the command said. `value` is the basis then, and
    `version` counts the changes.
    """

    id: str
    user_id: str
    owned_by_id: str
    tier_set_id: str
    from_: str | None = msgspec.field(name="from")
    to: str | None
    reason: str
    since: datetime
    until: datetime | UnsetType = UNSET
    assigned: bool
    assigned_because: str | UnsetType = UNSET
    value: Decimal
    version: int
    occurred_at: datetime
    created_at: datetime
    definition_version: int


class ClockMoved(Record, kw_only=True):
    """`data` of `clock.moved`: one partition has done all that was due in a project by the
    moment that its test clock shows from now on. `version` counts that partition's moves."""

    id: str
    partition: int
    now: datetime
    version: int
    created_at: datetime


class TierAnswer(Record, kw_only=True):
    """The answer to `assign-tier`: the member's tier in the set afterwards."""

    user_id: str
    unique_identifier: str
    tier_set_id: str
    tier_id: str | None
    since: datetime | None
    until: datetime | None
    assigned: bool


class _Voided(Record, kw_only=True):
    """What every event of a void says: the command's `unique_identifier`, `reason` and
    `actor`; its `portion`, and all portions of the thing together; when it was voided."""

    void_id: str
    unique_identifier: str
    reason: str
    actor: str | None = None
    portion: Decimal
    voided_portion: Decimal
    voided_at: datetime


class ChallengeLogVoided(_Voided, kw_only=True):
    """`data` of `challenge_log.voided`: the log that is voided, and the progress after it.

    `change` is what the exact sum, or count, moved by: 0 where the log never counted. `counted`
    says whether it did. `event_log_id` is the event's that fed it, with which it is voided.
    """

    id: str
    challenge_id: str
    owned_by_id: str
    activity_at: datetime
    activity_id: str
    activity_value: Decimal | None
    period_key: str
    counted: bool
    change: Decimal
    challenge_progress: ProgressRecord | None
    event_log_id: str | None = None
    definition_version: int


class EventVoided(_Voided, kw_only=True):
    """`data` of `event.voided`. `points` are those that the event gave, `points_voided`
    those of them that all its voids together took back, recovered or not, and
    `points_voided_now` those that this one did. The others are as in `EventLogged`."""

    id: str
    user_id: str
    owned_by_id: str
    event_id: str
    challenge_group: str
    user_group_id: str
    points: int
    points_voided: int
    points_voided_now: int
    condition_reached: bool
    limit_reached: bool
    occurred_at: datetime
    local_date: str
    local_hour: int
    definition_version: int


class PointsReversed(_LedgerEntry, kw_only=True):
    """`data` of `points.reversed`: one entry of the ledger, which takes back what an event,
    a completion or a milestone gave, or gives back what was spent; `points` is signed.

    `not_recovered` are the points that were to be taken and were not there. `reversed_entry_id`
    is the entry of the ledger whose points these were; where it was a grant, `granted_at` is its
    own time, and `event_id` and `user_group_id` are its. `what` and `voided_id` say what
    was voided. The other fields are those of `PointsMoved`.
    """

    held: int
    available: int
    pending: int = 0
    lots: list[Lot] = []
    not_recovered: int = 0
    granted_at: datetime | None = None
    reversed_entry_id: str
    what: str
    voided_id: str
    void_id: str
    unique_identifier: str
    reason: str
    actor: str | None = None
    portion: Decimal
    voided_portion: Decimal
    voided_at: datetime


class RewardRevoked(RewardChanged, kw_only=True):
    """`data` of `reward.revoked`: a reward that was taken back because what it was for was
    voided. `void_id` is the command's."""

    status: str = "revoked"
    revoked_at: datetime
    void_id: str
    reason: str


class StreakReverted(StreakChanged, kw_only=True):
    """`data` of `streak.reverted`: the streak after a hit was taken back, that of
    `period_key`."""

    void_id: str
    reason: str


class ActivityReverted(ActivityChanged, kw_only=True):
    """`data` of `activity.reverted`: the activity after the log `activity_log_id` was
    voided."""

    activity_log_id: str
    void_id: str
    unique_identifier: str
    reason: str
    actor: str | None = None
    voided_at: datetime


class MemberForgotten(Record, kw_only=True):
    """`data` of `event.forgotten` and `points.forgotten`: from here on nothing tells any more
    who the member is. `id` is the member's; whoever keeps addresses (`ip`) that came before it
    on the topic drops them. `version` is the member's."""

    id: str
    user_id: str
    forgotten_at: datetime
    version: int


class ForgottenAnswer(Record, kw_only=True):
    """The answer to `forget-member`."""

    user_id: str
    member_id: str
    forgotten_at: datetime


class VoidedThing(Record, kw_only=True):
    """What a void was of, in its answer."""

    what: str
    id: str
    user_id: str
    owned_by_id: str
    portion: Decimal
    voided_portion: Decimal
    unique_identifier: str
    reason: str
    actor: str | None
    voided_at: datetime


class ReversedPoints(Record, kw_only=True):
    """The points that a void moved back, all entries together. `reversed` are those that were
    taken (or given back, where a spend was voided), `not_recovered` those that were not there."""

    reversed: int = 0
    not_recovered: int = 0


class RewardReference(Record, kw_only=True):
    """Which reward: its milestone, member and period."""

    reward_log_id: str
    milestone_id: str
    member_id: str
    period_key: str


class VoidAnswer(Record, kw_only=True):
    """The answer to `void`: what it moved. `progress` has one entry for each challenge;
    `not_revoked` are rewards that stay because they were issued."""

    voided: VoidedThing
    progress: list[ProgressRecord]
    points: ReversedPoints
    revoked: list[RewardReference]
    not_revoked: list[RewardReference]


class MemberAnswer(Record, kw_only=True):
    """The answer to a member that is created or changed: with its fields where whoever asks may
    see them."""

    id: str
    version: int
    external_id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
