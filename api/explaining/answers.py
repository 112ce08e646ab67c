"""What explanations look like."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from api.explaining.places import Place
from api.http.numbers import number_text
from schemas.amounts import format_amount
from schemas.outputs import NULL


class Input(msgspec.Struct, rename="camel", kw_only=True):
    """A record that led to something: where it was first sent, when what it says happened, what it
    says, what it added, and what there was after it."""

    topic: str
    partition: int
    offset: int
    time: datetime
    value: Raw
    added: Raw
    after: Raw


class Definition(msgspec.Struct, rename="camel", kw_only=True):
    """A definition as it was when an input was folded; `version` is its offset in `definitions`."""

    kind: str
    id: str
    version: int
    definition: dict[str, Any]


class Explanation(msgspec.Struct, rename="camel", kw_only=True):
    """Which inputs led to something, in the order in which they were folded, by which rules; and by
    which recalculation, where one corrected it."""

    kind: str
    id: str
    member_id: str
    inputs: list[Input]
    definitions: list[Definition]
    recalculation: str | UnsetType = UNSET


class Uncounted(msgspec.Struct, rename="camel", kw_only=True):
    """A log that is nothing to a milestone, and why."""

    topic: str
    partition: int
    offset: int
    time: datetime
    value: Raw
    why: str


class WhyNot(msgspec.Struct, rename="camel", kw_only=True):
    """How far a user is from a milestone in a period, and which logs are nothing to it."""

    milestone_id: str
    period_key: str
    reached: bool
    target: Raw
    value: Raw
    missing: Raw
    counted: int
    not_counted: list[Uncounted]


def input_at(place: Place, time: datetime, *, value: Raw, added: Raw, after: Raw) -> Input:
    """Return the input of a place as it is answered."""
    return Input(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        time=time,
        value=value,
        added=added,
        after=after,
    )


def amount(nanos: int) -> Raw:
    """Return an amount's JSON."""
    return Raw(format_amount(nanos).encode())


def number(value: Decimal | None) -> Raw:
    """Return the JSON of a decimal of the database, null for None."""
    return NULL if value is None else Raw(number_text(value).encode())
