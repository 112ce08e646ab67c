"""What `/openapi.json` says about the methods of the game-mechanics face."""

from typing import Any

from api.faces.game_mechanics.actions_log import CURSOR, MAX_LIMIT, MAX_SECONDS, LoggedAction
from api.faces.game_mechanics.authorization import MAX_TIMESTAMP
from api.faces.game_mechanics.challenge_status import MAX_LIST, MAX_TOTAL, Achievement, TopUser
from api.faces.game_mechanics.errors import OF_THE_SERVER
from api.faces.game_mechanics.parameters import MAX_TEXT
from api.faces.game_mechanics.presentation import JSON
from api.faces.game_mechanics.writing import MAX_IDENTIFIER
from api.http.component_refs import text
from api.http.face import Chapter
from schemas.amounts import MAX_POINTS

Operation = dict[str, Any]

TAG = "game mechanics"
_DESCRIPTION = (
    "Parameters come in the query, or in a form. Credentials are `apiKey` and `secret`, or "
    "`apiKey`, `timestamp`, `nonce` and `sig`. The HTTP status is 200 unless `httpStatusCodes` is "
    "true, or the body is larger than 1 MiB: `errorCode` tells."
)
ABOUT = "Answers the envelope, with what was asked for beside it."
_SECURITY_SCHEMES: dict[str, Operation] = {
    "keyParameter": {"type": "apiKey", "in": "query", "name": "apiKey"},
    "secretParameter": {"type": "apiKey", "in": "query", "name": "secret"},
    "signatureParameter": {"type": "apiKey", "in": "query", "name": "sig"},
}

SUMMARIES = {
    "getActionsLog": "List what gave a user points, and what took them",
    "notifyAction": "Log an action of a user",
    "redeemPoints": "Take points from a user",
    "getChallengeStatus": "A user's points and ranks in each challenge",
    "getTopUsers": "Rank the users of a challenge",
}

_TEXT: Operation = {"type": "string"}
_SENT: Operation = text(maxLength=MAX_TEXT)
_NEEDED: Operation = text(minLength=1, maxLength=MAX_TEXT)
"""An optional parameter that is empty counts as one that is not given."""
_FLAG: Operation = {"type": "boolean", "default": False}
_SECONDS: Operation = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_SECONDS,
    "description": "Unix time, inclusive.",
}

_COMMON: dict[str, Operation] = {
    "apiKey": {**_NEEDED, "description": "The key's id."},
    "secret": {**_SENT, "description": "The key's secret, where the call is not signed."},
    "timestamp": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_TIMESTAMP,
        "description": "Of the signature: Unix time, within 120 s.",
    },
    "nonce": {**_SENT, "description": "Of the signature: never used before."},
    "sig": {**_SENT, "description": "base64(HMAC-SHA1(secret, METHOD&url&sorted parameters))."},
    "format": {**_TEXT, "enum": ["json", "jsonp"], "default": "json"},
    "callback": text(
        "With jsonp, where it is required: names joined by dots, 100 characters in all, the "
        "function that is called."
    ),
    "context": text("Text or JSON that comes back unchanged."),
    "httpStatusCodes": _FLAG,
    "dontHandleScreenSet": _FLAG,
}
_UID: Operation = {**_NEEDED, "description": "The member's external id."}
_IP: Operation = {
    "anyOf": [{**_TEXT, "format": "ipv4"}, {**_TEXT, "format": "ipv6"}],
    "description": "Where the user acted from; else the caller's address.",
}
_IDENTIFIER: Operation = text(
    "A repetition with the same one counts once, and is answered as the first time.",
    maxLength=MAX_IDENTIFIER,
)
_CHALLENGES: Operation = text("Separated by commas.", maxLength=MAX_LIST)
_OWN: dict[str, dict[str, Operation]] = {
    "getActionsLog": {
        "UID": _UID,
        "startTime": _SECONDS,
        "endTime": _SECONDS,
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "description": "How many at most; the answer has `next` where there are more.",
        },
        "start": {**_TEXT, "pattern": CURSOR, "description": "The `next` of the page before."},
    },
    "notifyAction": {
        "UID": _UID,
        "action": {**_NEEDED, "description": "An event's id."},
        "actionAttributes": {
            **_TEXT,
            "contentMediaType": JSON,
            "contentSchema": {"type": "object"},
            "description": "The event's metadata: a JSON object.",
        },
        "ip": _IP,
        "uniqueIdentifier": _IDENTIFIER,
    },
    "redeemPoints": {
        "UID": _UID,
        "points": {"type": "integer", "minimum": 1, "maximum": MAX_POINTS},
        "challenge": {
            **_SENT,
            "default": "_default",
            "description": "One that a definition names, or that the user has had points in.",
        },
        "ip": _IP,
        "uniqueIdentifier": _IDENTIFIER,
    },
    "getChallengeStatus": {
        "UID": _UID,
        "includeChallenges": {**_CHALLENGES, "default": "*"},
        "excludeChallenges": _CHALLENGES,
        "details": {**_TEXT, "enum": ["basic", "full"], "default": "basic"},
    },
    "getTopUsers": {
        "challenge": {**_SENT, "default": "_default"},
        "totalCount": {"type": "integer", "minimum": 1, "maximum": MAX_TOTAL, "default": 12},
        "period": {**_TEXT, "enum": ["7days", "all"], "default": "7days"},
        "UID": {**_SENT, "description": _UID["description"]},
        "friendsCount": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_TOTAL,
            "description": "Changes nothing: nobody has friends here.",
        },
        "includeSelf": {"type": "boolean", "default": True},
    },
}
_REQUIRED = {
    "getActionsLog": ("UID",),
    "notifyAction": ("UID", "action"),
    "redeemPoints": ("UID", "points"),
    "getChallengeStatus": ("UID",),
    "getTopUsers": (),
}

