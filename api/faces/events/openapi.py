"""What `/openapi.json` says about the routes of the events and analytics face."""

from typing import Any

from api.explaining.answers import WhyNot
from api.faces.events.bodies import KEY_HEADER, AssignTierBody, EventBody
from api.faces.events.parameters import MAX_LENGTH
from api.faces.events.periods import BOARD_TIMEFRAMES, DEFAULT_PERIOD, PERIODS
from api.faces.events.point_bodies import BODIES
from api.faces.events.shapes import STRUCTS
from api.http import dry_runs, moments
from api.http.component_refs import text
from api.http.face import API_KEY, Chapter, ErrorSchema
from api.queries.exports import SECTIONS

Operation = dict[str, Any]

TAG = "events and analytics"

_SECURITY_SCHEMES: dict[str, Operation] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "endUserToken": {"type": "apiKey", "in": "header", "name": "x-enduser-access-token"},
}

_DESCRIPTION = (
    "Every path may have `/v0`, `/v1`, `/v2` or `/v3` before it: the version is taken off. "
    "Errors are `{statusCode, message}`."
)

_ERROR: Operation = {
    "type": "object",
    "description": "What went wrong.",
    "required": ["statusCode", "message"],
    "properties": {
        "statusCode": {"type": "integer"},
        "message": {"type": "string"},
        "code": {
            "type": "string",
            "description": "Of calls that move or take back something, and reads of why-not and "
            "with asOf: a word for programs.",
            "examples": ["insufficient_points", "unknown_hold", "over_voided", "rebuild_needed"],
        },
        "asked": {
            "type": "integer",
            "description": "Where points do not suffice: those asked for.",
        },
        "available": {"type": "integer", "description": "And those that there are."},
        **dry_runs.SCHEMAS[dry_runs.TRIED]["properties"],
    },
}

CHAPTER = Chapter(
    TAG,
    _DESCRIPTION,
    security=({"bearer": []}, {"endUserToken": []}, *API_KEY),
    security_schemes=_SECURITY_SCHEMES,
    structs=(EventBody, AssignTierBody, WhyNot, *BODIES, *STRUCTS),
    bodies=(EventBody, AssignTierBody, *BODIES),
    errors=ErrorSchema("EventError", _ERROR, "event-"),
    path_parameter=lambda name: text(
        minLength=1, maxLength=512 if name == "holdIdentifier" else MAX_LENGTH
    ),
)

_LOG_ID: Operation = {"type": "string", "description": "The event log's id."}
_PENDING: Operation = {
    "type": "object",
    "required": ["statusCode", "message", "id", "data"],
    "properties": {
        "statusCode": {"const": 202},
        "message": {"type": "string"},
        "id": _LOG_ID,
        "data": {"type": "object", "required": ["id"], "properties": {"id": _LOG_ID}},
    },
}


def _ref(name: str) -> Operation:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Operation) -> Operation:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _bad(*statuses: int) -> Operation:
    return {str(status): {"$ref": f"#/components/responses/event-{status}"} for status in statuses}


def _query(name: str, description: str, **schema: Any) -> Operation:
    schema = {"type": "string", **schema}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _named(name: str, description: str) -> Operation:
    """Return a parameter that is an id."""
    return _query(name, description, **text(minLength=1, maxLength=MAX_LENGTH))


def _read(*parameters: Operation, good: Operation, bad: tuple[int, ...]) -> Operation:
    responses = {"200": good, **_bad(*bad, 401, 403, 503)}
    return {"parameters": list(parameters), "responses": responses}


_MONTH = {
    "pattern": "^(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-(?:0[1-9]|1[0-2])$",
    "examples": ["2025-08"],
}
_GROUP = _named("groupId", "A leaderboard's id, or a user group; all points without it.")

POST_EVENT: Operation = {
    "parameters": [
        {
            "name": KEY_HEADER,
            "in": "header",
            "description": "As the field idempotencyKey, which must be the same if both are given.",
            "schema": {"type": "string", "pattern": "^[!-~](?:[ -~]{0,510}[!-~])?$"},
        },
        *dry_runs.PARAMETERS,
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _ref("EventBody")}},
    },
    "responses": {
        "200": {
            **_json("What became of the event.", dry_runs.answer("EventPosted")),
            "headers": {KEY_HEADER: {"schema": {"type": "string"}}},
        },
        "202": _json("Taken; its result did not come in time.", _PENDING),
        **_bad(400, 401, 403, 404, 413, 503),
    },
}


def _tried(body: str, answer: str, *parameters: Operation) -> Operation:
    """Return what is said of a call that has its command's answer, and can be a dry run."""
    operation = _commands(body, answer)
    good = operation["responses"]["200"]["content"]["application/json"]
    good["schema"] = dry_runs.answer(answer)
    return {"parameters": [*parameters, *dry_runs.PARAMETERS], **operation}


