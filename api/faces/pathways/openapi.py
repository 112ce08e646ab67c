"""What `/openapi.json` says about the pathway logs face."""

from http import HTTPStatus
from typing import Any

from api.faces.pathways.bodies import MAX_LENGTH
from api.http.component_refs import NULL, text
from api.http.face import Chapter
from api.http.responses import MEDIA_TYPE as JSON
from schemas.activity_types import TYPES

Schema = dict[str, Any]

TAG = "pathway logs"
CHAPTER = Chapter(TAG)


def _object(properties: dict[str, Schema], **more: Any) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties, **more}


def _text(description: str = "") -> Schema:
    return {"type": "string", "description": description} if description else {"type": "string"}


def _filter(description: str) -> Schema:
    named = text(maxLength=MAX_LENGTH)
    options = [named, {"type": "array", "items": named}, NULL]
    return {"anyOf": options, "description": description}


_STATE: Schema = {"enum": ["not started", "in progress", "completed"]}
_PROGRESS: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_TIMESTAMP = _text("When it was completed, else last worked at; empty where nothing was done.")

_ASKED: Schema = {
    "type": "object",
    "required": ["pathway"],
    "additionalProperties": False,
    "properties": {
        "pathway": text(
            "ID or name of a pathway: not only blanks.", minLength=1, maxLength=MAX_LENGTH
        ),
        "activities": _filter("IDs or names of activities."),
        "types": _filter(f"Types of activities: {', '.join(TYPES)}; or their plurals or labels."),
        "groups": _filter("Names of groups that members are in."),
        "users": _filter("Emails, first, last or full names of members."),
        "user": _filter("The same as users."),
    },
}
_FULFILMENT: Schema = {
    "description": "An empty list where nothing was done.",
    "anyOf": [
        {
            "type": "object",
            "required": ["type", "state", "progress", "timestamp"],
            "properties": {
                "type": _text(),
                "state": _STATE,
                "progress": _PROGRESS,
                "timestamp": _TIMESTAMP,
            },
        },
        {"type": "array", "items": {}, "maxItems": 0},
    ],
}
_LOG = _object(
    {
        **{name: _text() for name in ("firstname", "lastname", "email")},
        **{name: _text() for name in ("telephone", "country", "city")},
        "groups": {"type": "array", "items": {"type": "string"}},
        "status": _object(
            {
                "complete": {"type": "boolean"},
                "progress": _PROGRESS,
                "state": _STATE,
                "timestamp": _TIMESTAMP,
            }
        ),
        "fulfilment": _FULFILMENT,
    }
)
_ACTIVITY = _object(
    {
        "ID": _text(),
        "name": _text(),
        "type": _text(),
        "fulfilmentType": _text(),
        "required": {"type": "boolean"},
        "level": {"type": "integer", "minimum": 1, "maximum": 4},
        "stats": _object(
            {
                "total": {"type": "integer", "description": "Enrolled members."},
                "completed": {"type": "integer", "description": "Those that completed it."},
            },
            description="Whatever the filters are.",
        ),
        "logs": {"type": "array", "items": _LOG},
    }
)
_PATHWAY = _object({"name": _text(), "type": {"const": "pathway"}, "ID": _text()})
_ANSWER = _object(
    {
        "status": {"const": "success"},
        "data": {
            "type": "array",
            "items": _object(
                {"pathway": _PATHWAY, "activities": {"type": "array", "items": _ACTIVITY}}
            ),
        },
        "hash": _text("MD5 of the bytes of data."),
        "response_time": {"type": "number", "description": "Seconds."},
    }
)
_ERROR = _object({"status": {"const": "error"}, "message": _text()})


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


LOGS: Schema = {
    "requestBody": {
        "required": True,
        "description": "JSON, whatever the content type.",
        "content": {JSON: {"schema": _ASKED}},
    },
    "responses": {
        "200": _json("The logs.", _ANSWER),
        **{
            str(status): _json(HTTPStatus(status).phrase, _ERROR)
            for status in (400, 401, 403, 404, 413, 503)
        },
    },
}
