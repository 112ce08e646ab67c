"""`/openapi.json`: FastAPI's document, with the faces' schemas, errors and logins added."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.documents import examples, json_schemas
from api.http import dry_runs
from api.http.component_refs import Schema, ref
from api.http.face import Chapter
from api.http.problems import MEDIA_TYPE
from api.http.responses import MEDIA_TYPE as JSON

_SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiSecret": {"type": "apiKey", "in": "header", "name": "x-api-secret"},
    "basic": {"type": "http", "scheme": "basic", "description": "keyId:secret"},
}

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
        "id": {"type": "string", "description": "Of what is in the way."},
        "since": {
            "type": "string",
            "format": "date-time",
            "description": "When the earliest input was recorded since which all are there.",
        },
        **dry_runs.SCHEMAS[dry_runs.TRIED]["properties"],
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
    """Return the OpenAPI 3.1 document of the application; made once.

    `app.state.faces` are what it serves.
    """
    if app.openapi_schema is None:
        app.openapi_schema = _document(app, [face.openapi for face in app.state.faces])
    return app.openapi_schema


def _document(app: FastAPI, chapters: Sequence[Chapter]) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    found["components"] = _components(chapters)
    found["tags"] = [
        {"name": chapter.tag, "description": chapter.description}
        for chapter in chapters
        if chapter.description
    ]
    by_tag = {chapter.tag: chapter for chapter in chapters}
    for path, item in found["paths"].items():
        for verb, operation in item.items():
            _complete(operation, by_tag[operation["tags"][0]])
            examples.add(operation, verb, path)
    return found


def _components(chapters: Sequence[Chapter]) -> dict[str, Any]:
    errors = [chapter.errors for chapter in chapters if chapter.errors]
    definitions = json_schemas.of_definitions()
    schemas: dict[str, Schema] = {"Problem": _PROBLEM, "Paging": _PAGING}
    schemas |= {each.component: each.schema for each in errors}
    for chapter in chapters:
        schemas |= chapter.schemas
    schemas |= {**definitions, **json_schemas.of_writing(definitions)}
    schemas |= json_schemas.of_structs(
        [struct for chapter in chapters for struct in chapter.structs],
        [body for chapter in chapters for body in chapter.bodies],
    )
    for chapter in chapters:
        if chapter.derived is not None:
            schemas |= chapter.derived(schemas)
    responses = {str(status): _error(status, MEDIA_TYPE, "Problem") for status in _ERRORS}
    for each in errors:
        responses |= {
            f"{each.response_prefix}{status}": _error(status, JSON, each.component)
            for status in _ERRORS
        }
    schemes = dict(_SECURITY_SCHEMES)
    for chapter in chapters:
        schemes |= chapter.security_schemes
    return {"schemas": schemas, "securitySchemes": schemes, "responses": responses}


def _complete(operation: dict[str, Any], chapter: Chapter) -> None:
    """Add to an operation what its face's operations have in common."""
    _without_fastapi_s(operation["responses"])
    if chapter.common_errors:
        _add_common(operation)
    operation["security"] = list(chapter.security)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] = chapter.path_parameter(parameter["name"])


def _without_fastapi_s(responses: dict[str, Any]) -> None:
    """Remove FastAPI's own 422, which never comes: faces check bodies and queries themselves."""
    content = responses.get("422", {}).get("content", {})
    content.pop(JSON, None)
    if not content:
        responses.pop("422", None)


_ERRORS = (400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 431, 503)
_ALWAYS = (400, 408, 429, 431, 503)
"""Errors that any request may meet."""
_OF_BODIES = (413, 415)


def _add_common(operation: dict[str, Any]) -> None:
    """Add the errors that any request may meet, in the shape of the face's own."""
    responses: dict[str, Any] = operation["responses"]
    shaped = next((each for status, each in responses.items() if status[0] == "4"), None)
    if shaped is None:
        return  # an operation without errors
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


def _error(status: int, media_type: str, schema: str) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {media_type: {"schema": ref(schema)}},
    }
