"""Writing challenges and milestones as records."""

import uuid
from typing import Any

from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.http import actors, bodies
from api.http.preconditions import etag, expected_version
from api.http.problems import Problem, not_found
from api.http.responses import json_response
from api.kafka.definition_store import parsed, without
from schemas import definitions as models
from schemas.definition_set import Stored
from schemas.ids import is_uuid


async def create(request: Request, caller: Caller, kind: str) -> Response:
    """Create a definition; one without an id is given one."""
    actor = actors.named(request)
    fields = without(await bodies.read_object(request), {"project": caller.project, "kind": kind})
    if fields.get("id") is None:
        fields["id"] = str(uuid.uuid4())
    definition = parsed(kind, fields)

    def judge(before: Stored | None) -> models.Definition:
        if before is not None:
            raise Problem(409, f"There is a {kind} {definition.id!r} already.", code="duplicate")
        return definition

    store = resources.of(request).definitions
    _, after = await store.write(caller.project, kind, definition.id, judge, actor=actor)
    return _shown(after, 201, {"location": f"/schema/{kind}/record/{definition.id}"})


async def change(request: Request, caller: Caller, kind: str, record_id: str) -> Response:
    """Change a definition by a JSON merge patch: null puts a field back to its default."""
    actor = actors.named(request)
    patch = without(await bodies.read_object(request), {"project": caller.project, "kind": kind})

    def judge(before: Stored | None) -> models.Definition:
        current = _existing(before, request, kind, record_id)
        fields = merged(models.wire_fields(current.definition), patch)
        return parsed(kind, without(fields, {"id": current.id}) | {"id": current.id})

    store = resources.of(request).definitions
    _, after = await store.write(caller.project, kind, record_id.lower(), judge, actor=actor)
    return _shown(after, 200, {})


async def delete(request: Request, caller: Caller, kind: str, record_id: str) -> Response:
    """Delete a definition; what was given under it stays."""
    actor = actors.named(request)

    def judge(before: Stored | None) -> None:
        _existing(before, request, kind, record_id)

    store = resources.of(request).definitions
    await store.write(caller.project, kind, record_id.lower(), judge, actor=actor)
    return Response(status_code=204)


def merged(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `current` changed by a merge patch (RFC 7396)."""
    result = dict(current)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result


def _existing(stored: Stored | None, request: Request, kind: str, record_id: str) -> Stored:
    if stored is None or not is_uuid(record_id.lower()):
        raise not_found(kind, record_id)
    expected_version(request, stored.version)
    return stored


def _shown(stored: Stored | None, status: int, headers: dict[str, str]) -> Response:
    if stored is None:
        raise Problem(409, "The definition was deleted by somebody else meanwhile.")
    return json_response(stored.record(), status, {"etag": etag(stored.version), **headers})
