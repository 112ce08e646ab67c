"""What `/openapi.json` says about the routes of the records face."""

from collections.abc import Mapping, Sequence
from typing import Any

from api import voiding
from api.faces.records.bodies import (
    ChallengeLogBody,
    MemberBody,
    MemberPatch,
    OwnedByBody,
    RewardLogPatch,
)
from api.http import actors, dry_runs, moments
from api.http.component_refs import NULL, UUID, ZONES, ZONES_OR_MEMBER, text
from api.http.face import Chapter
from api.queries.record_fields import RECORDS, Field, Kind, Records
from api.queries.record_filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_LIST,
    PRESENCES,
    operators_of,
)
from api.queries.record_listing import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, MAX_SORTS
from schemas import outputs
from schemas.dry_runs import TraceStep
from schemas.instants import zones

Operation = dict[str, Any]

TAG = "records"

SHOWN = {
    "challenge_log": "ChallengeLogRecord",
    "challenge": "ChallengeRecord",
    "milestone": "MilestoneRecord",
    "challenge_progress": "ProgressRecord",
    "reward_log": "RewardLogRecord",
    "member": "MemberRecord",
}
"""The component that a slug's record is."""

_CREATED_FROM = {
    "challenge_log": "ChallengeLogBody",
    "challenge": "NewChallenge",
    "milestone": "NewMilestone",
    "member": "MemberBody",
}
_PATCHED_BY = {
    "challenge": "ChallengePatch",
    "milestone": "MilestonePatch",
    "member": "MemberPatch",
    "reward_log": "RewardLogPatch",
}


def part_of(name: str) -> str:
    """Return the component of a record of which `fields` may have left some out."""
    return f"{name}Fields"


_IF_MATCH: Operation = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
_DEFINED = ("challenge", "milestone")
"""Slugs whose records are definitions: whoever writes one may say who it is."""
_ID_ALONE: Operation = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}},
}
_PENDING = "Taken; its result did not come in time. Only `id` is given."


def _ref(name: str) -> Operation:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Operation) -> Operation:
    return {"application/json": {"schema": schema}}


def _responses(slug: str, *good: tuple[str, str], bad: tuple[int, ...]) -> Operation:
    responses: Operation = {
        status: {"description": text, "content": _json(_ref(SHOWN[slug]))} for status, text in good
    }
    if "202" in responses:
        responses["202"] = {"description": _PENDING, "content": _json(_ID_ALONE)}
    for status in bad:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return responses


def _query(name: str, description: str, schema: Operation) -> Operation:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _json_query(name: str, description: str, schema: Operation, example: Any) -> Operation:
    """Return a parameter whose text is JSON."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"name": name, "in": "query", "description": description, "content": content}


def _fields(records: Records) -> Operation:
    schema = {"type": "array", "minItems": 1, "items": {"enum": list(records.names)}}
    return _json_query("fields", "A JSON list of the fields to return.", schema, ["id"])


def _sorts(records: Records) -> Operation:
    by = {
        "type": "object",
        "required": ["fieldSlug"],
        "additionalProperties": False,
        "properties": {
            "fieldSlug": {"enum": [field.name for field in records.fields]},
            "order": {"enum": ["ASC", "DESC"], "default": "ASC"},
        },
    }
    schema = {"type": "array", "minItems": 1, "maxItems": MAX_SORTS, "items": by}
    example = [{"fieldSlug": "createdAt", "order": "DESC"}]
    return _json_query("sortBy", "createdAt, descending, by default.", schema, example)


_VALUES: dict[Kind, Operation] = {
    Kind.UUID: UUID,
    Kind.TEXT: text(),
    Kind.NUMBER: {"type": "number", "description": f"At most {MAX_DIGITS} digits."},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.TEXTS: text(),
}
"""What a filter may compare a field with, by the field's kind."""


def filters_of(records: Records) -> str:
    """Return the component of a filter of such records."""
    return f"{SHOWN[records.slug]}Filter"


