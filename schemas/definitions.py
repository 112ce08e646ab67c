"""Definitions: the rules that projects set, validated by one set of models.

``schemas/README.md#definitions`` shows them to those who write them.

A definition travels on ``definitions`` under the key ``project/kind/id``; its value is the model's
JSON. ``milestream apply``, ``/definitions`` and the records face all come through ``parse``.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from schemas import activity_types, attributes, ids
from schemas.amounts import MAX_POINTS, amount_decimal, nanos_of
from schemas.durations import parse_duration
from schemas.instants import InstantError, is_zone, parse_instant
from schemas.json_limits import BOM, MAX_DEPTH, exact_number, nests_too_deep

CONDITION_DEPTH = 16

KIB = 1024
MAX_MILESTONES = 200
"""Of one challenge, streak or pathway: a record may cross them all, and its output lists them."""
MAX_CHALLENGES_FED = 200
"""By one event: each is a challenge log, with the challenge's record in it."""
MAX_STREAKS_FED = 50
"""By one event."""
MAX_TIERS = 50
"""Of one set."""
MAX_TIER_SETS = 20
"""Of one project: each of a member's grants is held against all of them."""
DEFINITION_BYTES, MAX_DEFINITION_BYTES = 16 * KIB * KIB, 32 * KIB * KIB
"""Of one project: the values of its records in force. Every process holds the definitions of all
projects, most of them in ten times their bytes, the worst in forty times. So what a project gets by
default can be doubled and no more: who may raise it is the project's own admin."""
MIN_WINDOW_DAYS, MAX_WINDOW_MONTHS = 28, 120
"""Of a rolling window, P1M to P10Y: the shortest month has 28 days, the longest ten years 3,653."""
_DAYS_OF_4800_MONTHS = 146_097
MAX_FAULTS = 20
"""That a refusal names: a short document can have very many."""
MAX_FAULT_FIELD = 160
"""Characters of a field's name, which may be the caller's own."""


class DefinitionError(ValueError):
    """A definition is refused, whole.

    Attributes:
        errors: (field, message) for each thing wrong; fields as on the wire, nested with dots.
    """

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{f}: {m}" if f else m for f, m in errors))
        self.errors = errors


_MONTH_DAY = re.compile(r"[0-9]{2}-[0-9]{2}")


