"""Input records: what producers put on the input topics, as msgspec structs.

``schemas/README.md#input-records`` describes them to producers.

Decoding checks shape and type; unknown fields are ignored. What needs the definitions (is the
challenge known, does it sum) is judged by the fold. Absent and null differ: absent leaves a
member's field as it is, null clears it.
"""

import re
from collections.abc import Mapping, Set
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from schemas import attributes, ids
from schemas.amounts import MAX_POINTS, SCALE, AmountError, parse_amount, parse_sum
from schemas.instants import is_zone
from schemas.json_limits import BOM

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Offset = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(max_length=256)]
Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
Instant = Annotated[datetime, Meta(tz=True)]
MemberStatus = Literal["live", "paused"]
LogStatus = Literal["draft", "live", "paused"]

ABSENT = Raw()
"""The value of a number that is not there. (msgspec cannot decode ``Raw | None``.)"""

_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")


class RecordError(ValueError):
    """A record is understood but not acceptable.

    Attributes:
        field: the field at fault, by its name on the wire; empty for the whole record.
        message: what is wrong with it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class Profile(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The fields of a member that a backend may set; all of them are personal data."""

    first_name: Name | None | UnsetType = UNSET
    last_name: Name | None | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=320)] | None | UnsetType = UNSET
    phone_number: str | None | UnsetType = UNSET
    telephone: Annotated[str, Meta(max_length=64)] | None | UnsetType = UNSET
    country: Name | None | UnsetType = UNSET
    city: Name | None | UnsetType = UNSET
    groups: Annotated[list[Text], Meta(max_length=1000)] | None | UnsetType = UNSET
    timezone: str | None | UnsetType = UNSET
    attributes: dict[str, Raw] | None | UnsetType = UNSET
    """Merged into those that are there; a value of null removes one."""


PROFILE_FIELDS: Mapping[str, str] = {f.name: f.encode_name for f in msgspec.structs.fields(Profile)}
"""A profile field's name in Python, and on the wire."""


class OwnedBy(Profile, kw_only=True, rename="camel", omit_defaults=True):
    """A member, named by its external id and upserted with the fields given."""

    external_id: Text


class Owner(OwnedBy, kw_only=True, rename="camel", omit_defaults=True):
    """A member as it travels: with its fields, or with all of them ``sealed`` under a key of its
    own (`schemas.sealing`)."""

    sealed: str | None = None