def _commands(body: str, answer: str) -> Operation:
    """Return what is said of a call that has its command's answer."""
    pending = {
        "type": "object",
        "required": ["statusCode", "message", "id", "uniqueIdentifier"],
        "properties": {
            "statusCode": {"const": 202},
            "message": {"type": "string"},
            "id": {"type": "string", "description": "Of what it makes or changes."},
            "uniqueIdentifier": {"type": "string"},
        },
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(body)}},
        },
        "responses": {
            "200": _json("What it did, now or the first time.", _ref(answer)),
            "202": _json("Taken; its result did not come in time.", pending),
            **_bad(400, 401, 403, 404, 409, 413, 503),
        },
    }


def _path(name: str) -> Operation:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_MOVED = "PointsMovedAnswer"
_OF_HOLD = _path("id"), _path("holdIdentifier")
SPEND = _tried("SpendBody", _MOVED)
HOLD = _tried("HoldBody", _MOVED)
CAPTURE = _tried("CaptureBody", _MOVED, *_OF_HOLD)
RELEASE = _tried("ReleaseBody", _MOVED, *_OF_HOLD)
ADJUST = _tried("AdjustBody", _MOVED)
VOID_EVENT = _tried("VoidBody", "VoidAnswer")
VOID_OF_USER = _tried("UserVoidBody", "VoidAnswer")
LIST_EVENTS: Operation = {
    "parameters": [
        _query("showAll", "false: active events only.", enum=["true", "false"], default="true")
    ],
    "responses": {
        "200": _json("The events.", {"type": "array", "items": _ref("EventDefinition")}),
        "204": {"description": "The project has no events."},
        **_bad(400, 401, 403, 503),
    },
}
GET_EVENT = _read(good=_json("The event.", _ref("EventDefinition")), bad=(400, 404))
STREAK = _read(
    {**_named("streakId", "The streak."), "required": True},
    good=_json(
        "The figures, null where nobody has taken part.",
        {"anyOf": [_ref("StreakAnalytics"), {"type": "null"}]},
    ),
    bad=(400,),
)
STATS = _read(
    _query("period", "Days that end today.", enum=list(PERIODS), default=DEFAULT_PERIOD),
    _named("eventId", "One event; all without it."),
    _query(
        "timeframe",
        "month, with `month`: that calendar month. Any other leaves `period`.",
        **text(),
    ),
    _query("month", "With `timeframe=month`: YYYY-MM. Not looked at without it.", **text()),
    good=_json("The figures.", {"anyOf": [_ref("GlobalStatsAnswer"), _ref("EventStatsAnswer")]}),
    bad=(400,),
)
LEADERBOARD = _read(
    _GROUP,
    _query("month", "A calendar month; this one by default.", **_MONTH),
    _query("timeframe", "The last days; not together with `month`.", enum=list(BOARD_TIMEFRAMES)),
    _query("limit", "How many.", type="integer", minimum=1, maximum=1000, default=10),
    good=_json("The top.", _ref("LeaderboardAnswer")),
    bad=(400,),
)
RANK = _read(_GROUP, good=_json("Points and ranks.", _ref("RankAnswer")), bad=(400, 404))
POINTS = _read(moments.PARAMETER, good=_json("The balances.", _ref("PointsAnswer")), bad=(400, 404))
CHALLENGE = _read(
    _query("completed", "Only those that are, or are not.", enum=["true", "false"]),
    good=_json("The challenges.", _ref("ChallengesAnswer")),
    bad=(400, 404),
)
TIERS = _read(moments.PARAMETER, good=_json("The tiers.", _ref("TiersAnswer")), bad=(400, 404))
ASSIGN_TIER = _commands("AssignTierBody", "TierAnswer")
STREAKS = _read(
    moments.PARAMETER, good=_json("The streaks.", _ref("StreaksAnswer")), bad=(400, 404)
)
FORGET: Operation = {
    "responses": {
        "200": _json("When it was forgotten, now or the first time.", _ref("ForgottenAnswer")),
        "202": _json(
            "Taken; its result did not come in time.",
            {
                "type": "object",
                "required": ["statusCode", "message", "id"],
                "properties": {
                    "statusCode": {"const": 202},
                    "message": {"type": "string"},
                    "id": {"type": "string", "description": "The member's."},
                },
            },
        ),
        **_bad(400, 401, 403, 404, 503),
    }
}
_ROWS: Operation = {"type": "array", "items": {"type": "object"}}
EXPORT = _read(
    good=_json(
        "All that is held, as of one moment. A row has the columns of its table, spelt as fields: "
        "numbers are exact, times in UTC.",
        {
            "type": "object",
            "required": ["member", *SECTIONS],
            "properties": {
                "member": {"type": "object", "description": "The profile."},
                **{
                    name: {**_ROWS, "description": f"The rows of the table `{table}`."}
                    for name, table in SECTIONS.items()
                },
            },
        },
    ),
    bad=(400, 404),
)
WHY_NOT = _read(
    _named("milestoneId", "The milestone, of a challenge.") | {"required": True},
    _named("periodKey", "2026-11-21, 2026-W47, 2026-11, 2026 or all; the present one without it."),
    _query("uniqueIdentifier", "Of the one log that is asked about.", minLength=1, maxLength=512),
    good=_json("How far it is, and what did not count.", _ref("WhyNot")),
    bad=(400, 404),
)
WHY_NOT["responses"]["410"] = _json(
    "The topics have the log that is named no more (`inputs_gone`).", _ref("EventError")
)
