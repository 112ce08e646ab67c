"""JSON Schemas of requests' bodies, with constraints that the types do not express: texts
without U+0000, ids that are UUIDs, names of time zones, bounds of amounts."""

from collections.abc import Callable, Mapping
from typing import Any

from api.http.component_refs import NULL, UUID, ZONES, ZONES_OR_MEMBER, Schema, text
from schemas import activity_types
from schemas.definitions import MEMBER_ZONE
from schemas.instants import zones

WITHOUT_SLASH_AND_NUL = "^[^/\\u0000]+$"
_WITHOUT_SLASH = "^[^/]+$"

_MOST = 1e20
"""The bound of amounts: 20 digits before the point."""


def zone_names() -> Schema:
    """Return the component of time zones: the names that the IANA database has."""
    names = sorted(zones())
    return {"type": "string", "description": "A name of the IANA database.", "enum": names}


def nullable(schema: Schema) -> Schema:
    """Return a schema that lets null pass too."""
    options = schema.get("anyOf", [schema])
    return schema if NULL in options else {"anyOf": [*options, NULL]}


def sent(schema: Schema) -> Schema:
    """Return the schema of an object that is sent, all it holds included."""
    found: Schema = _walked(schema)
    return found


def without_required_id(schema: Schema, kind: str, *aliases: str) -> Schema:
    """Return the schema of a definition to be written.

    The id may be absent, null stands for an absent field, and kind and project may be repeated.
    """
    properties = {
        name: each if name in schema["required"] else nullable(each)
        for name, each in schema["properties"].items()
    }
    own = dict.fromkeys(aliases, properties["id"])
    beside = {"kind": {"enum": [kind, None]}, "project": {"type": ["string", "null"]}}
    return {
        **schema,
        "title": f"New{schema['title']}",
        "properties": {**properties, "id": nullable(properties["id"]), **own, **beside},
        "required": [name for name in schema["required"] if name != "id"],
        "additionalProperties": False,
    }


def patch_of(schema: Schema) -> Schema:
    """Return the schema of a merge patch of a definition: null resets a field to its default."""
    properties = {name: nullable(each) for name, each in schema["properties"].items()}
    title = schema["title"].replace("New", "") + "Patch"
    return {**schema, "title": title, "properties": properties, "required": []}


def _walked(node: Any) -> Any:
    if isinstance(node, list):
        return [_walked(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _walked(each) for key, each in node.items() if key != "properties"}
    if "properties" in node:
        found["properties"] = {
            name: _property(name, each) for name, each in node["properties"].items()
        }
    if found.get("type") == "string":
        if found.get("pattern") == _WITHOUT_SLASH:
            found["pattern"] = WITHOUT_SLASH_AND_NUL
        return text(**found)
    if found.get("type") == "number":
        found.setdefault("exclusiveMinimum", -_MOST)
        found["exclusiveMaximum"] = _MOST
    return found


def _property(name: str, schema: Schema) -> Schema:
    of_texts = _OF_TEXTS.get(name)
    if of_texts is None:
        found: Schema = _walked(schema)
        return found
    if "anyOf" in schema:
        options = [of_texts(each) if _is_text(each) else each for each in schema["anyOf"]]
        return {**schema, "anyOf": options}
    return of_texts(schema) if _is_text(schema) else _walked(schema)


def _is_text(schema: Schema) -> bool:
    return schema.get("type") == "string"


def _zone(schema: Schema) -> Schema:
    return ZONES_OR_MEMBER if MEMBER_ZONE in schema.get("examples", ()) else ZONES


def _uuid(_: Schema) -> Schema:
    return UUID


def _phone(schema: Schema) -> Schema:
    return {**schema, "pattern": r"^\+[1-9][0-9]{1,14}$", "examples": ["+14155552671"]}


def _fulfilment(schema: Schema) -> Schema:
    return {**schema, "enum": sorted(activity_types.FULFILMENTS)}


_OF_TEXTS: Mapping[str, Callable[[Schema], Schema]] = {
    "timezone": _zone,
    "challengeId": _uuid,
    "ownedById": _uuid,
    "phoneNumber": _phone,
    "fulfilmentType": _fulfilment,
}
"""Schemas of constrained texts, by the name of their property."""
