"""`/openapi.json`: what FastAPI finds out by itself, and beside it schemas, errors and logins."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.documents import json_schemas
from api.faces.events import openapi as events_face
from api.faces.game_mechanics import openapi as game_mechanics_face
from api.faces.records import openapi as records_face
from api.http.component_refs import UUID, ref, text
from api.http.problems import MEDIA_TYPE
from api.http.responses import MEDIA_TYPE as JSON
from api.queries.record_fields import RECORDS
from schemas import definitions as models

_PUBLIC = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi")

_SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiSecret": {"type": "apiKey", "in": "header", "name": "x-api-secret"},
    "basic": {"type": "http", "scheme": "basic", "description": "keyId:secret"},
    **events_face.SECURITY_SCHEMES,
    **game_mechanics_face.SECURITY_SCHEMES,
}
_SECURITY: list[dict[str, list[str]]] = [{"apiKey": [], "apiSecret": []}, {"basic": []}]

_PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "For programs."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "record": {"description": "Of a duplicate: the first answer."},
    },
}
_PAGING = {
    "type": "object",
    "required": ["offset", "limit", "totalCount"],
    "properties": {
        "offset": {"type": "integer"},
        "limit": {"type": "integer"},
        "totalCount": {
            "type": ["integer", "null"],
            "description": "Null unless fetchTotalCount=true.",
        },
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the application; made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    definitions = json_schemas.of_definitions()
    components = {
        "Problem": _PROBLEM,
        "Paging": _PAGING,
        "EventError": events_face.ERROR,
        **game_mechanics_face.SCHEMAS,
        **definitions,
        **json_schemas.of_writing(definitions),
        **json_schemas.of_structs(json_schemas.FACE_STRUCTS),
    }
    for name in records_face.SHOWN.values():
        components[records_face.part_of(name)] = _partial(components[name])
    for records in RECORDS.values():
        components |= records_face.filter_components(records)
    found["components"] = {
        "schemas": components,
        "securitySchemes": _SECURITY_SCHEMES,
        "responses": {
            **{str(status): _error(status, MEDIA_TYPE, "Problem") for status in _ERRORS},
            **{f"event-{status}": _error(status, JSON, "EventError") for status in _ERRORS},
        },
    }
    found["tags"] = [
        {"name": face.TAG, "description": face.DESCRIPTION}
        for face in (events_face, game_mechanics_face)
    ]
    for path, item in found["paths"].items():
        for operation in item.values():
            # Bodies and queries are checked by the face itself: FastAPI's 422 never comes.
            operation["responses"].pop("422", None)
            if game_mechanics_face.TAG not in operation["tags"]:
                _add_common(operation)
            operation["security"] = _security_of(path, operation["tags"])
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"] = _in_path(path, parameter["name"])
    return found


_ERRORS = (400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 431, 503)
_ALWAYS = (400, 408, 429, 431, 503)
"""What may come of any request: of its query or head, of how many there are, of what is away."""
_OF_BODIES = (413, 415)


def _add_common(operation: dict[str, Any]) -> None:
    """Say what may come of any request to a face, in the shape of that face's errors."""
    responses: dict[str, Any] = operation["responses"]
    shaped = next((each for status, each in responses.items() if status[0] == "4"), None)
    if shaped is None:
        return  # an operation for operators, which refuses nothing
    for status in (*_ALWAYS, *(_OF_BODIES if "requestBody" in operation else ())):
        if str(status) in responses:
            continue
        found = dict(shaped)
        if "$ref" in shaped:
            beginning, dash, _ = shaped["$ref"].rpartition("-")
            found["$ref"] = f"{beginning}-{status}" if dash else f"#/components/responses/{status}"
        else:
            found["description"] = HTTPStatus(status).phrase
        responses[str(status)] = found


def _partial(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that requires none of its properties."""
    return {**schema, "required": []}


def _in_path(path: str, name: str) -> dict[str, Any]:
    """Return the schema of a part of a path. What no record is called is a 404."""
    if name == "kind":
        return {"enum": list(models.KINDS)}
    return UUID if path.startswith("/schema/") else text(minLength=1, maxLength=256)


def _security_of(path: str, tags: list[str]) -> list[dict[str, list[str]]]:
    if path in _PUBLIC:
        return []
    if game_mechanics_face.TAG in tags:
        return game_mechanics_face.SECURITY
    return events_face.SECURITY if events_face.TAG in tags else _SECURITY


def _error(status: int, media_type: str, schema: str) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {media_type: {"schema": ref(schema)}},
    }
