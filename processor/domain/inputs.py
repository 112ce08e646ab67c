"""Reading one input record: bytes in, a typed record with its member out, or a refusal."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from processor.domain.trace import Trace
from schemas import dry_runs, ids, records
from schemas.dead_letter import ORIGIN, Origin, Reason
from schemas.instants import InstantError, utc
from schemas.json_limits import BOM, MAX_DEPTH, nests_too_deep
from schemas.records import (
    ActivityLog,
    AdjustPoints,
    AssignTier,
    ChallengeLog,
    CorrectProgress,
    Event,
    HoldPoints,
    MemberCommand,
    Owner,
    RecordError,
    Tick,
    UpdateRewardLog,
    UpsertMember,
    Void,
    check_adjustment,
    check_correction,
    check_owner,
    check_project,
    check_tick,
    check_uuid,
    check_void,
    contains_nul,
)
from schemas.topics import (
    ACTIVITY_LOGS,
    CHALLENGE_LOGS,
    DRY_RUNS,
    EVENTS,
    MAX_RECORD_BYTES,
    MEMBER_COMMANDS,
    TICKS,
)
from schemas.wire_values import cut_fractions, without_nulls

AHEAD = timedelta(hours=24)
"""How far a record's own times may lie after its timestamp."""

MAX_TIMESTAMP = 253_370_764_800_000
"""The year 9999: a day after a record's timestamp must still be a date."""

MAX_MESSAGE = 500
"""A decoder's message may quote what it refuses; so much of it is enough."""


class Record(Protocol):
    """A record as the Kafka client gives it; ``timestamp`` in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Refused(Exception):
    """A record changes nothing; it becomes a dead letter, and its sender is told why."""

    def __init__(self, reason: Reason, message: str, field: str = "", status: int = 0) -> None:
        """``status`` is the answer's HTTP status where it does not follow from the reason."""
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.field = field

    def anew(self) -> "Refused":
        """Return one that says the same. Whoever keeps it, keeps no traceback, and so no fold."""
        return Refused(self.reason, self.message, self.field, self.status)


class Place(NamedTuple):
    """The partition that is folded, how many there are, and who may be answered where."""

    partition: int
    partitions: int
    reply_partitions: Mapping[str, int]