class ChallengeLog(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One thing that a member did towards a challenge.

    ``activity_value`` is kept as the number's own text: floats never touch an amount.
    """

    challenge_id: Text
    activity_at: Instant
    activity_id: Text
    unique_identifier: Identifier
    project: str = ids.DEFAULT_PROJECT
    owned_by_id: Text | None = None
    owned_by: Owner | None = None
    activity_value: Raw = ABSENT
    status: LogStatus = "live"


class Event(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Something that a member did, by the name of a defined event.

    ``metadata`` is kept as its own JSON text. ``with_api_key`` and ``by_end_user`` are how the API
    tells who called: a record of a backend has neither.
    """

    event_id: Text
    user_id: Text
    project: str = ids.DEFAULT_PROJECT
    metadata: Raw = ABSENT
    occurred_at: Instant | None = None
    idempotency_key: Identifier | None = None
    ip: Annotated[str, Meta(max_length=64)] | None = None
    with_api_key: bool = True
    by_end_user: bool = False


class Cut(msgspec.Struct, kw_only=True, rename="camel", gc=False):
    """What a recalculation marks a place in the fold of each partition by."""

    recalculation_id: Text


class Tick(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Time on a partition: the record's timestamp. ``ends`` are where the partition's other inputs
    ended when it was written, by topic without prefix: it is folded after those.

    With ``project`` and ``moves_to`` it moves the clock of that project to that moment instead.
    With ``project`` and ``cut`` it changes nothing: where it lies in ``chunk-log``, a recalculation
    of that project tells what was folded before it from what comes after.
    """

    ends: dict[str, int] | UnsetType = UNSET
    project: str | None = None
    moves_to: Instant | None = msgspec.field(default=None, name="now")
    cut: Cut | None = None


class CheckIn(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Where a member checked in. The names are the platform's; ``distance`` in metres, -1 where
    it is not known."""

    event_id: Name | None = msgspec.field(default=None, name="eventID")
    virtual: bool = False
    guid: Name | None = None
    distance: float = -1


class Upload(msgspec.Struct, kw_only=True, gc=False):
    """What a member uploaded."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]


class Fulfilment(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What a member did at an activity. Numbers are kept as their own text."""

    type: Name | None = None
    score: Raw = ABSENT
    value: Raw = ABSENT
    progress: Raw = ABSENT
    checkin: CheckIn | None = None
    upload: Upload | None = None


class ActivityLog(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One thing that a member did at an activity of a pathway."""

    pathway_id: Text
    activity_id: Text
    user_id: Text
    occurred_at: Instant
    unique_identifier: Identifier
    project: str = ids.DEFAULT_PROJECT
    fulfilment: Fulfilment = msgspec.field(default_factory=Fulfilment)


class UpsertMember(
    Owner, kw_only=True, rename="camel", omit_defaults=True, tag_field="type", tag="upsert-member"
):
    """Create a member or change the fields given; a deleted member lives again.

    ``status`` and ``if_version`` serve the records face: a PATCH is one command. ``must_exist``
    makes the command refuse (404) instead of creating; ``only_new`` makes it leave a member that is
    there as it is.
    """

    project: str = ids.DEFAULT_PROJECT
    status: MemberStatus | UnsetType = UNSET
    if_version: int | None = None
    must_exist: bool = False
    only_new: bool = False


class _NamedMember(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A command for a member that is there, named by ``userId`` (external id) or ``memberId``."""

    project: str = ids.DEFAULT_PROJECT
    user_id: Text | None = None
    member_id: Text | None = None
    if_version: int | None = None


class UpdateMemberStatus(
    _NamedMember, kw_only=True, rename="camel", tag_field="type", tag="update-member-status"
):
    """Pause a member or let it live again; only live members earn."""

    status: MemberStatus


class DeleteMember(
    _NamedMember, kw_only=True, rename="camel", tag_field="type", tag="delete-member"
):
    """Erase a member's personal data; its id and counters are kept."""


class ForgetMember(
    _NamedMember, kw_only=True, rename="camel", tag_field="type", tag="forget-member"
):
    """Forget who a member is, on the topics and in all that is kept of them: its id, its counters
    and the identifiers that it used go on.

    ``keys_before`` is an offset on ``member-keys``: keys of its sealed fields that were written
    from there on stay, for who comes back. Without it all end.
    """

    keys_before: Offset | None = None


class UpdateRewardLog(
    _NamedMember,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="update-reward-log",
):
    """Write down how a reward was fulfilled. A field that is absent stays as it is."""

    reward_log_id: Text
    coupon_code: Annotated[str, Meta(max_length=256)] | None | UnsetType = UNSET
    reward_issued_at: Instant | None | UnsetType = UNSET
    reward_expiry_at: Instant | None | UnsetType = UNSET


class RedeemPoints(
    _NamedMember,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="redeem-points",
):
    """Take points from a member; a repeated ``uniqueIdentifier`` takes them once."""

    points: Annotated[int, Meta(ge=1, le=MAX_POINTS)]
    unique_identifier: Identifier
    challenge_group: Text | None = None
    ip: Annotated[str, Meta(max_length=64)] | None = None


Points = Annotated[int, Meta(ge=1, le=MAX_POINTS)]


class _PointsCommand(_NamedMember, kw_only=True, rename="camel", omit_defaults=True):
    """A command that moves points. ``unique_identifier`` is unique within member and type: a
    repeat moves nothing and gets the first answer."""

    unique_identifier: Identifier
    challenge_group: Text | None = None
    reason: Name | None = None


class SpendPoints(
    _PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="spend-points",
):
    """Take points from what is available, all of them or none."""

    points: Points


class HoldPoints(
    _PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="hold-points",
):
    """Reserve points, all of them or none, under the command's ``uniqueIdentifier``; a tick
    releases them at ``until``, by default after seven days."""

    points: Points
    until: Instant | None = None


class CaptureHold(
    _PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="capture-hold",
):
    """Spend what a hold reserves, or ``points`` of it; the rest of the hold is released."""

    hold_identifier: Identifier
    points: Points | None = None


class ReleaseHold(
    _PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="release-hold",
):
    """Give back what a hold reserves."""

    hold_identifier: Identifier


class AdjustPoints(
    _PointsCommand,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="adjust-points",
):
    """Give points by hand, or take them, all or none. ``expires_at`` is that of what is given, in
    a group that has a wallet."""

    points: Annotated[int, Meta(ge=-MAX_POINTS, le=MAX_POINTS)]
    reason: Text
    actor: Name | None = None
    occurred_at: Instant | None = None
    expires_at: Instant | None = None


class Enrol(_NamedMember, kw_only=True, rename="camel", tag_field="type", tag="enrol"):
    """Enrol a member in a pathway: from then on its activities show and count."""

    pathway_id: Text


class Unenrol(_NamedMember, kw_only=True, rename="camel", tag_field="type", tag="unenrol"):
    """Take a member out of a pathway; what was done there is kept."""

    pathway_id: Text


class ReviewActivity(
    _NamedMember, kw_only=True, rename="camel", tag_field="type", tag="review-activity"
):
    """Judge what a member uploaded."""

    pathway_id: Text
    activity_id: Text
    approved: bool


class AssignTier(
    _NamedMember,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="assign-tier",
):
    """Give a member a tier by hand, until a moment or until that is ended (``tierId`` null).

    ``unique_identifier`` is unique within the member's commands of this type: a repeat gets the
    first answer.
    """

    tier_set_id: Text
    tier_id: Text | None
    reason: Text
    unique_identifier: Identifier
    until: Instant | None = None


Voidable = Literal["challenge_log", "event", "redemption", "spend", "capture", "activity_log"]
"""What can be voided."""


class NaturalKey(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What its producer named a thing by, where its id is not known: the fields of
    ``NATURAL_KEYS``."""

    challenge_id: Text | None = None
    pathway_id: Text | None = None
    activity_id: Text | None = None
    unique_identifier: Identifier | None = None
    idempotency_key: Identifier | None = None


NAMED_BY_ID: Set[Voidable] = frozenset({"challenge_log", "event"})
"""What may be named by its id instead of its natural key."""

NATURAL_KEYS: Mapping[Voidable, tuple[str, ...]] = {
    "challenge_log": ("challengeId", "uniqueIdentifier"),
    "event": ("idempotencyKey",),
    "redemption": ("uniqueIdentifier",),
    "spend": ("uniqueIdentifier",),
    "capture": ("uniqueIdentifier",),
    "activity_log": ("pathwayId", "activityId", "uniqueIdentifier"),
}
"""The fields of a natural key, by what is named; its member is the command's."""


class Void(
    _NamedMember,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="void",
):
    """Take back what something did, or a ``portion`` of it (above 0, at most 1, by default 1).

    ``id`` is that of a challenge log or an event log; anything may be named by its natural key
    ``of`` instead. ``rewards`` says whether rewards that are not issued yet are taken back where
    their target is not reached any more. ``unique_identifier`` is unique within the member's
    commands of this type: a repeat gets the first answer.
    """

    what: Voidable
    reason: Text
    unique_identifier: Identifier
    id: Text | None = None
    of: NaturalKey | None = None
    portion: Raw = ABSENT
    actor: Name | None = None
    rewards: Literal["keep", "revoke"] = "keep"


class ReachedMilestone(msgspec.Struct, kw_only=True, rename="camel", gc=False):
    """A milestone that a recalculation found to be reached: when, and with what value."""

    milestone_id: Text
    at: Instant
    value: Raw


class MorePoints(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Points that something should have given beyond those that it gave at ``at``: a milestone, or
    the completion where none is named."""

    points: Points
    at: Instant
    milestone_id: Text | None = None


class CorrectProgress(
    _NamedMember,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag="correct-progress",
):
    """Bring a progress to what a recalculation came to; only recalculations send it.

    All is said of the recalculation's cut, and what was folded since is kept. ``difference`` is
    what the exact sum, or count, is to be more; below 0 it is less, which it becomes only where
    that is ``exact``. ``completed_at`` says that it was completed, and when; ``reopens`` that it
    was not to be. ``reached`` are milestones that had not been reached, ``points`` are for
    what had been given for fewer. ``started_at`` is when the first log counted, and ``apart`` what
    the fold had kept apart (``challenge.Apart``). ``unique_identifier`` is unique within the
    member's commands of this type: a repeat changes nothing and gets the first answer.
    """

    recalculation_id: Text
    challenge_id: Text
    period_key: Annotated[str, Meta(min_length=1, max_length=32)]
    difference: Raw
    unique_identifier: Identifier
    exact: bool = False
    apart: Raw = ABSENT
    started_at: Instant | None = None
    completed_at: Instant | None = None
    reopens: bool = False
    reached: Annotated[list[ReachedMilestone], Meta(max_length=10_000)] = []
    points: Annotated[list[MorePoints], Meta(max_length=10_000)] = []


PathwayCommand = Enrol | Unenrol | ReviewActivity
PointsCommand = SpendPoints | HoldPoints | CaptureHold | ReleaseHold | AdjustPoints
MemberCommand = (
    UpsertMember
    | UpdateMemberStatus
    | DeleteMember
    | ForgetMember
    | UpdateRewardLog
    | RedeemPoints
    | PointsCommand
    | PathwayCommand
    | AssignTier
    | Void
    | CorrectProgress
)
Record = ChallengeLog | Event | ActivityLog | Tick | MemberCommand
"""What an input topic holds."""

_JSON = msgspec.json.Encoder(decimal_format="number")


def encode(record: Record) -> bytes:
    """Return a record's JSON as it goes onto an input topic."""
    return _JSON.encode(record)


def activity_nanos(value: Raw, field: str = "activityValue") -> int | None:
    """Return the nanos of an ``activityValue``, or None where it is absent or null.

    Raises:
        RecordError: not a JSON number, or more digits than an amount has.
    """
    text = bytes(value).strip()
    if text in (b"", b"null"):
        return None
    try:
        return parse_amount(text.decode())
    except (AmountError, UnicodeDecodeError) as error:
        raise RecordError(field, str(error)) from error


class _ProjectOnly(msgspec.Struct):
    project: str | None = None


_PROJECT_ONLY = msgspec.json.Decoder(_ProjectOnly)


def project_of(value: bytes | None) -> str | None:
    """Return the project that an input record names, by whatever else it has; None where it cannot
    be read or names what is no project. Null counts as absent: ``ids.DEFAULT_PROJECT``."""
    try:
        named = _PROJECT_ONLY.decode((value or b"").removeprefix(BOM)).project
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    project = ids.DEFAULT_PROJECT if named is None else named
    return project if ids.is_project(project) else None


@lru_cache(maxsize=4096)
def check_project(project: str) -> str:
    """Return ``project`` where it may name one.

    Raises:
        RecordError: it may not.
    """
    if not ids.is_project(project):
        raise RecordError("project", "must match [a-z0-9][a-z0-9-]{0,62}")
    return project


def check_timezone(name: str) -> str:
    """Return ``name`` where the IANA database has such a zone.

    Raises:
        RecordError: it has not.
    """
    if not is_zone(name):
        raise RecordError("timezone", "must be a time zone of the IANA database")
    return name


def check_uuid(field: str, text: str) -> str:
    """Return the lower-case UUID that ``text`` spells.

    Raises:
        RecordError: it spells none; ``field`` is the name to blame.
    """
    lower = text.lower()
    if not ids.is_uuid(lower):
        raise RecordError(field, "must be a UUID")
    return lower


def check_tick(tick: Tick) -> None:
    """Check that a record of ``ticks`` is a tick, moves a project's clock, or is a cut.

    Raises:
        RecordError: with the field at fault.
    """
    if tick.project is None and tick.moves_to is None and tick.cut is None:
        if tick.ends is UNSET:
            raise RecordError("ends", "is required, or project and now")
        return
    if tick.project is None:
        raise RecordError("project", f"is required beside {'now' if tick.cut is None else 'cut'}")
    if tick.moves_to is None and tick.cut is None:
        raise RecordError("now", "is required beside project")
    if tick.moves_to is not None and tick.cut is not None:
        raise RecordError("now", "must not be given together with cut")
    check_project(tick.project)
    if tick.cut is not None:
        tick.cut.recalculation_id = check_uuid("cut.recalculationId", tick.cut.recalculation_id)


def seal(owner: Owner, text: str | None) -> None:
    """Put a sealed text in the place of a member's fields."""
    for name in PROFILE_FIELDS:
        setattr(owner, name, UNSET)
    owner.sealed = text


def open_sealed(owner: Owner, profile: Profile | None) -> None:
    """Put opened fields in the place of the sealed ones; None: they are absent."""
    owner.sealed = None
    if profile is not None:
        for name in PROFILE_FIELDS:
            setattr(owner, name, getattr(profile, name))


_SEALED = re.compile(r"1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]+")
"""The form of sealed fields: version, id of the key, nonce and ciphertext."""


def check_owner(owner: Owner) -> None:
    """Check what the types of a member cannot say, of its fields or of the form of sealed ones.

    Whether sealed fields can be opened is not asked: a record must be as good after the member was
    forgotten as before.

    Raises:
        RecordError: with the field at fault.
    """
    if owner.sealed is None:
        check_profile(owner)
        return
    if not _SEALED.fullmatch(owner.sealed):
        raise RecordError("sealed", "is in no form that sealed fields have")
    for name, on_the_wire in PROFILE_FIELDS.items():
        if getattr(owner, name) is not UNSET:
            raise RecordError(on_the_wire, "must not be given together with sealed")


def check_profile(profile: Profile) -> None:
    """Check what the types of a profile cannot say: E.164 numbers, zone names and attributes, whose
    values get the form in which they are kept.

    Raises:
        RecordError: with the field at fault.
    """
    if isinstance(profile.phone_number, str) and not _PHONE.fullmatch(profile.phone_number):
        raise RecordError("phoneNumber", "must be E.164, for example +14155552671")
    if isinstance(profile.timezone, str):
        check_timezone(profile.timezone)
    if isinstance(profile.attributes, dict):
        try:
            profile.attributes = attributes.normal(profile.attributes)
        except attributes.AttributesError as error:
            field = f"attributes.{error.name}" if error.name else "attributes"
            raise RecordError(field, str(error)) from error


def check_adjustment(command: AdjustPoints) -> None:
    """Check what the types of an adjustment cannot say.

    Raises:
        RecordError: with the field at fault.
    """
    if command.points == 0:
        raise RecordError("points", "must not be 0")
    if command.expires_at is not None and command.points < 0:
        raise RecordError("expiresAt", "is for points that are given")


def portion_nanos(value: Raw) -> int:
    """Return the nanos of a void's ``portion``: a billion where it is absent.

    Raises:
        RecordError: no JSON number (null is none), not above 0, above 1, or with more than 9
            decimals.
    """
    if not bytes(value):
        return SCALE
    nanos = activity_nanos(value, "portion")
    if nanos is None:
        raise RecordError("portion", "must be a number; leave it out to void the whole")
    if not 0 < nanos <= SCALE:
        raise RecordError("portion", "must be above 0 and at most 1")
    return nanos


def check_void(command: Void) -> None:
    """Check what the types of a void cannot say, and bring its ids to lower case.

    Raises:
        RecordError: with the field at fault.
    """
    if command.id is not None:
        _check_named_by_id(command)
    elif command.of is None:
        if command.what in NAMED_BY_ID:
            raise RecordError("id", "is required, or of")
        raise RecordError("of", "is required")
    else:
        _check_natural_key(command.what, command.of)
    if portion_nanos(command.portion) != SCALE and command.what == "activity_log":
        raise RecordError("portion", "must be 1: an activity log is voided whole")


def sum_nanos(field: str, value: Raw) -> int:
    """Return the nanos of a sum, which may have more digits than an amount.

    Raises:
        RecordError: no plain JSON number, or more than 40 digits before or 9 after the point.
    """
    try:
        return parse_sum(bytes(value).strip().decode())
    except (AmountError, UnicodeDecodeError) as error:
        raise RecordError(field, str(error)) from error


def apart_nanos(command: CorrectProgress) -> int:
    """Return the nanos that a correction says were kept apart.

    Raises:
        RecordError: it says what is no sum.
    """
    return sum_nanos("apart", command.apart) if bytes(command.apart) else 0


def check_correction(command: CorrectProgress) -> None:
    """Check what the types of a correction cannot say, and bring its ids to lower case.

    Raises:
        RecordError: with the field at fault.
    """
    command.recalculation_id = check_uuid("recalculationId", command.recalculation_id)
    command.challenge_id = check_uuid("challengeId", command.challenge_id)
    sum_nanos("difference", command.difference)
    apart_nanos(command)
    if command.reopens and not command.exact:
        raise RecordError("reopens", "is for corrections that are exact")
    if command.reopens and command.completed_at is not None:
        raise RecordError("reopens", "must not be given together with completedAt")
    for reached in command.reached:
        reached.milestone_id = check_uuid("reached.milestoneId", reached.milestone_id)
        sum_nanos("reached.value", reached.value)
    for more in command.points:
        if more.milestone_id is not None:
            more.milestone_id = check_uuid("points.milestoneId", more.milestone_id)
    for field, named in (
        ("reached", [each.milestone_id for each in command.reached]),
        ("points", [each.milestone_id for each in command.points]),
    ):
        if len(set(named)) < len(named):
            raise RecordError(field, "must not name a milestone twice")


def _check_named_by_id(command: Void) -> None:
    if command.of is not None:
        raise RecordError("of", "must not be given together with id")
    if command.what not in NAMED_BY_ID:
        raise RecordError("id", "is for a challenge_log or an event; name anything else by of")
    command.id = check_uuid("id", command.id or "")


def _check_natural_key(what: Voidable, key: NaturalKey) -> None:
    given: Mapping[str, str] = msgspec.to_builtins(key)
    for field in NATURAL_KEYS[what]:
        if field not in given:
            raise RecordError(f"of.{field}", "is required")
    if what == "challenge_log":
        key.challenge_id = check_uuid("of.challengeId", key.challenge_id or "")


def contains_nul(raw: bytes) -> bool:
    """Tell whether a JSON text holds U+0000 in any string, which no record may.

    A backslash before ``\\u0000`` may itself be escaped, so a hit of the quick search is looked
    at again in the decoded value.
    """
    return b"\\u0000" in raw and _holds_nul(msgspec.json.decode(raw))


def _holds_nul(value: object) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return True
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
