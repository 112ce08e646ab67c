"""JSON Schemas for `/openapi.json` and `/asyncapi.json`, made from the structs and models that
validate, so that they cannot differ."""

from collections.abc import Collection, Sequence
from typing import Any, get_args

import msgspec
from msgspec import Raw

from api.documents.sent_schemas import patch_of, sent, without_required_id, zone_names
from api.http.component_refs import REF, UUID, ZONE, Schema, new, patch, ref
from schemas import attributes, dead_letter, records, replies
from schemas import definitions as models
from schemas.event_types import EVENT_TYPES

NUMBER: Schema = {
    "type": "number",
    "description": "An exact decimal: at most 20 digits before and 9 after the point.",
}

PORTION: Schema = {
    "type": "number",
    "description": "A share, with at most 9 digits after the point.",
    "exclusiveMinimum": 0,
    "maximum": 1,
}

ATTRIBUTES: Schema = {
    "type": "object",
    "description": f"At most {attributes.MAX_NAMES} names, {attributes.MAX_BYTES} bytes in all.",
    "propertyNames": {"pattern": f"^{attributes.NAME.pattern}$"},
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            NUMBER,
            {"type": "boolean"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "null"},
        ]
    },
}
"""Null removes one; what is shown has none."""


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_RAW: dict[str, Schema] = {
    "activityValue": _nullable(NUMBER),
    "currentProgressValue": NUMBER,
    "value": NUMBER,
    "goal": NUMBER,
    "threshold": NUMBER,
    "missing": NUMBER,
    "toKeep": _nullable(NUMBER),
    "progress": NUMBER,
    "portion": PORTION,
    "voidedPortion": PORTION,
    "change": NUMBER,
    "difference": NUMBER,
    "before": NUMBER,
    "after": NUMBER,
    "maximumReward": _nullable(NUMBER),
    "metadata": {"type": "object"},
    "attributes": _nullable(ATTRIBUTES),
    "tier": _nullable({"type": "object", "additionalProperties": {"type": "string"}}),
    "challenge": _nullable(ref("ChallengeRecord")),
    "milestone": _nullable(ref("MilestoneRecord")),
    "achievedMilestone": _nullable(ref("MilestoneRecord")),
    "nextMilestone": _nullable(ref("MilestoneRecord")),
    "achievedMilestones": {"type": "array", "items": ref("MilestoneRecord")},
}
"""Schemas of fields that structs hold as encoded JSON, by the field's name: the struct has no
type."""

EVENT_STRUCTS = tuple(dict.fromkeys(each.data for each in EVENT_TYPES.values()))
INPUT_STRUCTS = (
    records.ChallengeLog,
    records.Event,
    records.ActivityLog,
    records.Tick,
    *get_args(records.MemberCommand),
    replies.Reply,
    dead_letter.DeadLetter,
)


_NAMES: dict[type, str] = {records.Event: "EventRecord"}
"""Components whose name differs from their struct's: `Event` is an event's definition."""


def of_structs(structs: Sequence[type], bodies: Collection[type] = ()) -> dict[str, Schema]:
    """Return the components of structs, and of the structs inside them, by name.

    `bodies` are those that callers send.
    """
    sent_names = {body.__name__ for body in bodies}
    described = [_describable(struct) for struct in structs]
    _, components = msgspec.json.schema_components(described, ref_template=REF)
    for title, component in components.items():
        if title.endswith("Body"):
            # The project is that of the credentials.
            component["properties"].pop("project", None)
        for name, schema in component.get("properties", {}).items():
            if name in _RAW and (_is_any(schema) or schema.get("items") == {}):
                component["properties"][name] = _RAW[name]
            elif schema.get("type") == "string" and name.endswith("At"):
                schema["format"] = "date-time"
        if title in sent_names:
            components[title] = sent(component)
    return components