def _number(value: object) -> Decimal:
    """Take a JSON or YAML number; a float is read by its shortest text, as it was written."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic wants a ValueError
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return amount_decimal(nanos_of(exact))


def _instant(value: object) -> datetime:
    if isinstance(value, str):
        return parse_instant(value)
    if isinstance(value, datetime) and value.tzinfo is not None:  # YAML has a type for times
        return value
    raise InstantError("must be an RFC 3339 time with an offset, for example 2026-11-21T10:30:00Z")


def _zone(value: str) -> str:
    if value != MEMBER_ZONE and not is_zone(value):
        raise ValueError(f"must be a time zone of the IANA database, or {MEMBER_ZONE}")
    return value


def _uuid(value: str) -> str:
    if not ids.is_uuid(value.lower()):
        raise ValueError("must be a UUID")
    return value.lower()


def _fulfilment(value: str) -> str:
    if value not in activity_types.FULFILMENTS:
        raise ValueError(f"must be one of {', '.join(sorted(activity_types.FULFILMENTS))}")
    return value


def _duration(value: str) -> str:
    parse_duration(value)
    return value


def _month_day(value: str) -> str:
    """Take a day of the year; 29 February is one, for 2000 had it."""
    try:
        if _MONTH_DAY.fullmatch(value):
            date.fromisoformat(f"2000-{value}")
            return value
    except ValueError:
        pass
    raise ValueError("must be a day of the year, for example 12-31")


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain U+0000")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must not contain a lone surrogate") from error
    return value


def _clean_throughout(value: Any) -> Any:
    """Refuse unclean text anywhere in a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            _clean(item)
        elif isinstance(item, dict):
            pending.extend((*item.keys(), *item.values()))
        elif isinstance(item, list):
            pending.extend(item)
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
LIVE, MANUAL = "live", "manual"
"""The clock of a project: time itself, or one that is moved by hand."""
MEMBER_ZONE = "member"
"""Stands for the time zone of each member."""
Zone = Annotated[
    str,
    AfterValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", MEMBER_ZONE]}),
]
"""A name of the IANA database, or ``MEMBER_ZONE``."""
DurationText = Annotated[str, AfterValidator(_duration)]
MonthDay = Annotated[str, AfterValidator(_month_day)]
Multiplier = Annotated[Number, Field(gt=0, le=1000)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Clean = Annotated[str, AfterValidator(_clean)]
Name = Annotated[Clean, Field(min_length=1, max_length=256)]
Identifier = Annotated[Clean, Field(min_length=1, max_length=256, pattern=r"^[^/]+$")]
Description = Annotated[Clean, Field(max_length=1024)]
Points = Annotated[int, Field(ge=0, le=MAX_POINTS)]
Rate = Annotated[int, Field(ge=0, le=1_000_000)]
Status = Literal["draft", "live", "paused"]
Clock = Literal["live", "manual"]
Period = Literal["daily", "weekly", "monthly", "yearly", "all_time"]
AggregationMethod = Literal["sum", "count"]
LinkedSlug = Literal["challenge", "streak", "pathway"]


class Definition(BaseModel):
    """The base of all kinds: camel-case names on the wire, unknown fields refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_default=True
    )
    kind: ClassVar[str]
    id_alias: ClassVar[str | None] = None
    max_bytes: ClassVar[int] = 64 * KIB
    """Of its JSON: outputs carry it."""

    id: Identifier


class Limits(BaseModel):
    """What a project's callers may take."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    requests_per_second: Rate = 0
    """Of each API key; 0: no limit."""
    user_requests_per_second: Rate = 20
    """Of each end user; 0: no limit."""
    metadata_bytes: Annotated[int, Field(ge=0, le=1_048_576)] = 262_144
    """Of one event."""
    user_metadata_bytes: Annotated[int, Field(ge=0, le=1_048_576)] = 16_384
    """Of one event that an end user sends."""
    definitions_per_kind: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    definition_bytes: Annotated[int, Field(ge=0, le=MAX_DEFINITION_BYTES)] = DEFINITION_BYTES
    """Of all definitions together."""
    token_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """How many days ahead a token's `exp` may lie."""

    def metadata_of(self, *, by_end_user: bool) -> int:
        """Return how many bytes the metadata of one event may have."""
        return self.user_metadata_bytes if by_end_user else self.metadata_bytes


class Project(Definition):
    """A project's settings."""

    kind = "project"
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    name: Name | None = None
    timezone: Zone = "UTC"
    member_spend: bool = False
    clock: Clock = "live"
    limits: Limits = Limits()


class Challenge(Definition):
    """What a member is to do, how it is added up, and over which period."""

    kind = "challenge"
    id: Uuid
    name: Name
    description: Description = ""
    status: Status = "live"
    aggregation_method: AggregationMethod = "sum"
    aggregation_period: Period = "daily"
    completion_target_value: Positive
    timezone: Zone | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    activity_ids: Annotated[list[Name], Field(max_length=1000)] | None = None
    event_ids: Annotated[list[Identifier], Field(max_length=1000)] | None = None
    value_field: Name | None = None
    points_on_completion: Points | None = None
    challenge_group: Identifier = "_default"

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("endsAt: must be after startsAt")
        return self


class Milestone(Definition):
    """A threshold of a challenge, streak or pathway; reaching it gives one reward a period."""

    kind = "milestone"
    id: Uuid
    linked_schema_slug: LinkedSlug = "challenge"
    linked_schema_record_id: Identifier
    name: Name
    description: Description = ""
    milestone_target_value: Positive
    status: Status = "live"
    points: Points | None = None

    @model_validator(mode="before")
    @classmethod
    def _links_to_a_challenge_by_uuid(cls, fields: Any) -> Any:
        given = fields if isinstance(fields, dict) else {}
        linked = given.get("linkedSchemaRecordId")
        slug = given.get("linkedSchemaSlug", "challenge")
        if slug != "challenge" or not isinstance(linked, str):
            return fields
        if not ids.is_uuid(linked.lower()):
            raise ValueError("linkedSchemaRecordId: must be a challenge's id, a UUID")
        return {**given, "linkedSchemaRecordId": linked.lower()}


OF_MEMBER = "member."
"""Begins the path of what is the member's own; such a path never reads metadata."""
OF_ATTRIBUTE = "member.attributes."
OF_TIER = "member.tier."
_OF_MEMBER = frozenset({"member.groups", "member.country", "member.city"})


def _path(value: str) -> str:
    if not value.startswith(OF_MEMBER) or value in _OF_MEMBER:
        return value
    if value.startswith(OF_ATTRIBUTE):
        if attributes.NAME.fullmatch(value.removeprefix(OF_ATTRIBUTE)):
            return value
        raise ValueError(f"must name an attribute, {attributes.NAME_RULE}")
    tier_set = value.removeprefix(OF_TIER)
    if tier_set and tier_set != value and "/" not in tier_set:
        return value
    known = ", ".join((f"{OF_ATTRIBUTE}<name>", *sorted(_OF_MEMBER), f"{OF_TIER}<tierSetId>"))
    raise ValueError(f"of a member, may be {known}")


Path = Annotated[Name, AfterValidator(_path)]


class Condition(BaseModel):
    """One comparison with a field of an event's metadata or of its member, or a group of them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: Literal["AND", "OR"] | None = None
    conditions: Annotated[list["Condition"], Field(max_length=100)] | None = None
    field: Path | None = None
    operator: (
        Literal[
            "equals",
            "not_equals",
            "greater_than",
            "greater_than_or_equals",
            "less_than",
            "less_than_or_equals",
            "in",
            "not_in",
            "contains",
            "exists",
            "not_exists",
        ]
        | None
    ) = None
    value: Annotated[Any, AfterValidator(_clean_throughout)] = None

    @model_validator(mode="after")
    def _is_a_group_or_a_comparison(self) -> Self:
        group = self.type is not None and self.conditions is not None
        comparison = self.field is not None and self.operator is not None
        if group == comparison:
            raise ValueError("must have either type and conditions, or field and operator")
        if self.operator in ("in", "not_in") and not isinstance(self.value, list):
            raise ValueError(f"value: must be a list for {self.operator}")
        return self

    def depth(self) -> int:
        """How deep the groups nest; 1 for a comparison."""
        return 1 + max((c.depth() for c in self.conditions or ()), default=0)

    def paths(self) -> Iterator[str]:
        """Return what the comparisons name, in order."""
        if self.field is not None:
            yield self.field
        for each in self.conditions or ():
            yield from each.paths()

    def asks_member(self) -> bool:
        """Tell whether any comparison is with something of the member."""
        return any(path.startswith(OF_MEMBER) for path in self.paths())


class MetadataField(BaseModel):
    """A field that an event's metadata may or must have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    key: Name
    type: Literal["string", "number", "boolean", "array", "object"]
    required: bool = False


class Event(Definition):
    """Something a member can do that gives points and feeds challenges and streaks."""

    kind = "event"
    id_alias = "eventId"
    title: Name
    description: Description = ""
    status: Literal["ACTIVE", "INACTIVE"] = "ACTIVE"
    challenge_group: Identifier = "_default"
    type: Literal["FIXED", "CONDITIONAL", "TRANSACTION"] = "FIXED"
    reward: dict[Name, Number]
    reward_value_field: Name | None = None
    limit: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    limit_period: Literal["daily", "weekly", "monthly", "unlimited"] = "unlimited"
    maximum_reward: Annotated[Number, Field(ge=0)] | None = None
    conditions: Condition | None = None
    metadata_fields: Annotated[list[MetadataField], Field(max_length=100)] | None = None
    requires_api_key: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if "default" not in self.reward:
            raise ValueError("reward.default: is required")
        if self.type == "TRANSACTION" and self.reward_value_field is None:
            raise ValueError("rewardValueField: is required for type TRANSACTION")
        if self.conditions is not None and self.conditions.depth() > CONDITION_DEPTH:
            raise ValueError(f"conditions: must not nest deeper than {CONDITION_DEPTH}")
        return self


class Streak(Definition):
    """Consecutive periods in which a member did something."""

    kind = "streak"
    id_alias = "streakId"
    event_ids: Annotated[list[Identifier], Field(min_length=1, max_length=1000)]
    period: Literal["daily", "weekly", "monthly"] = "daily"
    target_length: Annotated[int, Field(ge=1, lt=2**31)]
    timezone: Zone | None = None
    freezes: Annotated[int, Field(ge=0, le=100)] = 0


class Expiry(BaseModel):
    """When the points of a wallet lapse."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: Literal["none", "rolling", "calendar", "sliding"]
    after: DurationText | None = None
    dates: Annotated[list[MonthDay], Field(max_length=366)] | None = None


class EarnCap(BaseModel):
    """How many points a period may give."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    points: Annotated[int, Field(ge=1, le=MAX_POINTS)]
    period: Literal["daily", "weekly", "monthly", "yearly"]


class Wallet(Definition):
    """How the points of one challenge group wait, lapse and are capped; ``id`` is the group."""

    kind = "wallet"
    name: Name
    expiry: Expiry = Expiry(type="none")
    pending_for: DurationText | None = None
    max_balance: Annotated[int, Field(ge=1, le=MAX_POINTS)] | None = None
    earn_cap: EarnCap | None = None
    notice_days: Annotated[list[Annotated[int, Field(ge=1, le=3650)]], Field(max_length=5)] = []
    timezone: Zone | None = None

    @model_validator(mode="after")
    def _lapses_as_its_type_says(self) -> Self:
        type_, expiry = self.expiry.type, self.expiry
        if type_ in ("rolling", "sliding") and expiry.after is None:
            raise ValueError(f"expiry.after: is required for type {type_}")
        if type_ == "none" and expiry.after is not None:
            raise ValueError("expiry.after: is not for type none")
        if type_ == "calendar" and not expiry.dates:
            raise ValueError("expiry.dates: is required for type calendar")
        if type_ != "calendar" and expiry.dates is not None:
            raise ValueError("expiry.dates: is for type calendar")
        if len(set(self.notice_days)) != len(self.notice_days):
            raise ValueError("noticeDays: must differ")
        return self


class Boost(Definition):
    """Multiplies the points of events that happen while it runs."""

    kind = "boost"
    name: Name
    multiplier: Multiplier
    starts_at: Instant
    ends_at: Instant | None = None
    event_ids: Annotated[list[Identifier], Field(max_length=1000)] | None = None
    wallets: Annotated[list[Identifier], Field(max_length=1000)] | None = None
    conditions: Condition | None = None
    stacking: Literal["multiply", "add", "highest"] = "multiply"
    max_bonus: Annotated[Number, Field(ge=0)] | None = None
    status: Status = "live"

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("endsAt: must be after startsAt")
        if self.conditions is not None and self.conditions.depth() > CONDITION_DEPTH:
            raise ValueError(f"conditions: must not nest deeper than {CONDITION_DEPTH}")
        return self


class TierBasis(BaseModel):
    """What a member's tier is judged by."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
    type: Literal["earned", "balance", "progress"]
    wallet: Identifier | None = None
    challenge_id: Uuid | None = None


class TierWindow(BaseModel):
    """The time whose points a tier is judged by."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: Literal["lifetime", "calendar_year", "rolling"] = "lifetime"
    length: DurationText | None = None


class Tier(BaseModel):
    """One tier of a set."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    id: Identifier
    name: Name
    threshold: Annotated[Number, Field(ge=0)]
    multiplier: Multiplier | None = None


class TierSet(Definition):
    """Tiers that members rise to, and may fall from."""

    kind = "tier-set"
    name: Name
    basis: TierBasis
    window: TierWindow | None = None
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=MAX_TIERS)]
    downgrade: Literal["none", "one_down", "to_basis"] | None = None
    """None: ``none`` for all that was ever earned or is had now, else ``to_basis``."""
    grace: DurationText | None = None
    wallets: Annotated[list[Identifier], Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _goes_by_its_basis(self) -> Self:
        basis, window = self.basis, self.window
        if basis.type == "progress":
            if basis.challenge_id is None:
                raise ValueError("basis.challengeId: is required for type progress")
            if basis.wallet is not None:
                raise ValueError("basis.wallet: is not for type progress")
            if window is not None:
                raise ValueError("window: is not for basis progress, which has its period")
        elif basis.challenge_id is not None:
            raise ValueError("basis.challengeId: is for type progress")
        if basis.type == "balance" and window not in (None, TierWindow()):
            raise ValueError("window: is not for basis balance, which is as it is now")
        return self

    @model_validator(mode="after")
    def _has_a_window_of_its_length(self) -> Self:
        window = self.window
        if window is None or window.type != "rolling":
            if window is not None and window.length is not None:
                raise ValueError("window.length: is for type rolling")
            return self
        if window.length is None:
            raise ValueError("window.length: is required for type rolling")
        length = parse_duration(window.length)
        left = MAX_WINDOW_MONTHS - length.months
        too_short = not length.months and length.days < MIN_WINDOW_DAYS
        if length.exact or too_short or length.days > -(-left * _DAYS_OF_4800_MONTHS // 4800):
            raise ValueError("window.length: must be whole days, P1M to P10Y")
        return self

    @model_validator(mode="after")
    def _rises(self) -> Self:
        thresholds = [tier.threshold for tier in self.tiers]
        for place, (one, following) in enumerate(pairwise(thresholds), 1):
            if following <= one:
                raise ValueError(f"tiers.{place}.threshold: must be above the one before")
        names = [tier.id for tier in self.tiers]
        if len(set(names)) != len(names):
            raise ValueError("tiers: ids must differ")
        return self


class Leaderboard(Definition):
    """Members ranked by points."""

    kind = "leaderboard"
    event_ids: list[Identifier] | None = None
    groups: list[Name] | None = None


class ActivityData(BaseModel):
    """What a data activity measures, and what it is to reach."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    category: Name
    formula: Literal["sum", "latest", "average", "max"] = "latest"
    target: Positive


class PathwayActivity(BaseModel):
    """One activity of a pathway. Types are lower-case names (``schemas.activity_types``)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
    id: Identifier
    name: Name
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]{0,63}$")]
    fulfilment_type: Annotated[str, AfterValidator(_fulfilment)]
    required: bool = True
    level: Annotated[int, Field(ge=1, le=4)] = 1
    pass_score: Annotated[Number, Field(ge=0)] = Decimal(0)
    data: ActivityData | None = None

    @model_validator(mode="after")
    def _measures_what_it_says(self) -> Self:
        if self.data is None and (
            self.type == activity_types.DATA or self.fulfilment_type in activity_types.MEASURED
        ):
            raise ValueError("data: is required where something is measured")
        if self.type in ("type", "state", "progress", "timestamp"):  # fields of a fulfilment
            raise ValueError(f"type: must not be {self.type}")
        return self


class Pathway(Definition):
    """Activities that enrolled members work through."""

    kind = "pathway"
    max_bytes = 1024 * KIB
    name: Name
    activities: Annotated[list[PathwayActivity], Field(max_length=1000)]

    @model_validator(mode="after")
    def _activities_differ(self) -> Self:
        seen = [activity.id for activity in self.activities]
        if len(set(seen)) != len(seen):
            raise ValueError("activities: ids must differ")
        return self


KINDS: Mapping[str, type[Definition]] = {
    model.kind: model
    for model in (
        *(Project, Challenge, Milestone, Event, Streak, Leaderboard, Pathway),
        *(Wallet, Boost, TierSet),
    )
}


def definition_key(project: str, kind: str, definition_id: str) -> str:
    """Return the key of a definition's record: ``project/kind/id``."""
    return f"{project}/{kind}/{definition_id}"


def split_key(key: str) -> tuple[str, str, str]:
    """Return (project, kind, id) of a definition's key.

    Raises:
        DefinitionError: it is none.
    """
    parts = key.split("/", 2)
    if len(parts) != 3 or not ids.is_project(parts[0]) or parts[1] not in KINDS or not parts[2]:
        raise DefinitionError([("", "the key must be project/kind/id")])
    return parts[0], parts[1], parts[2]


def parse(kind: str, fields: Mapping[str, Any]) -> Definition:
    """Return the definition of ``kind`` that ``fields`` (wire names; no kind, no project) give.

    Raises:
        DefinitionError: with every field at fault.
    """
    model = KINDS.get(kind)
    if model is None:
        raise DefinitionError([("kind", f"must be one of {', '.join(KINDS)}")])
    given = {name: value for name, value in fields.items() if value is not None}
    for name in ("activities", "metadataFields", "tiers"):
        if isinstance(given.get(name), list):
            given[name] = [_without_nulls(each) for each in given[name]]
    if kind == Wallet.kind:
        given = {name: _without_nulls(value) for name, value in given.items()}
    if model.id_alias and model.id_alias in given:
        alias = given.pop(model.id_alias)
        if given.setdefault("id", alias) != alias:
            raise DefinitionError([(model.id_alias, "must equal id where both are given")])
    try:
        definition = model.model_validate(given)
        size = len(encode(definition))
    except ValidationError as error:
        raise DefinitionError(_reasons(error)) from error
    except RecursionError as error:
        raise DefinitionError([("", "nests too deep")]) from error
    except UnicodeEncodeError as error:
        raise DefinitionError([("", "must not contain a lone surrogate")]) from error
    if size > model.max_bytes:
        too_large = f"is the largest of {size} bytes; a {kind} has at most {model.max_bytes}"
        raise DefinitionError([(_largest_field(definition), too_large)])
    return definition


def _without_nulls(value: object) -> object:
    """Return a nested model's fields without those that are null, which count as absent."""
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(each) for name, each in value.items() if each is not None}


