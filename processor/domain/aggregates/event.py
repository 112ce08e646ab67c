"""An event: what its definition makes of it. Metadata, conditions, limit, points.

There is no state but two small entries: how many slots of the limit are used, and what the first
answer to an idempotency key said, with what the event did. The rules are those of
``schemas/README.md#events``.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from processor.domain.aggregates.conditions import MemberFacts, lookup
from processor.domain.aggregates.json_values import FEW, is_huge, type_of
from processor.domain.aggregates.work import Work
from processor.domain.inputs import Refused
from processor.domain.rules import Challenge, Event
from schemas.amounts import MAX_POINTS, RULE, SCALE, AmountError, format_amount, nanos_of
from schemas.dead_letter import Reason
from schemas.definitions import Limits
from schemas.json_limits import exact_number
from schemas.outputs import EventReply
from schemas.records import ABSENT
from schemas.records import Event as EventRecord

DEFAULT_USER_GROUP = "default"


class Answered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first answer to an idempotency key: the reply's body."""

    body: Raw


class Did(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an event did besides what its answer says, to be taken back where it is voided.

    ``timezone`` is the one in which it has a local date. ``slot`` names the slot of its limit that
    it took, ``challenges`` are the ids (16 bytes) of those that it gave a log to, and ``hits`` the
    streaks that it counted for, with the period.
    """

    project: str
    group: str
    at: datetime
    timezone: str
    slot: str | None = None
    challenges: tuple[bytes, ...] = ()
    hits: tuple[tuple[str, str], ...] = ()


class LoggedEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event with an idempotency key: what its first answer said, and what it did.

    ``body`` is the JSON of ``Said``; before 0.5.0 it was the answer itself, and ``did`` was not
    said.
    """

    body: Raw
    did: Did | None = None


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the answer to an event says of it: an ``EventAnswer`` without the names, which took half
    of what all events leave in the store."""

    user_id: str
    event_id: str
    points: int
    type: str
    title: str
    limit: int | None
    maximum_reward: Raw
    metadata: Raw
    condition_reached: bool
    limit_reached: bool
    user_group_id: str


class LimitUsage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many slots of an event's limit a member used in one period."""

    slots: int = 0


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What an event was judged to be: its points, and why it has them or none."""

    points: int
    condition_reached: bool
    limit_reached: bool
    user_group: str

    @property
    def takes_slot(self) -> bool:
        """Whether conditions are met and the limit is not full. A slot is then taken where there is
        a limit, by a live member."""
        return self.condition_reached and not self.limit_reached


_METADATA = msgspec.json.Decoder(dict[str, Any], float_hook=exact_number)


_SAID = msgspec.json.Decoder(Said)
_ANSWER = msgspec.json.Decoder(EventReply)
_ONE = Raw(b"1")


def said(logged: LoggedEvent) -> Said:
    """Return what the first answer to an event said."""
    if bytes(logged.body).startswith(b"["):
        return _SAID.decode(logged.body)
    return Said(*msgspec.structs.astuple(_ANSWER.decode(logged.body).data))


def check_size(record: EventRecord, limits: Limits) -> None:
    """Hold the bytes of an event's metadata, as they came, against what its project takes.

    Raises:
        Refused: they are too many.
    """
    most = limits.metadata_of(by_end_user=record.by_end_user)
    if memoryview(record.metadata).nbytes > most:
        raise Refused(Reason.TOO_LARGE, f"may have at most {most} bytes", "metadata")


def decode_metadata(raw: Raw) -> Mapping[str, Any]:
    """Return an event's metadata, numbers exact; empty where there is none.

    Raises:
        Refused: it is no JSON object, or its text or numbers are none that can be kept.
    """
    if bytes(raw).strip() in (b"", b"null"):
        return {}
    try:
        return _METADATA.decode(raw)
    except msgspec.ValidationError as error:
        raise Refused(Reason.INVALID, _message(error), "metadata") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.INVALID, f"no JSON object: {error}", "metadata") from error


def _message(error: msgspec.ValidationError) -> str:
    text = str(error)
    if text.startswith("Expected `object`"):
        return "must be an object"
    return text.partition(" - at ")[0].lower()


def check_metadata(event: Event, metadata: Mapping[str, Any]) -> None:
    """Hold metadata against the fields that the event defines; others are free.

    Raises:
        Refused: a required field is missing, or one has another type.
    """
    for field in event.fields:
        value = metadata.get(field.key)
        if value is None:
            if field.required:
                raise Refused(Reason.INVALID, "is required", f"metadata.{field.key}")
        elif type_of(value) != field.type:
            article = "an" if field.type in ("array", "object") else "a"
            raise Refused(
                Reason.INVALID, f"must be {article} {field.type}", f"metadata.{field.key}"
            )


def decide(
    event: Event,
    metadata: Mapping[str, Any],
    used: LimitUsage,
    groups: Collection[str] | None,
    *,
    earns: bool,
    member: MemberFacts | None = None,
    work: Work | None = None,
) -> Decided:
    """Judge an event. ``groups`` are those the sender may name, None for any; ``member`` is there
    where the event's conditions ask for it; ``work`` is needed where metadata are not small, or
    more is looked at than the event's own conditions.

    Raises:
        Refused: its value leads to no number of points, or its conditions look at too much.
    """
    met = event.conditions is None or event.conditions(metadata, member, work or Work())
    full = event.limit is not None and used.slots >= event.limit
    group = _user_group(event, metadata, groups)
    points = _points(event, metadata, group) if met and not full and earns else 0
    return Decided(points, met, full, group)


def _user_group(event: Event, metadata: Mapping[str, Any], groups: Collection[str] | None) -> str:
    named = metadata.get("usergroup")
    if groups is not None and isinstance(named, list) and len(named) > FEW:
        groups = frozenset(groups)
    for group in named if isinstance(named, list) else [named]:
        if not isinstance(group, str) or group not in event.rewards:
            continue
        if groups is None or group in groups:
            return group
    return DEFAULT_USER_GROUP


def exact_points(event: Event, metadata: Mapping[str, Any], group: str) -> Fraction:
    """Return what an event gives before it is rounded, never below 0 nor above its maximum."""
    exact = Fraction(event.rewards[group], SCALE)
    if event.type == "TRANSACTION":
        exact *= Fraction(number_field(metadata, event.value_field) or 0, SCALE)
        if event.maximum is not None:
            exact = min(exact, Fraction(event.maximum // SCALE))
    return max(exact, Fraction(0))


def unbounded_points(event: Event, metadata: Mapping[str, Any], group: str) -> int:
    """Return what an event gives, rounded, before its maximum bounds it; it may be below 0."""
    reward = event.rewards[group]
    if event.type != "TRANSACTION":
        return _rounded(reward, SCALE)
    nanos = number_field(metadata, event.value_field)
    return _rounded((nanos or 0) * reward, SCALE * SCALE)


def _points(event: Event, metadata: Mapping[str, Any], group: str) -> int:
    points, blamed = unbounded_points(event, metadata, group), "eventId"
    if event.type == "TRANSACTION":
        blamed = f"metadata.{event.value_field}"
        if event.maximum is not None:
            points = min(points, event.maximum // SCALE)
    if points > MAX_POINTS:
        raise Refused(Reason.INVALID, f"gives more than {MAX_POINTS} points", blamed)
    return max(points, 0)


def number_field(metadata: Mapping[str, Any], field: str | None) -> int | None:
    """Return the nanos of a metadata field, None where it holds no number.

    Raises:
        Refused: a number with more digits than an amount has.
    """
    value = None if field is None else lookup(metadata, field)
    if value is None or type_of(value) != "number":
        return None
    if is_huge(value):
        raise Refused(Reason.INVALID, RULE, f"metadata.{field}")
    try:
        return nanos_of(value if value.__class__ is Decimal else Decimal(value))
    except AmountError as error:
        raise Refused(Reason.INVALID, str(error), f"metadata.{field}") from error


def value_for(challenge: Challenge, metadata: Mapping[str, Any]) -> Raw | None:
    """Return the value of the log that an event gives a challenge, None where it has none to give.

    Without ``valueField`` each event counts as 1. A number that is no amount gives nothing: the
    event itself is good.
    """
    if challenge.value_field is None:
        return _ONE
    try:
        nanos = number_field(metadata, challenge.value_field)
    except Refused:
        nanos = None
    if nanos is not None:
        return _number(nanos)
    return ABSENT if challenge.method == "count" else None


@lru_cache(maxsize=65536)  # prices and counts repeat
def _number(nanos: int) -> Raw:
    return Raw(format_amount(nanos).encode())


def _rounded(number: int, scale: int) -> int:
    """Round ``number`` / ``scale`` to the nearest integer, halves up."""
    return (2 * number + scale) // (2 * scale)
