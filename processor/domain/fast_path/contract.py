"""What the fast path knows of the structs that it reads and writes.

The compiled code repeats their formats. Where a struct has another field than the fast path was
written for, the fast path steps aside: slow and right comes before fast and wrong. Whoever adds a
field teaches the compiled code first, and then this table.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from processor.domain.aggregates.challenge import Progress, ProgressSnapshot, RecordedLog
from processor.domain.aggregates.event import Decided, Did, LimitUsage, LoggedEvent, Said
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.points import Balances, Granted, Purse
from processor.domain.aggregates.reward import Reward
from processor.domain.aggregates.wallet import Earned, Expiry, Lot, Notice, Offer, Start, Steady
from processor.domain.rules import Challenge, Event, Milestone, Subscriptions, Wallet
from schemas import outputs
from schemas.records import ChallengeLog
from schemas.records import Event as EventRecord

KNOWN: Mapping[type, str] = {
    Challenge: (
        "id live method period target timezone starts_at ends_at activity_ids json version "
        "milestones value_field points group by_member"
    ),
    Milestone: "id target live json version points",
    ChallengeLog: (
        "challenge_id activity_at activity_id unique_identifier project owned_by_id owned_by "
        "activity_value status"
    ),
    Member: (
        "project external_id created_at updated_at version status first_name last_name email "
        "phone_number telephone country city groups timezone attributes"
    ),
    Progress: (
        "total status method period timezone started_at completed_at failed_at created_at "
        "updated_at reached reopened"
    ),
    ProgressSnapshot: "total status started_at completed_at failed_at updated_at",
    RecordedLog: (
        "created_at activity_at activity_id status value period_key snapshot reached next did of"
    ),
    Reward: (
        "member_id slug linked_id milestone_id period_key created_at updated_at version "
        "coupon_code issued_at expiry_at revoked_at remembers"
    ),
    outputs.CloudEvent: "specversion id source type subject time datacontenttype sequence data",
    outputs.ChallengeLogRecorded: (
        "id challenge_id owned_by_id activity_at activity_id unique_identifier activity_value "
        "status created_at challenge challenge_progress achieved_milestone next_milestone "
        "achieved_milestone_reward_log achieved_milestones achieved_milestone_reward_logs "
        "definition_version"
    ),
    outputs.ProgressRecord: (
        "id challenge_id owned_by_id period_key aggregation_method aggregation_period "
        "timezone current_progress_value challenge_progress_status challenge_started_at "
        "challenge_completed_at challenge_failed_at created_at updated_at"
    ),
    outputs.ChallengeProgressed: (
        "id challenge_id owned_by_id period_key aggregation_method aggregation_period "
        "timezone current_progress_value challenge_progress_status challenge_started_at "
        "challenge_completed_at challenge_failed_at created_at updated_at definition_version"
    ),
    outputs.MilestoneReached: (
        "id owned_by_id milestone_id linked_schema_slug linked_schema_record_id period_key "
        "value reached_at milestone definition_version"
    ),
    outputs.RewardLogRecord: (
        "id owned_by_id linked_schema_slug linked_schema_record_id milestone_id period_key "
        "coupon_code reward_issued_at reward_expiry_at created_at updated_at version "
        "milestone"
    ),
    outputs.RewardChanged: (
        "id owned_by_id linked_schema_slug linked_schema_record_id milestone_id period_key "
        "coupon_code reward_issued_at reward_expiry_at created_at updated_at version "
        "milestone definition_version"
    ),
    outputs.MemberRecord: (
        "id external_id first_name last_name email phone_number telephone country city groups "
        "timezone attributes status created_at updated_at version"
    ),
}
"""By struct: the names of its fields, in their order, which is that of the JSON."""

KNOWN_OF_EVENTS: Mapping[type, str] = {
    EventRecord: (
        "event_id user_id project metadata occurred_at idempotency_key ip with_api_key by_end_user"
    ),
    Event: (
        "id title active type rewards value_field limit limit_period maximum maximum_json "
        "conditions asks_member fields requires_api_key group version timezone by_member"
    ),
    Subscriptions: "challenges streaks boosts tier_sets",
    Decided: "points condition_reached limit_reached user_group",
    LimitUsage: "slots",
    LoggedEvent: "body did",
    Did: "project group at timezone slot challenges hits",
    Said: (
        "user_id event_id points type title limit maximum_reward metadata condition_reached "
        "limit_reached user_group_id"
    ),
    Balances: "groups",
    Purse: (
        "balance held holds pending expiring overdue lots time_changes slides_on slides_at told "
        "first slid_until merged"
    ),
    Granted: "group points lot at times withdrawn",
    Wallet: (
        "group expiry after dates pending maximum cap cap_period notices timezone version by_member"
    ),
    Lot: "points expires_at activates_at notices slides overdue put_off",
    Notice: "days at",
    Earned: "points",
    Expiry: "day at",
    Start: "day at",
    Steady: "day at later",
    Offer: "points cut cut_by",
    outputs.EventLogged: (
        "user_id event_id points type title limit maximum_reward metadata condition_reached "
        "limit_reached user_group_id id owned_by_id challenge_group idempotency_key ip occurred_at "
        "created_at local_date local_hour definition_version"
    ),
    outputs.PointsChanged: (
        "id user_id owned_by_id action_id challenge_group points balance total_balance operation "
        "event_id user_group_id source_id ip occurred_at created_at definition_version held "
        "pending cut cut_by lots base bonus boosts tier"
    ),
    outputs.Lot: "id points activates_at expires_at",
}
"""The same of events: where one of these differs, only events are left to Python."""


def differences(known_of: Mapping[type, str]) -> list[str]:
    """Return the fields that the fast path does not know, or misses, as ``Struct.field``."""
    return [
        f"{struct.__name__}.{name}"
        for struct, known in known_of.items()
        for name in _differing(known.split(), _field_names(struct))
    ]


def _differing(known: list[str], found: list[str]) -> list[str]:
    if known == found:
        return []
    return sorted(set(known) ^ set(found)) or ["(their order)"]


def _field_names(struct: Any) -> list[str]:
    if is_dataclass(struct):
        return [field.name for field in fields(struct)]
    if issubclass(struct, tuple):
        return list(struct._fields)
    return list(struct.__struct_fields__)
