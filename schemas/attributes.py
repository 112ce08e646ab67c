"""A member's attributes: names that a project chooses, with plain values.

They are personal data, kept and published as one JSON object whose numbers are exact. Names that
are given are merged into those that are there; null removes one.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from schemas.amounts import AmountError, format_amount, parse_amount
from schemas.json_limits import exact_number

MAX_NAMES = 100
MAX_BYTES = 16 * 1024
"""Of all of a member's attributes, as UTF-8 JSON without spaces."""
NONE = Raw(b"{}")
"""The attributes of a member that has none."""

Given = dict[str, Raw]
"""Attributes as they are sent: JSON values by name, null where one is to be removed."""

NAME_RULE = "1 to 64 of the characters A-Z a-z 0-9 _ . -"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TEXTS = msgspec.json.Decoder(str | bool | list[str] | None)
_OBJECT = msgspec.json.Decoder(Given)
_VALUES = msgspec.json.Decoder(dict[str, Any], float_hook=exact_number)
_FIRST_OF_NUMBER = b"-0123456789"
_REMOVED = Raw(b"null")


class AttributesError(ValueError):
    """An attribute is not acceptable.

    Attributes:
        name: which, empty where it is the whole of them or a name that is none.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def normal(given: Mapping[str, Raw]) -> Given:
    """Return attributes with each value's JSON in the one form in which it is kept.

    Raises:
        AttributesError: a name or value that no attribute has.
    """
    return {_named(name): _normal(name, value) for name, value in given.items()}


def merged(before: Raw, given: Mapping[str, Raw]) -> Raw:
    """Return attributes with those given changed or removed; ``before`` where none of them is.

    Args:
        before: what the member has, as one JSON object.
        given: as ``normal`` returns it.

    Raises:
        AttributesError: the result has too many names, or too many bytes.
    """
    kept = _OBJECT.decode(before)
    both = {**kept, **given}
    after = {name: value for name, value in both.items() if value != _REMOVED}
    if after == kept:
        return before
    if len(after) > MAX_NAMES:
        raise AttributesError("", f"would be more than {MAX_NAMES}")
    encoded = msgspec.json.encode(after)
    if len(encoded) > MAX_BYTES:
        raise AttributesError("", f"would be more than {MAX_BYTES} bytes")
    return Raw(encoded)


def decoded(attributes: Raw) -> Mapping[str, Any]:
    """Return a member's attributes by name, numbers exact."""
    return _VALUES.decode(attributes)


def _named(name: str) -> str:
    if not NAME.fullmatch(name):
        raise AttributesError("", f"a name has {NAME_RULE}")
    return name


def _normal(name: str, value: Raw) -> Raw:
    text = bytes(value).strip()
    try:
        if text[:1] in _FIRST_OF_NUMBER:
            return Raw(format_amount(parse_amount(text.decode())).encode())
        return Raw(msgspec.json.encode(_TEXTS.decode(text)))
    except AmountError as error:
        raise AttributesError(name, str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = "must be a text, a number, a boolean or a list of texts"
        raise AttributesError(name, message) from error