def _largest_field(definition: Definition) -> str:
    fields = wire_fields(definition)
    return max(fields, key=lambda name: len(_JSON.encode(fields[name])))


def _reasons(error: ValidationError) -> list[tuple[str, str]]:
    """Return (field, message) of the first of pydantic's errors, and how many more there are."""
    found = error.errors(include_url=False, include_input=False)
    reasons = [_reason(each) for each in found[:MAX_FAULTS]]
    if len(found) > MAX_FAULTS:
        reasons.append(("", f"and {len(found) - MAX_FAULTS} more"))
    return reasons


def _reason(error: Any) -> tuple[str, str]:
    """Return (field, message) of one of pydantic's errors."""
    field = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if not field and ": " in message:  # a model's own check names its field itself
        field, message = message.split(": ", 1)
    return field if len(field) <= MAX_FAULT_FIELD else field[:MAX_FAULT_FIELD] + "…", message


def wire_fields(definition: Definition) -> dict[str, Any]:
    """Return a definition's fields by their wire names, defaults included."""
    return definition.model_dump(by_alias=True)


_JSON = msgspec.json.Encoder(decimal_format="number")


def encode(definition: Definition) -> bytes:
    """Return the value of a definition's record: its JSON, numbers exact."""
    return _JSON.encode(wire_fields(definition))


_NUMBERS = msgspec.json.Decoder(float_hook=exact_number)


def decode_numbers(raw: bytes) -> Any:
    """Return a JSON document with every number exact: ints, and ``Decimal`` for the rest.

    Raises:
        msgspec.DecodeError: no JSON (NaN and infinities are none), or a number out of range.
        RecursionError: it nests too deep.
    """
    raw = raw.removeprefix(BOM)
    if nests_too_deep(raw):
        raise RecursionError(f"nests deeper than {MAX_DEPTH}")
    return _NUMBERS.decode(raw)
