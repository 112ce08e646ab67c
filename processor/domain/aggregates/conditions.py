"""Conditions on an event's metadata and its member: nested AND and OR of comparisons.

A path that begins with ``member.`` is the member's, as it is in force, and never metadata: an end
user could claim anything there.

A field that is missing (null counts as missing), or a value of another type than the condition's,
makes every operator false but ``not_exists``. Numbers are exact: ints and ``Decimal``.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from processor.domain.aggregates.json_values import (
    FEW,
    Elements,
    among,
    is_huge,
    key_of,
    same,
    type_of,
)
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.work import SHORT_TEXT, Cost, Work, cost_of_comparison
from processor.domain.inputs import Refused
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
        self._found: dict[str, Any] = {}

    @cached_property
    def _attributes(self) -> Mapping[str, Any]:
        return attributes.decoded(self._member.attributes)

    def of(self, path: str) -> Any | None:
        """Return what a path that begins with ``member.`` names; None where there is none.

        It is looked up once: many comparisons may name the same.
        """
        if path not in self._found:
            self._found[path] = self._look_up(path)
        return self._found[path]

    def _look_up(self, path: str) -> Any | None:
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


Check = Callable[[Metadata, MemberFacts | None, Work], bool]
"""Tells whether metadata, and the member where a comparison names it, meet a condition; raises
``Refused`` where that would be too much work. It counts the searches through texts; ``cost_of``
tells what else its comparisons take."""


def holds(
    condition: Condition,
    metadata: Metadata,
    member: MemberFacts | None = None,
    work: Work | None = None,
) -> bool:
    """Tell whether metadata, and the member where a comparison names it, meet a condition.

    Raises:
        Refused: to find out would be too much work.
    """
    return compile_condition(condition)(metadata, member, work or Work())


def cost_of(condition: Condition) -> Cost:
    """Return what all comparisons and groups of a condition take."""
    own = len(condition.field or "") + len(_JSON.encode(condition.value))
    cost = cost_of_comparison(own)
    for each in condition.conditions or ():
        cost = cost.with_(cost_of(each))
    return cost


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
        return lambda metadata, member, _: found(metadata, member) is not None
    if condition.operator == "not_exists":
        return lambda metadata, member, _: found(metadata, member) is None
    if condition.operator == "contains":
        return _contains(found, condition.value)
    if condition.operator in ("in", "not_in"):
        return _in(found, condition.value, holds_for=condition.operator == "in")
    return _comparison(found, _COMPARISONS[condition.operator], condition.value)


MAX_FOUND_BYTES = 1024
"""Of the JSON of a value that a trace repeats; each of many comparisons may name the same."""

_JSON = msgspec.json.Encoder(decimal_format="number")


_TELLING = 32
"""How many times as much it takes to tell of a comparison as to make it."""


def compared(
    condition: Condition, metadata: Metadata, member: MemberFacts | None, work: Work
) -> list[TraceComparison]:
    """Return every comparison of a condition, in order, whatever decides it; the first ones where
    all would be too much work."""
    told = []
    try:
        for each in _comparisons(condition):
            work.begin(cost_of(each).times(_TELLING))
            told.append(_compared(each, metadata, member, work))
    except Refused:  # of the telling alone, which decides nothing
        pass
    return told


def _comparisons(condition: Condition) -> Iterator[Condition]:
    if condition.conditions is None:
        yield condition
    for each in condition.conditions or ():
        yield from _comparisons(each)


def _compared(
    condition: Condition, metadata: Metadata, member: MemberFacts | None, work: Work
) -> TraceComparison:
    assert condition.field is not None
    assert condition.operator is not None
    return TraceComparison(
        path=condition.field,
        operator=condition.operator,
        wanted=UNSET if condition.operator in ("exists", "not_exists") else condition.value,
        found=_told(condition.field, metadata, work),
        holds=holds(condition, metadata, member, work),
    )


def _told(field: str, metadata: Metadata, work: Work) -> Raw | UnsetType:
    """Return the JSON of what a path names; nothing where that is the member's own, or long."""
    if field.startswith(OF_MEMBER):
        return UNSET
    found = work.json_of(_finder(field)(metadata, None))
    return Raw(found) if len(found) <= MAX_FOUND_BYTES else UNSET


def _group(checks: tuple[Check, ...], *, unless_decided: bool) -> Check:
    """Return what checks several conditions in order, until one decides."""

    def check(metadata: Metadata, member: MemberFacts | None, work: Work) -> bool:
        for each in checks:
            if each(metadata, member, work) is not unless_decided:
                return not unless_decided
        return unless_decided

    return check


def _comparison(found: "_Find", compare: Callable[[Any, Any], bool], wanted: Any) -> Check:
    def check(metadata: Metadata, member: MemberFacts | None, _: Work) -> bool:
        value = found(metadata, member)
        return value is not None and compare(value, wanted)

    return check


def _contains(found: "_Find", wanted: Any) -> Check:
    """Return what looks for an element of a list, or a part of a text."""
    type_, key, is_text = type_of(wanted), key_of(wanted), isinstance(wanted, str)

    def check(metadata: Metadata, member: MemberFacts | None, work: Work) -> bool:
        value = found(metadata, member)
        if isinstance(value, list):
            if len(value) <= FEW:
                return among(wanted, value)
            return work.elements_of(value).have(type_, key)
        if not (is_text and isinstance(value, str)):
            return False
        if len(value) > SHORT_TEXT:
            work.begin_search(value, wanted)
        return wanted in value

    return check


def _in(found: "_Find", wanted: list[Any], *, holds_for: bool) -> Check:
    """Return what looks for a value in a list of them, and holds where it is found, or is not."""
    types = frozenset(type_of(each) for each in wanted)
    elements, are_few = Elements(wanted), len(wanted) <= FEW

    def check(metadata: Metadata, member: MemberFacts | None, work: Work) -> bool:
        value = found(metadata, member)
        if value is None:
            return False
        type_ = type_of(value)
        if type_ not in types:
            return not (holds_for or types)
        if are_few and not work.size:
            return among(value, wanted) is holds_for
        return elements.have(type_, work.key_of(value)) is holds_for

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


_ORDERED: Mapping[type, str] = {
    int: "number",
    Decimal: "number",
    float: "number",
    str: "string",
}


def _not_equals(found: Any, wanted: Any) -> bool:
    return type_of(found) == type_of(wanted) and not same(found, wanted)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare numbers with numbers and texts with texts; nothing else has an order."""

    def comparison(found: Any, wanted: Any) -> bool:
        kind = _ORDERED.get(found.__class__)
        if kind is None or kind is not _ORDERED.get(wanted.__class__):
            return False
        if found.__class__ is not wanted.__class__:
            if is_huge(found):
                return compare(found, 0)
            if is_huge(wanted):
                return compare(0, wanted)
        return compare(found, wanted)

    return comparison


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": same,
    "not_equals": _not_equals,
    "greater_than": _ordered(lambda found, wanted: found > wanted),
    "greater_than_or_equals": _ordered(lambda found, wanted: found >= wanted),
    "less_than": _ordered(lambda found, wanted: found < wanted),
    "less_than_or_equals": _ordered(lambda found, wanted: found <= wanted),
}
