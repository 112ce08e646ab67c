"""What can be sent: one struct for each record of the input topics, typed by what it is answered.

What counts something has an identity from the moment it is made: `unique_identifier` or
`idempotency_key`, which is a new one where none is given. It is the same however often the object
is sent, so that Milestream knows a repeat: **make one object an intent, and send that again**, or
give it a name of your own (an order's number), which lives longer than your process.

The other commands (`UpsertMember`, `UpdateMemberStatus`, `DeleteMember`, `ForgetMember`,
`UpdateRewardLog`, `Enrol`, `Unenrol`, `ReviewActivity`) have none: a repeat is a new command, and
undoes what others did in between. They are not sent again by themselves once they may have
been taken.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from milestream_client import records
from milestream_client.errors import InvalidWrite
from milestream_client.identity import DEFAULT_PROJECT, member_id, new_identifier
from milestream_client.records import Json

A = TypeVar("A")
"""What a write is answered."""

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=256)]
Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
Instant = Annotated[datetime, Meta(tz=True)]
Amount = int | Decimal
Points = Annotated[int, Meta(ge=1, le=10**12)]
LogStatus = Literal["draft", "live", "paused"]
MemberStatus = Literal["live", "paused"]
Voidable = Literal["challenge_log", "event", "redemption", "spend", "capture", "activity_log"]
Attribute = str | int | float | bool | list[str] | None

IDENTITIES = frozenset({"unique_identifier", "idempotency_key"})
"""The fields by which Milestream knows a repeat."""

_JSON = msgspec.json.Encoder(decimal_format="number")


class Write(msgspec.Struct, Generic[A], kw_only=True, rename="camel", omit_defaults=True):
    """Anything that can be sent. Its `project` is for Kafka: over HTTP it is the credentials'."""

    topic: ClassVar[str] = "member-commands"
    """The input topic, without prefix."""
    answer_type: ClassVar[type[Any]] = dict

    def member(self) -> str:
        """Return the id of the member that it is about, by which it is placed.

        Raises:
            InvalidWrite: none is named, or two.
        """
        raise NotImplementedError

    def may_repeat(self) -> bool:
        """Tell whether it may be sent again while nobody knows whether it was taken.

        Only what has an identity may: Milestream folds any other repeat as a new command.
        """
        return not IDENTITIES.isdisjoint(self.__struct_fields__)


