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

import msgspec
from msgspec import UNSET, Raw, UnsetType

from processor.domain.aggregates.member import Member
from schemas import attributes
from schemas.definitions import OF_ATTRIBUTE, OF_MEMBER, OF_TIER, Condition
from schemas.dry_runs import TraceComparison

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


Check = Callable[[Metadata, MemberFacts | None], bool]
"""Tells whether metadata, and the member where a comparison names it, meet a condition."""


def holds(condition: Condition, metadata: Metadata, member: MemberFacts | None = None) -> bool:
    """Tell whether metadata, and the member where a comparison names it, meet a condition."""
    return compile_condition(condition)(metadata, member)


def compile_condition(condition: Condition) -> Check:
    """Return what checks a condition. An empty AND holds, an empty OR does not.

    It is made once for each definition: to walk through the condition for each event takes three
    times as long.
    """
    if condition.conditions is not None:
        checks = tuple(compile_condition(each) for each in condition.conditions)
        return _group(checks, unless_decided=condition.type == "AND")
    assert condition.field is not None
    assert condition.operator is not None
    found = _finder(condition.field)
    if condition.operator == "exists":
        return lambda metadata, member: found(metadata, member) is not None
    if condition.operator == "not_exists":
        return lambda metadata, member: found(metadata, member) is None
    return _comparison(found, _COMPARISONS[condition.operator], condition.value)


MAX_FOUND_BYTES = 1024
"""Of the JSON of a value that a trace repeats; each of many comparisons may name the same."""

_JSON = msgspec.json.Encoder(decimal_format="number")


def compared(
    condition: Condition, metadata: Metadata, member: MemberFacts | None
) -> list[TraceComparison]:
    """Return every comparison of a condition, in order, whatever decides it."""
    if condition.conditions is not None:
        each_of = (compared(each, metadata, member) for each in condition.conditions)
        return [comparison for comparisons in each_of for comparison in comparisons]
    assert condition.field is not None
    assert condition.operator is not None
    return [
        TraceComparison(
            path=condition.field,
            operator=condition.operator,
            wanted=UNSET if condition.operator in ("exists", "not_exists") else condition.value,
            found=_told(condition.field, metadata),
            holds=holds(condition, metadata, member),
        )
    ]


def _told(field: str, metadata: Metadata) -> Raw | UnsetType:
    """Return the JSON of what a path names; nothing where that is the member's own, or long."""
    if field.startswith(OF_MEMBER):
        return UNSET
    found = _JSON.encode(_finder(field)(metadata, None))
    return Raw(found) if len(found) <= MAX_FOUND_BYTES else UNSET


def _group(checks: tuple[Check, ...], *, unless_decided: bool) -> Check:
    """Return what checks several conditions in order, until one decides."""

    def check(metadata: Metadata, member: MemberFacts | None) -> bool:
        for each in checks:
            if each(metadata, member) is not unless_decided:
                return not unless_decided
        return unless_decided

    return check


def _comparison(found: "_Find", compare: Callable[[Any, Any], bool], wanted: Any) -> Check:
    def check(metadata: Metadata, member: MemberFacts | None) -> bool:
        value = found(metadata, member)
        return value is not None and compare(value, wanted)

    return check


_Find = Callable[[Metadata, MemberFacts | None], Any]


def _finder(field: str) -> _Find:
    """Return what finds the value of a path, None where it is missing."""
    if field.startswith(OF_MEMBER):
        return lambda _, member: None if member is None else member.of(field)
    if "." in field:
        return lambda metadata, _: lookup(metadata, field)
    return lambda metadata, _: metadata.get(field)


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

_ORDERED: Mapping[type, str] = {
    kind: name for kind, name in _TYPES.items() if name in ("number", "string")
}


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
        kind = _ORDERED.get(found.__class__)
        return (
            kind is not None and kind is _ORDERED.get(wanted.__class__) and compare(found, wanted)
        )

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