def filter_components(records: Records) -> dict[str, Operation]:
    """Return the components of a filter of such records: a tree of conditions."""
    name = filters_of(records)
    groups = {f"{name}All": _group(name, "AND"), f"{name}Any": _group(name, "OR", minItems=1)}
    ignored: Operation = {"anyOf": [{"type": "boolean", "enum": [True]}, NULL]}
    conditions = [_condition(records.fields, tuple(PRESENCES), ignored, "fieldSlug")]
    alike: dict[tuple[Kind, tuple[str, ...]], list[Field]] = {}
    for field in records.fields:
        alike.setdefault((field.kind, field.values), []).append(field)
    for (kind, _), fields in alike.items():
        conditions += _comparisons(kind, fields)
    return {name: {"anyOf": [*map(_ref, groups), *conditions]}, **groups}


def _comparisons(kind: Kind, fields: Sequence[Field]) -> list[Operation]:
    """Return the conditions that compare fields of a kind, which can all have the same values."""
    one = _value_of(fields[0])
    listed = {"type": "array", "maxItems": MAX_LIST, "items": one}
    single, several = operators_of(kind)
    wanted: list[tuple[tuple[str, ...], Operation]] = [(single, one)]
    if fields[0].values:
        # `contains` takes any text, not only the field's values.
        without = tuple(each for each in single if each != "contains")
        wanted = [(without, one), (("contains",), text())]
    for operator in several:
        least = {"minItems": 1} if operator == "in" else {}
        wanted.append(((operator,), {**listed, **least}))
    return [_condition(fields, names, value, "fieldSlug", "value") for names, value in wanted]


def _value_of(field: Field) -> Operation:
    if not field.values:
        return _VALUES[field.kind]
    if field.allowed == zones():
        return ZONES
    return ZONES_OR_MEMBER if field.allowed > zones() else {"enum": list(field.values)}


def _group(filter_: str, joiner: str, **more: int) -> Operation:
    return {
        "type": "object",
        "description": f"At most {MAX_DEPTH} deep, and {MAX_CONDITIONS} conditions in all.",
        "required": ["type", "conditions"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": [joiner]},
            "conditions": {"type": "array", "items": _ref(filter_), **more},
        },
    }


def _condition(
    fields: Sequence[Field], operators: Sequence[str], value: Operation, *required: str
) -> Operation:
    return {
        "type": "object",
        "required": [*required, "operator"],
        "additionalProperties": False,
        "properties": {
            "fieldSlug": {"enum": [field.name for field in fields]},
            "operator": {"enum": list(operators)},
            "value": value,
        },
    }


def list_operation(records: Records) -> Operation:
    """Return the operation of a list."""
    page = {
        "type": "object",
        "required": ["data", "paging"],
        "properties": {
            "data": {"type": "array", "items": _ref(part_of(SHOWN[records.slug]))},
            "paging": _ref("Paging"),
        },
    }
    condition = {
        "fieldSlug": "createdAt",
        "operator": "greater_than",
        "value": "2026-11-21T00:00:00Z",
    }
    tree = {"type": "AND", "conditions": [condition]}
    return {
        "parameters": [
            _query("offset", "", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}),
            _query(
                "limit",
                "",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            ),
            _sorts(records),
            _json_query("filters", "All records without it.", _ref(filters_of(records)), tree),
            _fields(records),
            _query("fetchTotalCount", "", {"type": "boolean", "default": False}),
            *_moment(records),
        ],
        "responses": {
            "200": {"description": "A page of records.", "content": _json(page)},
            **{
                str(bad): {"$ref": f"#/components/responses/{bad}"}
                for bad in (400, 401, 403, *((503,) if records.history else ()))
            },
        },
    }


def get_operation(records: Records) -> Operation:
    """Return the operation of reading one record."""
    responses = _responses(records.slug, bad=(400, 401, 403, 404))
    shown = _json(_ref(part_of(SHOWN[records.slug])))
    responses["200"] = {"description": "The record.", "content": shown}
    if records.history:
        responses["503"] = {"$ref": "#/components/responses/503"}
    return {"parameters": [_fields(records), *_moment(records)], "responses": responses}


