"""Conditions of events once more, one line of `schemas/README.md#conditions` at a time."""

from fractions import Fraction
from typing import Any


def holds(
    node: dict[str, Any] | None, metadata: dict[str, Any], member: dict[str, Any] | None = None
) -> bool:
    """Tell whether an event's metadata, and its member, meet its conditions; no conditions are
    always met."""
    if node is None:
        return True
    if node.get("conditions") is not None:
        each = [holds(child, metadata, member) for child in node["conditions"]]
        return all(each) if node["type"] == "AND" else any(each)
    here: Any = metadata.get(node["field"])
    if node["field"].startswith("member."):
        here = of_member(node["field"].removeprefix("member."), member or {})
    there: Any = node.get("value")
    match node["operator"]:
        case "not_exists":
            return here is None
        case "exists":
            return here is not None
        case "contains":
            if kind(here) == "string" and kind(there) == "string":
                return there in here
            return kind(here) == "array" and any(same(there, element) for element in here)
        case "in":
            return here is not None and any(same(here, element) for element in there)
        case "not_in":
            alike = [element for element in there if kind(element) == kind(here)]
            return bool(alike) and not any(same(here, element) for element in alike)
        case operator:
            return kind(here) == kind(there) and compared(operator, here, there)


def of_member(path: str, member: dict[str, Any]) -> Any:
    """Return what a path names of the member: a field, an attribute, or its tier in a set."""
    if path.startswith("attributes."):
        return member.get("attributes", {}).get(path.removeprefix("attributes."))
    if path.startswith("tier."):
        return member.get("tiers", {}).get(path.removeprefix("tier."))
    return (member.get("groups") or []) if path == "groups" else member.get(path)


def compared(operator: str, here: Any, there: Any) -> bool:
    """Compare two values of one kind; only numbers and texts have an order."""
    if operator == "equals":
        return here is not None and same(here, there)
    if operator == "not_equals":
        return here is not None and not same(here, there)
    if kind(here) == "number":
        here, there = Fraction(here), Fraction(there)
    elif kind(here) != "string":
        return False
    if operator in ("greater_than_or_equals", "less_than_or_equals") and here == there:
        return True
    return bool(here > there if operator.startswith("greater") else here < there)


def kind(value: Any) -> str:
    """Name the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal: 1 is 1.0, but true is not 1."""
    if kind(one) != kind(other):
        return False
    if kind(one) == "array":
        return len(one) == len(other) and all(map(same, one, other))
    if kind(one) == "object":
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def metadata_are_valid(fields: list[dict[str, Any]] | None, metadata: dict[str, Any]) -> bool:
    """Tell whether every field that is required is there, and every one that is there is of its
    type."""
    for field in fields or []:
        if field["key"] in metadata:
            if kind(metadata[field["key"]]) != field["type"]:
                return False
        elif field.get("required"):
            return False
    return True