class Profile(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What may be said of a member. Left out: stays as it is. None: is cleared."""

    first_name: Name | None | UnsetType = UNSET
    last_name: Name | None | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=320)] | None | UnsetType = UNSET
    phone_number: str | None | UnsetType = UNSET
    telephone: Annotated[str, Meta(max_length=64)] | None | UnsetType = UNSET
    country: Name | None | UnsetType = UNSET
    city: Name | None | UnsetType = UNSET
    groups: Annotated[list[Text], Meta(max_length=1000)] | None | UnsetType = UNSET
    timezone: str | None | UnsetType = UNSET
    attributes: dict[str, Attribute] | None | UnsetType = UNSET
    """Merged into those that are there; None as a value removes one."""


class OwnedBy(Profile, kw_only=True, rename="camel", omit_defaults=True):
    """A member by its external id, created or changed in the fields given."""

    external_id: Text


class ChallengeLog(
    Write[records.ChallengeLogRecord], kw_only=True, rename="camel", omit_defaults=True
):
    """One thing that a member, `owned_by` or `owned_by_id`, did towards a challenge."""

    topic: ClassVar[str] = "challenge-logs"
    answer_type: ClassVar[type[Any]] = records.ChallengeLogRecord

    project: str = DEFAULT_PROJECT
    challenge_id: Text
    activity_at: Instant
    activity_id: Text
    unique_identifier: Identifier = field(default_factory=new_identifier)
    owned_by_id: Text | None = None
    owned_by: OwnedBy | None = None
    activity_value: Amount | None = None
    status: LogStatus = "live"

    def member(self) -> str:
        """Return the id of its member."""
        if self.owned_by is not None:
            if self.owned_by_id is not None:
                raise InvalidWrite("ownedById", "must not be given together with ownedBy")
            return member_id(self.owned_by.external_id, self.project)
        if self.owned_by_id is None:
            raise InvalidWrite("ownedById", "is required, or ownedBy in its place")
        return self.owned_by_id.lower()


class Event(Write[records.EventAnswer], kw_only=True, rename="camel", omit_defaults=True):
    """Something that a member did, by the name of a defined event."""

    topic: ClassVar[str] = "events"
    answer_type: ClassVar[type[Any]] = records.EventAnswer

    project: str = DEFAULT_PROJECT
    event_id: Text
    user_id: Text
    metadata: Json | None = None
    occurred_at: Instant | None = None
    idempotency_key: Identifier = field(default_factory=new_identifier)
    ip: Annotated[str, Meta(max_length=64)] | None = None

    def member(self) -> str:
        """Return the id of its member."""
        return member_id(self.user_id, self.project)


class CheckIn(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a member checked in; `distance` in metres, -1 where it is not known."""

    event_id: Name | None = field(default=None, name="eventID")
    virtual: bool = False
    guid: Name | None = None
    distance: float = -1


class Upload(msgspec.Struct, kw_only=True):
    """What a member uploaded."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]


class Fulfilment(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What a member did at an activity."""

    type: Name | None = None
    score: Amount | None = None
    value: Amount | None = None
    progress: Amount | None = None
    checkin: CheckIn | None = None
    upload: Upload | None = None


class ActivityLog(Write[Json], kw_only=True, rename="camel", omit_defaults=True):
    """One thing that a member did at an activity of a pathway. Over Kafka alone."""

    topic: ClassVar[str] = "activity-logs"

    project: str = DEFAULT_PROJECT
    pathway_id: Text
    activity_id: Text
    user_id: Text
    occurred_at: Instant
    unique_identifier: Identifier = field(default_factory=new_identifier)
    fulfilment: Fulfilment = field(default_factory=Fulfilment)

    def member(self) -> str:
        """Return the id of its member."""
        return member_id(self.user_id, self.project)


class Command(Write[A], kw_only=True, rename="camel", omit_defaults=True):
    """What is to happen to a member, whom `user_id` (external id) or `member_id` names.

    With `if_version` it is refused where the member has another version; that is for Kafka alone.
    Such a one is not sent again by itself: its repeat would be refused because of the first one.
    """

    project: str = DEFAULT_PROJECT
    user_id: Text | None = None
    member_id: Text | None = None
    if_version: int | None = None

    def member(self) -> str:
        """Return the id of its member."""
        if (self.user_id is None) == (self.member_id is None):
            raise InvalidWrite("userId", "is required, or memberId in its place, not both")
        return member_id(self.user_id, self.project) if self.user_id else str(self.member_id)

    def may_repeat(self) -> bool:
        """Tell whether a repeat does what the first one does; see `Write.may_repeat`."""
        return self.if_version is None and super().may_repeat()


class UpsertMember(
    Write[records.MemberAnswer],
    OwnedBy,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="upsert-member",
):
    """Create a member, or change the fields given. The last three fields are for Kafka alone."""

    answer_type: ClassVar[type[Any]] = records.MemberAnswer

    project: str = DEFAULT_PROJECT
    status: MemberStatus | UnsetType = UNSET
    if_version: int | None = None
    must_exist: bool = False
    only_new: bool = False

    def member(self) -> str:
        """Return the id of the member."""
        return member_id(self.external_id, self.project)


class UpdateMemberStatus(
    Command[Json],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="update-member-status",
):
    """Pause a member or let it live again. Over Kafka alone."""

    status: MemberStatus


class DeleteMember(
    Command[Json],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="delete-member",
):
    """Erase a member's personal fields. Over Kafka alone."""


class ForgetMember(
    Command[records.ForgottenAnswer],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="forget-member",
):
    """Forget who a member is, on the topics as well."""

    answer_type: ClassVar[type[Any]] = records.ForgottenAnswer


class UpdateRewardLog(
    Command[Json],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="update-reward-log",
):
    """Write down how a reward was fulfilled. Over Kafka alone."""

    reward_log_id: Text
    coupon_code: Name | None | UnsetType = UNSET
    reward_issued_at: Instant | None | UnsetType = UNSET
    reward_expiry_at: Instant | None | UnsetType = UNSET


class RedeemPoints(
    Command[Json],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="redeem-points",
):
    """Take points from a member, as the game-mechanics face does. Over Kafka alone."""

    points: Points
    unique_identifier: Identifier = field(default_factory=new_identifier)
    challenge_group: Text | None = None
    ip: Annotated[str, Meta(max_length=64)] | None = None


class PointsCommand(
    Command[records.PointsAnswer], kw_only=True, rename="camel", omit_defaults=True
):
    """A command that moves points."""

    answer_type: ClassVar[type[Any]] = records.PointsAnswer

    unique_identifier: Identifier = field(default_factory=new_identifier)
    challenge_group: Text | None = None
    reason: Name | None = None


class SpendPoints(
    PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="spend-points",
):
    """Take points from what is available, all of them or none."""

    points: Points


class HoldPoints(
    PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="hold-points",
):
    """Reserve points until they are captured or released, at `until` by themselves."""

    points: Points
    until: Instant | None = None


class CaptureHold(
    PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="capture-hold",
):
    """Spend what a hold reserves, or `points` of it."""

    hold_identifier: Identifier
    points: Points | None = None


class ReleaseHold(
    PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="release-hold",
):
    """Give back what a hold reserves."""

    hold_identifier: Identifier


class AdjustPoints(
    PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="adjust-points",
):
    """Give points by hand, or take them (below 0)."""

    points: Annotated[int, Meta(ge=-(10**12), le=10**12)]
    reason: Text
    actor: Name | None = None
    occurred_at: Instant | None = None
    expires_at: Instant | None = None


class Enrol(
    Command[Json], kw_only=True, rename="camel", omit_defaults=True, tag_field="type", tag="enrol"
):
    """Enrol a member in a pathway. Over Kafka alone."""

    pathway_id: Text


class Unenrol(
    Command[Json], kw_only=True, rename="camel", omit_defaults=True, tag_field="type", tag="unenrol"
):
    """Take a member out of a pathway. Over Kafka alone."""

    pathway_id: Text


class ReviewActivity(
    Command[Json],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="review-activity",
):
    """Judge what a member uploaded. Over Kafka alone."""

    pathway_id: Text
    activity_id: Text
    approved: bool


class AssignTier(
    Command[records.TierAnswer],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="assign-tier",
):
    """Give a member a tier by hand; None as `tier_id` ends that."""

    answer_type: ClassVar[type[Any]] = records.TierAnswer

    tier_set_id: Text
    tier_id: Text | None
    reason: Text
    unique_identifier: Identifier = field(default_factory=new_identifier)
    until: Instant | None = None


class NaturalKey(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What its sender named a thing by."""

    challenge_id: Text | None = None
    pathway_id: Text | None = None
    activity_id: Text | None = None
    unique_identifier: Identifier | None = None
    idempotency_key: Identifier | None = None


class Void(
    Command[records.VoidAnswer],
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="void",
):
    """Take back what something did, or a `portion` of it. A challenge log and an event may be named
    by `id`, anything by `of`."""

    answer_type: ClassVar[type[Any]] = records.VoidAnswer

    what: Voidable
    reason: Text
    unique_identifier: Identifier = field(default_factory=new_identifier)
    id: Text | None = None
    of: NaturalKey | None = None
    portion: Amount | UnsetType = UNSET
    actor: Name | None = None
    rewards: Literal["keep", "revoke"] = "keep"


def encoded(write: Write[Any]) -> bytes:
    """Return the JSON of a write as it goes onto its topic, checked as far as its types go.

    Raises:
        InvalidWrite: with the field at fault.
    """
    write.member()
    try:
        value = _JSON.encode(write)
        msgspec.json.decode(value, type=type(write))
    except msgspec.ValidationError as error:
        raise _named(str(error)) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidWrite("", f"is no JSON: {error}") from error
    return value


def fields(write: Write[Any]) -> dict[str, msgspec.Raw]:
    """Return the JSON of each field of a write, by its name on the wire; see `encoded`."""
    return msgspec.json.decode(encoded(write), type=dict[str, msgspec.Raw])


def _named(why: str) -> InvalidWrite:
    """Return what msgspec says, "Expected `str` - at `$.eventId`" for one, by its field."""
    message, at, place = why.rpartition(" - at `$")
    return (
        InvalidWrite(place.strip("`").removeprefix("."), message) if at else InvalidWrite("", why)
    )


COMMANDS: Mapping[str, type[Write[Any]]] = {
    str(each.__struct_config__.tag): each
    for each in (
        UpsertMember,
        UpdateMemberStatus,
        DeleteMember,
        ForgetMember,
        UpdateRewardLog,
        RedeemPoints,
        SpendPoints,
        HoldPoints,
        CaptureHold,
        ReleaseHold,
        AdjustPoints,
        Enrol,
        Unenrol,
        ReviewActivity,
        AssignTier,
        Void,
    )
}
"""The commands of `member-commands`, by their `type`."""