def _describable(struct: type[Any]) -> type[Any]:
    """Return a struct that msgspec can describe: it cannot describe defaults that are encoded
    JSON."""
    if not _holds_ready_json(struct):
        return struct
    fields = msgspec.structs.fields(struct)
    return msgspec.defstruct(
        _NAMES.get(struct, struct.__name__),
        [_describable_field(field) for field in fields],
        rename="camel",
        kw_only=True,
        forbid_unknown_fields=struct.__struct_config__.forbid_unknown_fields,
        namespace={"__doc__": struct.__doc__},
    )


def _holds_ready_json(type_: Any) -> bool:
    return (
        isinstance(type_, type)
        and issubclass(type_, msgspec.Struct)
        and any(
            isinstance(field.default, Raw) or _holds_ready_json(field.type)
            for field in msgspec.structs.fields(type_)
        )
    )


def _describable_field(field: msgspec.structs.FieldInfo) -> Any:
    if isinstance(field.default, Raw):
        return field.name, Any, None
    if _holds_ready_json(field.type):
        return field.name, _describable(field.type) | None, None
    if field.required:
        return field.name, field.type
    if field.default is not msgspec.NODEFAULT:
        return field.name, field.type, field.default
    return field.name, field.type, msgspec.field(default_factory=field.default_factory)


def _is_any(schema: Schema) -> bool:
    options = schema.get("anyOf", ())
    return (
        not {key: value for key, value in schema.items() if key != "default"}
        or {} in options
        or any(option.get("additionalProperties") == {} for option in options)
    )


_NAMED_BY_UUID = (models.Challenge.kind, models.Milestone.kind)
"""The kinds that are records too: their ids are UUIDs."""


def of_definitions() -> dict[str, Schema]:
    """Return the components of all kinds of definitions: as they are written, and as records."""
    components: dict[str, Schema] = {ZONE: zone_names()}
    for kind, model in models.KINDS.items():
        name = model.__name__
        schema = model.model_json_schema(by_alias=True, ref_template=REF.replace("name", "model"))
        for inner_name, inner in schema.pop("$defs", {}).items():
            components[inner_name] = sent(_exact(inner))
        components[name] = sent(_exact(schema))
        if kind in _NAMED_BY_UUID:
            components[name]["properties"]["id"] = UUID
    components["Event"]["properties"]["reward"]["required"] = ["default"]
    for name in (models.KINDS[kind].__name__ for kind in _NAMED_BY_UUID):
        written = {"type": "string", "format": "date-time"}
        times = {"createdAt": written, "updatedAt": written}
        components[f"{name}Record"] = {
            "title": f"{name}Record",
            "allOf": [ref(name), {"type": "object", "properties": times}],
        }
        # A record has two fields more than the definition, so it cannot forbid others.
        del components[name]["additionalProperties"]
    return components


def of_writing(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return the components of what definitions are written as, given those that they are."""
    components: dict[str, Schema] = {}
    for kind, model in models.KINDS.items():
        name = model.__name__
        aliases = () if model.id_alias is None else (model.id_alias,)
        components[new(name)] = without_required_id(definitions[name], kind, *aliases)
        if kind in _NAMED_BY_UUID:
            components[patch(name)] = patch_of(components[new(name)])
    return components


_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum"}
"""Keywords for the bounds that pydantic emits for types that it does not know."""


def _exact(schema: Any) -> Any:
    """Replace pydantic's "a number or its text" by a number: text is refused."""
    if isinstance(schema, list):
        return [_exact(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    options = schema.get("anyOf", [])
    if any(option.get("type") == "number" for option in options):
        rest = [o for o in options if o.get("type") not in ("number", "string")]
        number = next(o for o in options if o.get("type") == "number")
        exact = {**number, "description": NUMBER["description"]}
        left = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        kept = {_BOUNDS.get(key, key): value for key, value in left.items()}
        return kept | ({"anyOf": [exact, *rest]} if rest else exact)
    return {key: _exact(value) for key, value in schema.items()}