class Input(msgspec.Struct, frozen=True, gc=False):
    """A record and where it lay first: as it came, or before it was forwarded."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    forwarded: bool
    trace: Trace | None = None
    """Collects what its answer is to say of the rules, where its sender asks for that."""


class Read(msgspec.Struct, frozen=True, gc=False):
    """An input that could be read, and whose it is. Only its form is known to be good."""

    input: Input
    record: records.Record
    project: str
    member_id: str
    sealed: Owner | None = None
    """The part of the record whose fields are sealed; its place is ``record``, or in it."""


_Decoder = (
    msgspec.json.Decoder[ChallengeLog]
    | msgspec.json.Decoder[Event]
    | msgspec.json.Decoder[ActivityLog]
    | msgspec.json.Decoder[Tick]
    | msgspec.json.Decoder[MemberCommand]
)
_DECODERS: Mapping[str, _Decoder] = {
    CHALLENGE_LOGS: msgspec.json.Decoder(ChallengeLog),
    EVENTS: msgspec.json.Decoder(Event),
    ACTIVITY_LOGS: msgspec.json.Decoder(ActivityLog),
    TICKS: msgspec.json.Decoder(Tick),
    MEMBER_COMMANDS: msgspec.json.Decoder(MemberCommand),
}
_ORIGIN = msgspec.json.Decoder(Origin)


def as_it_came(topic: str, partition: int, record: Record) -> Input:
    """Return the input that a record of ``topic`` (without prefix) is, where it lies."""
    headers = record.headers
    return Input(
        topic,
        partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        headers,
        False,
        Trace() if headers and dry_runs.asks_for_trace(headers) else None,
    )


def as_it_lay_first(source: Input) -> Input:
    """Return the input that a record of ``forwarded`` was before.

    Raises:
        Refused: it has no origin that can be read; only workers write there.
    """
    headers = list(source.headers)
    # The worker adds its header as the last; one of the same name may have been there before.
    last = next((i for i in reversed(range(len(headers))) if headers[i][0] == ORIGIN), None)
    raw = None if last is None else headers.pop(last)[1]
    try:
        origin = _ORIGIN.decode(raw or b"")
        key = None if origin.key is None else b64decode(origin.key, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "forwarded without its origin") from error
    if origin.topic not in _DECODERS:
        raise Refused(Reason.MALFORMED, "forwarded from a topic that is no input")
    return Input(
        origin.topic,
        origin.partition,
        origin.offset,
        origin.timestamp,
        key,
        source.value,
        headers,
        True,
        source.trace,
    )


def origin_header(source: Input) -> tuple[str, bytes]:
    """Return the header that tells where a forwarded record lay first."""
    key = None if source.key is None else b64encode(source.key).decode()
    origin = Origin(source.topic, source.partition, source.offset, source.timestamp, key)
    return ORIGIN, msgspec.json.encode(origin)


def read(source: Input) -> Read:
    """Decode an input and find whose it is.

    Raises:
        Refused: too large, out of time, no JSON of its topic's shape, or of no possible member.
    """
    value = source.value
    if value is None or not value.strip():
        raise Refused(Reason.MALFORMED, "the record has no value")
    if _size(source) > MAX_RECORD_BYTES:
        raise Refused(Reason.TOO_LARGE, f"the record is larger than {MAX_RECORD_BYTES} bytes")
    if source.headers and any(name == dry_runs.DRY_RUN for name, _ in source.headers):
        message = f"a dry run belongs onto the topic {DRY_RUNS}"
        raise Refused(Reason.INVALID, message, dry_runs.DRY_RUN)
    value = value.removeprefix(BOM)
    if nests_too_deep(value):
        raise Refused(Reason.MALFORMED, f"the record nests deeper than {MAX_DEPTH}")
    try:
        record = _decode(source.topic, value)
        if contains_nul(value):
            raise Refused(Reason.INVALID, "text must not contain U+0000")
    except msgspec.ValidationError as error:
        field, message = _blame(error)
        raise Refused(Reason.INVALID, message, field) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"no JSON object: {error}") from error
    if not 0 <= source.timestamp <= MAX_TIMESTAMP:
        raise Refused(Reason.INVALID, "the record's timestamp is no time since 1970")
    if source.trace is not None and isinstance(record, Event) and record.by_end_user:
        source.trace.for_end_user()
    try:
        project, member = _whose(record)
    except RecordError as error:
        raise Refused(Reason.INVALID, error.message, error.field) from error
    return Read(source, record, project, member, _sealed_in(record))


def _whose(record: records.Record) -> tuple[str, str]:
    """Bring a record's times to UTC; return its project and its member's id, of a tick neither.

    Raises:
        RecordError: it is of no possible member, or a time lies outside of the calendar.
    """
    if isinstance(record, Tick):
        check_tick(record)
        if record.moves_to is not None:
            record.moves_to = _utc("now", record.moves_to)
        return "", ""
    _bring_to_utc(record)
    project = check_project(record.project)
    return project, _member_of(project, record)


def _sealed_in(record: records.Record) -> Owner | None:
    """Return the part of a record whose fields are sealed."""
    owner = record.owned_by if isinstance(record, ChallengeLog) else record
    return owner if isinstance(owner, Owner) and owner.sealed is not None else None


def _decode(topic: str, value: bytes) -> records.Record:
    """Decode a record; null is looked for only where it is refused."""
    value = cut_fractions(value)
    try:
        return _DECODERS[topic].decode(value)
    except msgspec.ValidationError:
        lenient = without_nulls(value)
        if lenient is value:
            raise
        return _DECODERS[topic].decode(lenient)


def _size(source: Input) -> int:
    """Return the bytes of key, value and headers."""
    size = len(source.value or b"") + len(source.key or b"")
    for name, value in source.headers:
        try:
            size += len(name.encode()) + len(value or b"")
        except UnicodeEncodeError as error:
            raise Refused(Reason.MALFORMED, "a header's name is not UTF-8") from error
    return size


def not_ahead(recorded_at: datetime, field: str, moment: datetime) -> None:
    """Check that a time lies at most 24 h after its record was recorded.

    Raises:
        Refused: it lies further ahead.
    """
    if moment > recorded_at + AHEAD:
        raise Refused(Reason.INVALID, "lies more than 24 hours after the record", field)


def _bring_to_utc(record: ChallengeLog | Event | ActivityLog | MemberCommand) -> None:
    if isinstance(record, ChallengeLog):
        record.activity_at = _utc("activityAt", record.activity_at)
    elif isinstance(record, Event | ActivityLog):
        if record.occurred_at is not None:
            record.occurred_at = _utc("occurredAt", record.occurred_at)
    else:
        _bring_command_to_utc(record)


def _bring_command_to_utc(record: MemberCommand) -> None:
    if isinstance(record, UpdateRewardLog):
        if isinstance(record.reward_issued_at, datetime):
            record.reward_issued_at = _utc("rewardIssuedAt", record.reward_issued_at)
        if isinstance(record.reward_expiry_at, datetime):
            record.reward_expiry_at = _utc("rewardExpiryAt", record.reward_expiry_at)
    elif isinstance(record, HoldPoints | AssignTier):
        if record.until is not None:
            record.until = _utc("until", record.until)
    elif isinstance(record, AdjustPoints):
        if record.occurred_at is not None:
            record.occurred_at = _utc("occurredAt", record.occurred_at)
        if record.expires_at is not None:
            record.expires_at = _utc("expiresAt", record.expires_at)
    elif isinstance(record, CorrectProgress):
        _bring_correction_to_utc(record)


def _bring_correction_to_utc(record: CorrectProgress) -> None:
    if record.started_at is not None:
        record.started_at = _utc("startedAt", record.started_at)
    if record.completed_at is not None:
        record.completed_at = _utc("completedAt", record.completed_at)
    for reached in record.reached:
        reached.at = _utc("reached.at", reached.at)
    for more in record.points:
        more.at = _utc("points.at", more.at)


def _utc(field: str, moment: datetime) -> datetime:
    try:
        return utc(moment)
    except InstantError as error:
        raise RecordError(field, str(error)) from error


def _member_of(project: str, record: ChallengeLog | Event | ActivityLog | MemberCommand) -> str:
    if isinstance(record, ChallengeLog):
        return _owner_of(project, record)
    if isinstance(record, Event | ActivityLog):
        return ids.member_id(project, record.user_id)
    if isinstance(record, UpsertMember):
        check_owner(record)
        return ids.member_id(project, record.external_id)
    if isinstance(record, AdjustPoints):
        check_adjustment(record)
    elif isinstance(record, Void):
        check_void(record)
    elif isinstance(record, CorrectProgress):
        check_correction(record)
    if record.member_id is not None and record.user_id is not None:
        raise RecordError("memberId", "must not be given together with userId")
    if record.member_id is not None:
        return check_uuid("memberId", record.member_id)
    if record.user_id is not None:
        return ids.member_id(project, record.user_id)
    raise RecordError("userId", "is required, or memberId")


def _owner_of(project: str, log: ChallengeLog) -> str:
    if log.owned_by is not None:
        if log.owned_by_id is not None:
            raise RecordError("ownedById", "must not be given together with ownedBy")
        try:
            check_owner(log.owned_by)
        except RecordError as error:
            raise RecordError(f"ownedBy.{error.field}", error.message) from error
        return ids.member_id(project, log.owned_by.external_id)
    if log.owned_by_id is None:
        raise RecordError("ownedById", "is required, or ownedBy")
    return check_uuid("ownedById", log.owned_by_id)


def _blame(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split msgspec's message into the field at fault and what is wrong with it."""
    message, _, path = str(error).rpartition(" - at `$")
    if not message:  # the record itself, not a field of it
        message, path = path, ""
    field, message = path.rstrip("`").lstrip("."), message[:MAX_MESSAGE]
    if message.startswith("Object missing required field"):
        return ".".join(part for part in (field, message.split("`")[1]) if part), "is required"
    return field, message[0].lower() + message[1:]