_ENVELOPE: Operation = {
    "type": "object",
    "description": "What every answer of this face has.",
    "required": ["statusCode", "errorCode", "statusReason", "callId", "time"],
    "properties": {
        "statusCode": {"type": "integer"},
        "errorCode": {"type": "integer", "description": "0: it went well."},
        "errorMessage": {**_TEXT, "description": "With an error only."},
        "errorDetails": {**_TEXT, "description": "With an error only."},
        "statusReason": _TEXT,
        "callId": _TEXT,
        "time": {**_TEXT, "format": "date-time"},
        "context": {"description": "As it was given."},
    },
}
CHAPTER = Chapter(
    TAG,
    _DESCRIPTION,
    security=(
        {"keyParameter": [], "secretParameter": []},
        {"keyParameter": [], "signatureParameter": []},
    ),
    security_schemes=_SECURITY_SCHEMES,
    schemas={"GameMechanicsEnvelope": _ENVELOPE},
    structs=(LoggedAction, Achievement, TopUser),
    common_errors=False,
)


def _listed(component: str) -> Operation:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{component}"}}


_POINTS: Operation = {"type": "integer"}
_ANSWERS: dict[str, dict[str, Operation]] = {
    "getActionsLog": {
        "actions": _listed("LoggedAction"),
        "next": {**_TEXT, "description": "With `limit`, where there are more: the next `start`."},
    },
    "notifyAction": {"actionID": _TEXT, "points": _POINTS, "uniqueIdentifier": _TEXT},
    "redeemPoints": {
        "challengeID": _TEXT,
        "points": {**_POINTS, "description": "Below 0."},
        "pointsTotal": {**_POINTS, "description": "The balance after it."},
        "uniqueIdentifier": _TEXT,
    },
    "getChallengeStatus": {"achievements": _listed("Achievement")},
    "getTopUsers": {"users": _listed("TopUser")},
}
"""What stands beside the envelope where a call went well."""
_NAMED: dict[str, Operation] = {
    "id": {**_TEXT, "description": "Of what will be logged."},
    "uniqueIdentifier": _TEXT,
}
"""What stands beside the envelope where a result did not come in time."""
_WRITES = ("notifyAction", "redeemPoints")

_ERRORS = {
    "400": "A parameter is missing (400002) or bad (400006).",
    "403": "The credentials, the user, the right or the signature is not good (403…).",
    "500": "Something went wrong here, or is away (500001).",
}
"""By the HTTP status that comes with `httpStatusCodes=true`."""


_OF_THE_SERVER = {
    "408": "Head or body did not come in time",
    "413": "The body is larger than 1 MiB",
    "415": "The body's encoding is not gzip",
    "431": "The head is too large",
}
"""What the server refuses before any method is called."""


def operation(method: str, verb: str) -> Operation:
    """Return what is said of a method called by GET or POST."""
    parameters = {**_OWN[method], **_COMMON}
    required = ["apiKey", *_REQUIRED[method]]
    if verb == "GET":
        listed = [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in parameters.items()
        ]
        return {"parameters": listed, "responses": _responses(method)}
    form = {
        "type": "object",
        "required": required,
        "properties": parameters,
        "additionalProperties": text("Not looked at; but each parameter is given once."),
    }
    content = {"application/x-www-form-urlencoded": {"schema": form}}
    return {
        "requestBody": {"required": True, "content": content},
        "responses": _responses(method),
    }


def _responses(method: str) -> Operation:
    good = "Done; without `httpStatusCodes=true` also an error, which has the envelope only."
    responses = {"200": _answer(good, _ANSWERS[method])}
    if method in _WRITES:
        pending = "With `httpStatusCodes=true`: taken; its result did not come in time (100001)."
        responses["202"] = _answer(pending, _NAMED)
    for status, said in _ERRORS.items():
        responses[status] = _answer(f"With `httpStatusCodes=true`: {said}")
    for status, said in _OF_THE_SERVER.items():
        code = OF_THE_SERVER[int(status)]
        responses[status] = _answer(f"{said} ({code}), whatever was asked for.")
    return responses


def _answer(description: str, beside: dict[str, Operation] | None = None) -> Operation:
    """Return an answer: the envelope, and what may stand beside it."""
    schema: Operation = {"$ref": "#/components/schemas/GameMechanicsEnvelope"}
    if beside:
        schema = {"allOf": [schema, {"type": "object", "properties": beside}]}
    script = {**_TEXT, "description": "With `format=jsonp`: a call of `callback` with the same."}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema}, "text/javascript": {"schema": script}},
    }
