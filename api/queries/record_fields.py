"""The records by slug: their fields, and the column of the read model that holds each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Literal, LiteralString, get_args

from schemas import definitions
from schemas.instants import zones
from schemas.records import LogStatus, MemberStatus


class Kind(Enum):
    """The kind of a field's values, named as in SQL."""

    UUID = "uuid"
    TEXT = "text"
    NUMBER = "numeric"
    TIME = "timestamptz"
    TEXTS = "text[]"
    OBJECT = "jsonb"
    """It is shown, and neither filtered nor sorted by."""


@dataclass(frozen=True)
class Field:
    """A field that one column holds; it can be filtered and sorted by.

    Attributes:
        values: the only texts that the field can have; empty: any.
        silent: SQL of the column's values that are not shown, unless the field is asked for by its
            name: what nobody voided looks as if there were no voids. Empty: all are shown.
    """

    name: str
    column: str
    kind: Kind
    nullable: bool = False
    values: tuple[str, ...] = ()
    silent: LiteralString = ""

    @cached_property
    def allowed(self) -> frozenset[str]:
        """The same texts, as a set."""
        return frozenset(self.values)


@dataclass(frozen=True, eq=False)  # singletons, used as keys of caches
class Records:
    """One slug.

    Attributes:
        table: the read model, in the schema `milestream`.
        fields: the record's own fields that can be filtered and sorted by, in the order in which
            they are shown.
        only_shown: its own fields that cannot, after these.
        id_column: the column of `id`.
        joined: the fields that come from other read models, after the own ones.
        versioned: whether there is a column `version`, which makes the ETag.
        hides_deleted: whether rows can have the status `deleted`, which are not shown.
        history: the read models that say with the table what was so at an earlier moment; without
            any nobody can ask for that.
        waits_for: the read models that an answer is made from.
    """

    slug: str
    table: str
    fields: tuple[Field, ...]
    waits_for: tuple[str, ...]
    id_column: str = "id"
    only_shown: tuple[Field, ...] = ()
    joined: tuple[str, ...] = ()
    versioned: bool = True
    hides_deleted: bool = False
    history: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """Return an own field by its name."""
        return next((field for field in self.fields if field.name == name), None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All fields of the record, by name."""
        return (*(field.name for field in (*self.fields, *self.only_shown)), *self.joined)


def _uuid(name: str, column: str, *, nullable: bool = False) -> Field:
    return Field(name, column, Kind.UUID, nullable)


def _text(name: str, column: str, *, nullable: bool = False) -> Field:
    return Field(name, column, Kind.TEXT, nullable)


def _word(name: str, column: str, values: object) -> Field:
    """Return a field with the texts of a `Literal`."""
    return Field(name, column, Kind.TEXT, values=get_args(values))


def _zone(name: str, column: str, *besides: str, nullable: bool = False) -> Field:
    return Field(name, column, Kind.TEXT, nullable, (*sorted(zones()), *besides))


def _number(name: str, column: str, *, nullable: bool = False) -> Field:
    return Field(name, column, Kind.NUMBER, nullable)


def _time(name: str, column: str, *, nullable: bool = False) -> Field:
    return Field(name, column, Kind.TIME, nullable)


ProgressStatus = Literal["in_progress", "completed", "failed"]
"""The states of a progress."""

RewardStatus = Literal["granted", "issued", "revoked"]
"""The states of a reward."""

_WRITTEN = (_time("createdAt", "created_at"), _time("updatedAt", "updated_at"))

CHALLENGE = Records(
    slug="challenge",
    table="challenges",
    fields=(
        _uuid("id", "id"),
        _text("name", "name"),
        _text("description", "description"),
        _word("status", "status", definitions.Status),
        _word("aggregationMethod", "aggregation_method", definitions.AggregationMethod),
        _word("aggregationPeriod", "aggregation_period", definitions.Period),
        _number("completionTargetValue", "completion_target_value"),
        _zone("timezone", "timezone", definitions.MEMBER_ZONE, nullable=True),
        _time("startsAt", "starts_at", nullable=True),
        _time("endsAt", "ends_at", nullable=True),
        Field("activityIds", "activity_ids", Kind.TEXTS, nullable=True),
        Field("eventIds", "event_ids", Kind.TEXTS, nullable=True),
        _text("valueField", "value_field", nullable=True),
        _number("pointsOnCompletion", "points_on_completion", nullable=True),
        _text("challengeGroup", "challenge_group"),
        *_WRITTEN,
    ),
    waits_for=("challenges",),
)

MILESTONE = Records(
    slug="milestone",
    table="milestones",
    fields=(
        _uuid("id", "id"),
        _word("linkedSchemaSlug", "linked_schema_slug", definitions.LinkedSlug),
        _text("linkedSchemaRecordId", "linked_schema_record_id"),
        _text("name", "name"),
        _text("description", "description"),
        _number("milestoneTargetValue", "milestone_target_value"),
        _word("status", "status", definitions.Status),
        _number("points", "points", nullable=True),
        *_WRITTEN,
    ),
    waits_for=("milestones",),
)

MEMBER = Records(
    slug="member",
    table="members",
    id_column="member_id",
    fields=(
        _uuid("id", "member_id"),
        _text("externalId", "external_id"),
        _text("firstName", "first_name", nullable=True),
        _text("lastName", "last_name", nullable=True),
        _text("email", "email", nullable=True),
        _text("phoneNumber", "phone_number", nullable=True),
        _text("telephone", "telephone", nullable=True),
        _text("country", "country", nullable=True),
        _text("city", "city", nullable=True),
        Field("groups", "groups", Kind.TEXTS),
        _zone("timezone", "timezone", nullable=True),
        _word("status", "status", MemberStatus),
        *_WRITTEN,
        _number("version", "version"),
    ),
    only_shown=(Field("attributes", "attributes", Kind.OBJECT),),
    # A deleted member keeps its id and counters, but has no record.
    hides_deleted=True,
    waits_for=("members",),
)

CHALLENGE_PROGRESS = Records(
    slug="challenge_progress",
    table="challenge_progress",
    fields=(
        _uuid("id", "id"),
        _uuid("challengeId", "challenge_id"),
        _uuid("ownedById", "member_id"),
        _text("periodKey", "period_key"),
        _word("aggregationMethod", "aggregation_method", definitions.AggregationMethod),
        _word("aggregationPeriod", "aggregation_period", definitions.Period),
        _zone("timezone", "timezone"),
        _number("currentProgressValue", "current_progress_value"),
        _word("challengeProgressStatus", "status", ProgressStatus),
        _time("challengeStartedAt", "challenge_started_at"),
        _time("challengeCompletedAt", "challenge_completed_at", nullable=True),
        _time("challengeFailedAt", "challenge_failed_at", nullable=True),
        *_WRITTEN,
    ),
    versioned=False,
    waits_for=("challenge_progress",),
    history=("challenge_logs", "challenge_progress_history"),
)

REWARD_LOG = Records(
    slug="reward_log",
    table="reward_logs",
    fields=(
        _uuid("id", "id"),
        _uuid("ownedById", "member_id"),
        _word("linkedSchemaSlug", "linked_schema_slug", definitions.LinkedSlug),
        _text("linkedSchemaRecordId", "linked_schema_record_id"),
        _uuid("milestoneId", "milestone_id"),
        _text("periodKey", "period_key"),
        _text("couponCode", "coupon_code", nullable=True),
        _time("rewardIssuedAt", "reward_issued_at", nullable=True),
        _time("rewardExpiryAt", "reward_expiry_at", nullable=True),
        *_WRITTEN,
        _number("version", "version"),
        Field(
            "status",
            "status",
            Kind.TEXT,
            values=get_args(RewardStatus),
            silent="'granted', 'issued'",
        ),
    ),
    joined=("milestone",),
    waits_for=("reward_logs", "milestones"),
)

CHALLENGE_LOG = Records(
    slug="challenge_log",
    table="challenge_logs",
    fields=(
        _uuid("id", "id"),
        _uuid("challengeId", "challenge_id"),
        _uuid("ownedById", "member_id"),
        _time("activityAt", "activity_at"),
        _text("activityId", "activity_id"),
        _text("uniqueIdentifier", "unique_identifier"),
        _number("activityValue", "activity_value", nullable=True),
        _word("status", "status", LogStatus),
        _time("createdAt", "created_at"),
        Field("voidedPortion", "voided_portion", Kind.NUMBER, silent="0"),
    ),
    joined=(
        "challenge",
        "challengeProgress",
        "achievedMilestone",
        "nextMilestone",
        "achievedMilestoneRewardLog",
        "achievedMilestones",
        "achievedMilestoneRewardLogs",
    ),
    versioned=False,
    waits_for=("challenge_logs", "reward_logs", "challenges", "milestones"),
)

RECORDS: Mapping[str, Records] = {
    records.slug: records
    for records in (CHALLENGE_LOG, CHALLENGE, MILESTONE, CHALLENGE_PROGRESS, REWARD_LOG, MEMBER)
}
"""Every slug of the records face."""
