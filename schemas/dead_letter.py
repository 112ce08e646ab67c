"""Dead letters: refused records with their original place and bytes, and the marks of a redrive."""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from schemas.topics import MAX_VALUE_BYTES

ORIGIN = "milestream-origin"
"""Header of a forwarded record: where it lay first, as JSON of ``Origin``."""
ATTEMPTS = "milestream-attempts"
"""Header of a redriven record: how often it was tried before, as decimal text."""


class Reason(StrEnum):
    """Why a record was refused; closed, and part of the public interface."""

    MALFORMED = "malformed"
    INVALID = "invalid"
    MISPLACED = "misplaced"
    UNKNOWN_CHALLENGE = "unknown_challenge"
    UNKNOWN_MEMBER = "unknown_member"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_PATHWAY = "unknown_pathway"
    UNKNOWN_ACTIVITY = "unknown_activity"
    UNKNOWN_TIER_SET = "unknown_tier_set"
    UNKNOWN_TIER = "unknown_tier"
    INACTIVE = "inactive"
    INSUFFICIENT_POINTS = "insufficient_points"
    """Only of a reply: without one asked for it is the event ``points.refused``."""
    UNKNOWN_HOLD = "unknown_hold"
    HOLD_CLOSED = "hold_closed"
    TOO_MANY_HOLDS = "too_many_holds"
    MEMBER_PAUSED = "member_paused"
    UNKNOWN_LOG = "unknown_log"
    BELONGS_TO_EVENT = "belongs_to_event"
    NOT_VOIDABLE = "not_voidable"
    OVER_VOIDED = "over_voided"
    REWARD_REVOKED = "reward_revoked"
    TOO_LARGE = "too_large"
    POISON = "poison"


class Header(msgspec.Struct, frozen=True):
    """One header of the original record; ``value`` is base64, null where it had none."""

    key: str
    value: str | None


class DeadLetter(msgspec.Struct, kw_only=True):
    """A refused record.

    ``topic`` has no prefix. ``value`` is base64 (null: the record had none, or too large a one).
    ``key`` is text, or base64 where ``key_encoding`` says so. ``at`` is the record's own timestamp,
    for the fold knows no clock.
    """

    reason: str
    message: str
    project: str | None
    topic: str
    partition: int
    offset: int
    key: str | None
    key_encoding: str = msgspec.field(name="keyEncoding", default="utf-8")
    value: str | None
    headers: list[Header]
    attempts: int
    at: datetime

    def original_key(self) -> bytes | None:
        """Return the record's key as it was."""
        if self.key is None:
            return None
        return b64decode(self.key) if self.key_encoding == "base64" else self.key.encode()

    def original_value(self) -> bytes | None:
        """Return the record's value as it was, None where it is not carried."""
        return None if self.value is None else b64decode(self.value)

    def original_headers(self) -> list[tuple[str, bytes | None]]:
        """Return the record's headers as they were."""
        return [(h.key, None if h.value is None else b64decode(h.value)) for h in self.headers]


class PlacedLetter(DeadLetter, kw_only=True):
    """A dead letter as read back.

    ``place`` is no part of it: where whoever reads it from its topic found it (``schemas.places``).
    """

    place: int = 0


Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Origin(msgspec.Struct, frozen=True):
    """Where a forwarded record lay first; ``key`` is base64, ``timestamp`` in milliseconds."""

    topic: str
    partition: Whole
    offset: Whole
    timestamp: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    key: str | None


def encode(letter: DeadLetter) -> bytes:
    """Return a dead letter's JSON.

    What does not fit is left out, the value first, then key and headers; the message says so, and
    the original stays in its topic for ever.
    """
    text = msgspec.json.encode(letter)
    if len(text) > MAX_VALUE_BYTES and letter.value is not None:
        size = len(letter.original_value() or b"")
        message = f"{letter.message}; its {size} bytes stay in the topic"
        letter = msgspec.structs.replace(letter, value=None, message=message)
        text = msgspec.json.encode(letter)
    if len(text) > MAX_VALUE_BYTES:
        message = f"{letter.message}; its key and headers stay in the topic"
        letter = msgspec.structs.replace(letter, key=None, headers=[], message=message)
        text = msgspec.json.encode(letter)
    return text


def key_text(key: bytes | None) -> tuple[str | None, str]:
    """Return a key as text, and how: UTF-8 where it is, else base64."""
    if key is None:
        return None, "utf-8"
    try:
        return key.decode(), "utf-8"
    except UnicodeDecodeError:
        return b64encode(key).decode(), "base64"


def base64_text(value: bytes | None) -> str | None:
    """Return bytes as a dead letter carries them."""
    return None if value is None else b64encode(value).decode()


def headers_json(headers: Iterable[tuple[str, bytes | None]]) -> list[Header]:
    """Return headers as a dead letter carries them."""
    return [
        Header(name.encode("utf-8", "backslashreplace").decode(), base64_text(value))
        for name, value in headers
    ]


def attempts_of(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return how often a record with these headers was tried, this time included."""
    for name, value in headers:
        if name == ATTEMPTS and value is not None and value.isdigit() and len(value) < 9:
            return int(value) + 1
    return 1
