"""JSON Schemas that descriptions of calls are made of: references to components, texts, ids."""

from typing import Any

from schemas.definitions import MEMBER_ZONE

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"

WITHOUT_NUL = "^[^\\u0000]*$"
"""The pattern of every text: no record may hold U+0000."""
UUID: Schema = {"type": "string", "format": "uuid"}
ZONE = "TimeZone"
"""The component that lists the names of time zones."""
ZONES: Schema = {"$ref": REF.format(name=ZONE)}
ZONES_OR_MEMBER: Schema = {"anyOf": [ZONES, {"const": MEMBER_ZONE}]}
"""What definitions go by: a zone, or that of each member."""
NULL: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": REF.format(name=name)}


def new(name: str) -> str:
    """Return the component of what a definition is written as."""
    return f"New{name}"


def patch(name: str) -> str:
    """Return the component of a definition's merge patch."""
    return f"{name}Patch"


def text(description: str = "", **more: Any) -> Schema:
    """Return the schema of a text; `more` are keywords of its own."""
    schema: Schema = {"type": "string", **more}
    if description:
        schema["description"] = description
    if not {"enum", "pattern", "format", "const"} & schema.keys():
        schema["pattern"] = WITHOUT_NUL
    return schema
