"""JSON Schemas that have an address of their own: definitions, inputs, and events by their type."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from api.documents import asyncapi
from api.http.component_refs import REF, Schema
from schemas.event_types import EVENT_TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_COMPONENT = REF.format(name="")
_INSIDE = "#/$defs/"


@cache
def addressable() -> Mapping[str, Schema]:
    """Return the schemas by name. Each is whole in itself: what it refers to is in its ``$defs``.

    An output event's name is its CloudEvent type, and its schema that of the whole event.
    """
    components = asyncapi.schemas()
    events = {each.name: asyncapi.event(each)["payload"] for each in EVENT_TYPES.values()}
    return {name: _whole(schema, components) for name, schema in {**components, **events}.items()}


def _whole(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    needed: dict[str, Schema] = {}
    left = [schema]
    while left:
        for name in _names(left.pop()):
            if name not in needed:
                needed[name] = _moved(components[name])
                left.append(components[name])
    whole: Schema = {"$schema": DIALECT, **_moved(schema)}
    return whole | ({"$defs": dict(sorted(needed.items()))} if needed else {})


def _names(node: Any) -> Iterator[str]:
    """Yield the names of the components that a schema refers to."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_COMPONENT)
        for child in node.values():
            yield from _names(child)
    elif isinstance(node, list):
        for child in node:
            yield from _names(child)


def _moved(node: Any) -> Any:
    """Return a schema that refers to its own ``$defs``."""
    if isinstance(node, dict):
        moved = {key: _moved(child) for key, child in node.items()}
        if isinstance(node.get("$ref"), str):
            moved["$ref"] = node["$ref"].replace(_COMPONENT, _INSIDE, 1)
        return moved
    return [_moved(child) for child in node] if isinstance(node, list) else node
