"""What two JSON values are to each other: their types, whether they are equal, and what of a list
is equal to a value.

Numbers are exact, ints and ``Decimal`` (no decoder of ours makes others). 1 is 1.0, and true is
not 1.
"""

from collections.abc import Mapping, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import msgspec

FEW = 8
"""Elements that are compared one by one: to prepare so few takes longer."""

_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "number",
    Decimal: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
"""By the class that a JSON decoder makes."""


def type_of(value: Any) -> str:
    """Return the JSON name of a value's type."""
    return _TYPES.get(value.__class__, "null")


_HUGE_BITS = 1400
"""More than any ``Decimal`` of a JSON text has before its point (``LARGEST_EXPONENT``)."""


def is_huge(number: Any) -> bool:
    """Tell whether a number is an int beyond every ``Decimal``: to compare it with one takes Python
    a time that is quadratic in its digits."""
    return number.__class__ is int and number.bit_length() > _HUGE_BITS


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal, with their types: true is not 1.

    Without recursion, for metadata may nest deeper than Python recurses.
    """
    pending = [(one, other)]
    while pending:
        a, b = pending.pop()
        if type_of(a) != type_of(b):
            return False
        if isinstance(a, dict):
            if a.keys() != b.keys():
                return False
            pending.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list):
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
        elif _are_apart(a, b) or a != b:
            return False
    return True


def _are_apart(a: Any, b: Any) -> bool:
    return a.__class__ is not b.__class__ and (is_huge(a) or is_huge(b))


def among(value: Any, items: list[Any]) -> bool:
    """Tell whether one of a few items is the same as a value."""
    if isinstance(value, dict | list):
        alike = (item for item in items if item.__class__ is value.__class__)
        return any(len(item) == len(value) and same(item, value) for item in alike)
    if isinstance(value, bool):
        return value in [item for item in items if item.__class__ is bool]
    if isinstance(value, int | Decimal | float):
        if is_huge(value):
            return value in [item for item in items if item.__class__ is int]
        return value in [item for item in items if item.__class__ is not bool and not is_huge(item)]
    return value in items


Key = str | bytes
"""Stands for a value among those of its type: two are the same where their keys are equal. Never a
number, for of numbers anyone can find many with one hash; those of texts are secret."""

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_INT_DIGITS = 4300
"""That Python makes an int of; a decoder refuses those with more."""


def _plainest(text: str) -> int | Decimal:
    """Return a number in the one form that all equal ones have."""
    number = Decimal(text)
    if not number:
        return 0
    number = _EXACT.normalize(number)
    if 0 <= number.adjusted() < _INT_DIGITS:
        whole = int(number)
        if whole == number:
            return whole
    return number


_IN_ORDER = msgspec.json.Encoder(order="deterministic", decimal_format="number")
_PLAINEST = msgspec.json.Decoder(float_hook=_plainest)


def key_of(value: Any) -> Key:
    """Return the key of a value, in time that is linear in its size."""
    return value if value.__class__ is str else _keys_of([value])[0]


def _keys_of(values: Sequence[Any]) -> list[bytes]:
    """Return the keys of values that are no texts."""
    return [_IN_ORDER.encode(each) for each in _PLAINEST.decode(_IN_ORDER.encode(values))]


class Elements:
    """The elements of a list, prepared by type when one of that type is first looked for: after
    that it takes as long as to look at the value alone, however long the list is."""

    __slots__ = ("_by_type", "items")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self._by_type: dict[str, frozenset[Key]] = {}

    def have(self, type_: str, key: Key) -> bool:
        """Tell whether one of them is the same as the value of a type that a key stands for."""
        keys = self._by_type.get(type_)
        if keys is None:
            alike = [item for item in self.items if type_of(item) == type_]
            keys = frozenset(alike if type_ == "string" else _keys_of(alike))
            self._by_type[type_] = keys
        return key in keys