def _moment(records: Records) -> list[Operation]:
    return [moments.PARAMETER] if records.history else []


def create_operation(slug: str) -> Operation:
    """Return the operation of creating a record."""
    good = [("201", "The record that was created.")]
    if slug == "member":
        good.append(("200", "The member, which was there already."))
    if slug in ("member", "challenge_log"):
        good.append(("202", _PENDING))
    operation: Operation = {
        "parameters": _headers(slug),
        "requestBody": {
            "required": True,
            "content": _json(_ref(_CREATED_FROM[slug])),
        },
        "responses": _responses(slug, *good, bad=(400, 401, 403, 404, 409, 413, 503)),
    }
    if slug == "challenge_log":
        shown = _json(dry_runs.answer(SHOWN[slug]))
        operation["parameters"] = dry_runs.PARAMETERS
        operation["responses"] |= {
            "200": {"description": "What it would lead to: of a dry run.", "content": shown},
            "201": {"description": "The record that was created.", "content": shown},
        }
    return operation


def patch_operation(slug: str) -> Operation:
    """Return the operation of changing a record."""
    good = [("200", "The record as it is now.")]
    bad: tuple[int, ...] = (400, 401, 403, 404, 412, 413, 503)
    schema = _ref(_PATCHED_BY[slug])
    if slug in _DEFINED:
        bad += (409,)
    else:
        good.append(("202", _PENDING))
    return {
        "parameters": _headers(slug, _IF_MATCH),
        "requestBody": {"required": True, "content": _json(schema)},
        "responses": _responses(slug, *good, bad=bad),
    }


def delete_operation(slug: str) -> Operation:
    """Return the operation of deleting a record; that there is no answer then is the route's."""
    good = [("202", _PENDING)] if slug == "member" else []
    bad = (400, 401, 403, 404, 412, 503) if slug in _DEFINED else (401, 403, 404, 412, 503)
    return {
        "parameters": _headers(slug, _IF_MATCH),
        "responses": _responses(slug, *good, bad=bad),
    }


def _headers(slug: str, *headers: Operation) -> list[Operation]:
    """Return the headers of a write of a slug, `x-actor` among them where that is taken."""
    return [*headers, *([actors.PARAMETER] if slug in _DEFINED else [])]


VOID: Operation = {
    "parameters": dry_runs.PARAMETERS,
    "requestBody": {"required": True, "content": _json(_ref("VoidBody"))},
    "responses": {
        "200": {
            "description": "What it took back, now or the first time.",
            "content": _json(dry_runs.answer("VoidAnswer")),
        },
        "202": {"description": _PENDING, "content": _json(_ID_ALONE)},
        **{
            str(bad): {"$ref": f"#/components/responses/{bad}"}
            for bad in (400, 401, 403, 404, 409, 413, 503)
        },
    },
}


def _derived(components: Mapping[str, Operation]) -> dict[str, Operation]:
    """Return the components of records that lack fields, and of filters."""
    derived: dict[str, Operation] = {}
    for slug, records in RECORDS.items():
        name = part_of(SHOWN[slug])
        part = {**components[SHOWN[slug]], "title": name, "required": []}
        silent = {field.name: _value_of(field) for field in records.fields if field.silent}
        if silent:
            part["properties"] = {**part["properties"], **silent}
        derived[name] = part
        derived |= filter_components(records)
    return derived


_BODIES = (ChallengeLogBody, OwnedByBody, MemberBody, MemberPatch, RewardLogPatch)

CHAPTER = Chapter(
    TAG,
    structs=(
        outputs.ChallengeLogRecord,
        outputs.ProgressRecord,
        outputs.RewardLogRecord,
        outputs.MemberRecord,
        outputs.VoidAnswer,
        TraceStep,
        *_BODIES,
        *voiding.BODIES,
    ),
    schemas=dry_runs.SCHEMAS,
    bodies=(*_BODIES, *voiding.BODIES),
    derived=_derived,
    path_parameter=lambda _name: UUID,
)
