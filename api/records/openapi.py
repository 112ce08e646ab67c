"""What `/openapi.json` says about the routes of the records face."""

from typing import Any

from api.records.fields import Records
from api.records.listing import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET

Operation = dict[str, Any]

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
    "challenge": "Challenge",
    "milestone": "Milestone",
    "member": "MemberBody",
}
_PATCHED_BY = {
    "challenge": "Challenge",
    "milestone": "Milestone",
    "member": "MemberPatch",
    "reward_log": "RewardLogPatch",
}

CREATED_WITHOUT_ID = ("Challenge", "Milestone")
"""Components of what may be created without an id: one is made then."""


def part_of(name: str) -> str:
    """Return the component of a record of which `fields` may have left some out."""
    return f"{name}Fields"


def created_from(name: str) -> str:
    """Return the component of a definition that is to be created, maybe without an id."""
    return f"New{name}" if name in CREATED_WITHOUT_ID else name


_IF_MATCH: Operation = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
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


def _fields(records: Records) -> Operation:
    description = f"A JSON list of the fields to return, of: {', '.join(records.names)}."
    return _query("fields", description, {"type": "string", "examples": ['["id"]']})


def list_operation(records: Records) -> Operation:
    """Return the operation of a list."""
    own = ", ".join(field.name for field in records.fields)
    page = {
        "type": "object",
        "required": ["data", "paging"],
        "properties": {
            "data": {"type": "array", "items": _ref(part_of(SHOWN[records.slug]))},
            "paging": _ref("Paging"),
        },
    }
    sort = '[{"fieldSlug":"createdAt","order":"DESC"}]'
    tree = (
        '{"type":"AND","conditions":[{"fieldSlug":"createdAt","operator":"greater_than",'
        '"value":"2026-11-21T00:00:00Z"}]}'
    )
    return {
        "parameters": [
            _query("offset", "", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}),
            _query(
                "limit",
                "",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            ),
            _query("sortBy", f"By: {own}.", {"type": "string", "default": sort}),
            _query("filters", f"Conditions on: {own}.", {"type": "string", "examples": [tree]}),
            _fields(records),
            _query("fetchTotalCount", "", {"type": "boolean", "default": False}),
        ],
        "responses": {
            "200": {"description": "A page of records.", "content": _json(page)},
            **{str(bad): {"$ref": f"#/components/responses/{bad}"} for bad in (400, 401, 403)},
        },
    }


def get_operation(records: Records) -> Operation:
    """Return the operation of reading one record."""
    responses = _responses(records.slug, bad=(400, 401, 403, 404))
    shown = _json(_ref(part_of(SHOWN[records.slug])))
    responses["200"] = {"description": "The record.", "content": shown}
    return {"parameters": [_fields(records)], "responses": responses}


def create_operation(slug: str) -> Operation:
    """Return the operation of creating a record."""
    good = [("201", "The record that was created.")]
    if slug == "member":
        good.append(("200", "The member, which was there already."))
    if slug in ("member", "challenge_log"):
        good.append(("202", _PENDING))
    return {
        "requestBody": {
            "required": True,
            "content": _json(_ref(created_from(_CREATED_FROM[slug]))),
        },
        "responses": _responses(slug, *good, bad=(400, 401, 403, 404, 409, 413, 503)),
    }


def patch_operation(slug: str) -> Operation:
    """Return the operation of changing a record."""
    good = [("200", "The record as it is now.")]
    bad: tuple[int, ...] = (400, 401, 403, 404, 412, 413, 503)
    schema = _ref(_PATCHED_BY[slug])
    if slug in ("challenge", "milestone"):
        schema = {"type": "object", "description": f"A JSON merge patch of a {slug}."}
        bad += (409,)
    else:
        good.append(("202", _PENDING))
    return {
        "parameters": [_IF_MATCH],
        "requestBody": {"required": True, "content": _json(schema)},
        "responses": _responses(slug, *good, bad=bad),
    }


def delete_operation(slug: str) -> Operation:
    """Return the operation of deleting a record; that there is no answer then is the route's."""
    good = [("202", _PENDING)] if slug == "member" else []
    return {
        "parameters": [_IF_MATCH],
        "responses": _responses(slug, *good, bad=(401, 403, 404, 412, 503)),
    }
