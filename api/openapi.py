"""`/openapi.json`: what FastAPI finds out by itself, and beside it schemas, errors and logins."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import json_schemas
from api.problems import MEDIA_TYPE

_PUBLIC = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi")

_SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiSecret": {"type": "apiKey", "in": "header", "name": "x-api-secret"},
    "basic": {"type": "http", "scheme": "basic", "description": "keyId:secret"},
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
    components = {
        "Problem": _PROBLEM,
        "Paging": _PAGING,
        **json_schemas.of_definitions(),
        **json_schemas.of_structs(json_schemas.RECORD_STRUCTS + json_schemas.BODY_STRUCTS),
    }
    found["components"] = {
        "schemas": components,
        "securitySchemes": _SECURITY_SCHEMES,
        "responses": {str(status): _problem(status) for status in _ERRORS},
    }
    for path, item in found["paths"].items():
        for operation in item.values():
            # Bodies and queries are checked by the face itself: FastAPI's 422 never comes.
            operation["responses"].pop("422", None)
            operation["security"] = [] if path in _PUBLIC else _SECURITY
    return found


_ERRORS = (400, 401, 403, 404, 409, 412, 413, 503)


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": json_schemas.ref("Problem")}},
    }
