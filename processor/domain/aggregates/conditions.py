"""Conditions on an event's metadata and its member: nested AND and OR of comparisons.

A path that begins with ``member.`` is the member's, as it is in force, and never metadata: an end
user could claim anything there.

A field that is missing (null counts as missing), or a value of another type than the condition's,
makes every operator false but ``not_exists``. Numbers are exact: ints and ``Decimal``.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from processor.domain.aggregates.member import Member
from schemas import attributes
from schemas.definitions import OF_ATTRIBUTE, OF_MEMBER, OF_TIER, Condition

Metadata = Mapping[str, Any]


class MemberFacts:
    """What conditions may ask of a member.

    Args:
        member: as it is when the record is folded.
        tier_in: returns its tier in a set, None where it has none.
    """

    def __init__(self, member: Member, tier_in: Callable[[str], str | None]) -> None:
        self._member = member
        self._tier_in = tier_in

    @cached_property
    def _attributes(self) -> Mapping[str, Any]:
        return attributes.decoded(self._member.attributes)

    def of(self, path: str) -> Any | None:
        """Return what a path that begins with ``member.`` names; None where there is none."""
        if path.startswith(OF_ATTRIBUTE):
            return self._attributes.get(path.removeprefix(OF_ATTRIBUTE))
        if path.startswith(OF_TIER):
            return self._tier_in(path.removeprefix(OF_TIER))
        return _FACTS[path.removeprefix(OF_MEMBER)](self._member)


_FACTS: Mapping[str, Callable[[Member], Any]] = {
    "groups": lambda member: list(member.groups),
    "country": lambda member: member.country,
    "city": lambda member: member.city,
}


def holds(condition: Condition, metadata: Metadata, member: MemberFacts | None = None) -> bool:
    """Tell whether metadata, and the member where a comparison names it, meet a condition.

    An empty AND holds, an empty OR does not.
    """
    if condition.conditions is not None:
        decides = condition.type != "AND"  # one that holds, or else one that does not
        for each in condition.conditions:
            if holds(each, metadata, member) == decides:
                return decides
        return not decides
    assert condition.field is not None
    assert condition.operator is not None
    if condition.field.startswith(OF_MEMBER):
        found = None if member is None else member.of(condition.field)
    else:
        found = lookup(metadata, condition.field)
    if condition.operator == "exists":
        return found is not None
    if condition.operator == "not_exists":
        return found is None
    return found is not None and _COMPARISONS[condition.operator](found, condition.value)


def lookup(metadata: Metadata, field: str) -> Any | None:
    """Return a field's value, None where it is missing: by its whole name, else by its path."""
    if field in metadata:
        return metadata[field]
    value: Any = metadata
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def type_of(value: Any) -> str:
    """Return the JSON name of a value's type."""
    return _TYPES.get(value.__class__, "null")


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
        elif a != b:
            return False
    return True


def _not_equals(found: Any, wanted: Any) -> bool:
    return type_of(found) == type_of(wanted) and not same(found, wanted)


def _in(found: Any, wanted: list[Any]) -> bool:
    return _among(found, wanted)


def _among(value: Any, items: list[Any]) -> bool:
    """Tell whether one of many items is the same as a value; a list of metadata may be long, and
    each of many comparisons looks at it, so what C can compare is compared there."""
    if isinstance(value, dict | list):
        alike = (item for item in items if item.__class__ is value.__class__)
        return any(len(item) == len(value) and same(item, value) for item in alike)
    if isinstance(value, bool):
        return value in [item for item in items if item.__class__ is bool]
    if isinstance(value, int | Decimal | float):
        return value in [item for item in items if item.__class__ is not bool]
    return value in items


def _not_in(found: Any, wanted: list[Any]) -> bool:
    comparable = not wanted or any(type_of(found) == type_of(each) for each in wanted)
    return comparable and not _in(found, wanted)


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, list):
        return _among(wanted, found)
    return isinstance(found, str) and isinstance(wanted, str) and wanted in found


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare numbers with numbers and texts with texts; nothing else has an order."""

    def comparison(found: Any, wanted: Any) -> bool:
        kind = type_of(found)
        return kind in ("number", "string") and kind == type_of(wanted) and compare(found, wanted)

    return comparison


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": same,
    "not_equals": _not_equals,
    "greater_than": _ordered(lambda found, wanted: found > wanted),
    "greater_than_or_equals": _ordered(lambda found, wanted: found >= wanted),
    "less_than": _ordered(lambda found, wanted: found < wanted),
    "less_than_or_equals": _ordered(lambda found, wanted: found <= wanted),
    "in": _in,
    "not_in": _not_in,
    "contains": _contains,
}
