"""The API against its own document: schemathesis calls every operation, with good data and bad.

All of schemathesis' checks look at each answer. The requests are the same in each run: nothing is
drawn at random, and nothing that was answered decides what is sent next.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks as built_in

from api.app import create_app
from api.auth.credentials import Role
from api.documents import openapi
from schemas.settings import Settings
from tests.integration.api.serving import PATIENCE_SECONDS, Served
from tests.plain_http import NO_TLS

EXAMPLES = 5
"""Of each operation, with good data and with bad."""
PROJECT = "described"
"""A project of these tests' own: API keys have no limit, and what is created is in nobody's way."""

DOCUMENT = openapi.document(create_app(Settings()))
_CONFIG = {
    "generation": {
        # Credentials are the tests' own, good ones of one kind: of two kinds the first decides.
        "with-security-parameters": False,
        # No text may hold U+0000. Patterns say so of all that is named; of the texts that are
        # somewhere inside of metadata only the description does.
        "allow-x00": False,
    },
    "seed": 1,
    "phases": {
        phase: {"extra-data-sources": {"responses": False}} for phase in ("examples", "fuzzing")
    },
}
API = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(_CONFIG))
OPERATIONS = [
    (verb.upper(), path) for path, item in sorted(DOCUMENT["paths"].items()) for verb in item
]
_NOTHING_IS_BAD = {
    # They look at nothing of a request, or at its credentials alone.
    *("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi"),
    *("/asyncapi.json", "/schemas"),
    "/dashboard/members/{id}",
    "/schemas/{name}",
    "/assets/{name}",
    *("/", "/dashboard/session", "/dashboard/data", "/dashboard/challenges"),
    *("/dashboard/rewards", "/dashboard/streaks", "/dashboard/points", "/dashboard/pathways"),
    *("/dashboard/definitions", "/dashboard/recalculations", "/login", "/logout", "GET /clock"),
    "GET /recalculations",
    # They look at an id besides, and any text may be one.
    *("/event/{eventId}", "/recalculations/{id}", "/dashboard/dead-letters/{id}"),
    *("/dashboard/recalculations/{id}", "/dashboard/recalculations/of/{id}"),
    *("/user/{id}/export", "/user/{id}/forget"),
}
"""Routes that no data is bad for; of some, with their verb, only that one."""
_HEALTH = ("/healthz", "/readyz")
"""A 503 of theirs is what they are there to say: of a machine that is behind, too."""
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")

GAME_MECHANICS = "/gm."
FORM = "application/x-www-form-urlencoded"

_DIGITS = (
    r"at most 20 digits before and 9 after the point",
    "JSON Schema cannot count the digits of a number",
)
_MOMENT = (r"asOf: must not be in the future", "it does not know the present")
_PROJECT = (r"project: must be", "the project is that of the credentials")
_MEANT: Mapping[str, tuple[tuple[str, str], ...]] = {
    r"GET /schema/\w+/record$": (
        (r"filters: .*at most 100 digits", "JSON Schema cannot count the digits of a number"),
        (r"filters: .*must be in one of", "it knows no part of a text"),
        (r"filters: must not (be nested deeper|have more)", "it cannot bound a whole tree either"),
        _MOMENT,
    ),
    r"GET /schema/challenge_progress/record/": (_MOMENT,),
    r"GET /user/\S*/(points|streak|tier)$": (_MOMENT,),
    r"POST /schema/challenge_log/": (
        _DIGITS,
        (r"ownedById: (is required|must not be given)", "one of two fields, and null is none"),
    ),
    r"(POST|PATCH) /schema/member/": (_DIGITS,),
    r"(POST|PATCH) /schema/challenge/": (
        _DIGITS,
        _PROJECT,
        (r"endsAt: must be after startsAt", "it cannot compare two fields"),
    ),
    r"(POST|PATCH) /schema/milestone/": (
        _DIGITS,
        _PROJECT,
        (r"linkedSchemaRecordId: must be a challenge's id", "a UUID for one linkedSchemaSlug only"),
    ),
    r"PUT /definitions/": (
        _DIGITS,
        (r"^The [\w-]+ is not as it should be", "the body must be of the kind in the path"),
        _PROJECT,
        (r"(kind|id): must be", "kind and id are those of the path"),
    ),
    r"POST /event$": (
        (r"idempotencyKey: must equal", "header and field must be equal where both are given"),
    ),
    r"POST /user/": (
        _PROJECT,
        (r"points: must be a whole number", "5.0 is one for JSON Schema; points have no point"),
        (r"points: must not be 0", "a range of whole numbers has no gaps"),
        (r"(until|occurredAt|expiresAt): ", "it knows neither the present nor other fields"),
        (r"holdIdentifier: is not the path's", "it knows no path"),
    ),
    r"POST /(event|user)/.*/void$": (
        _DIGITS,
        (r"^(id|of\S*): ", "it takes one of two fields, and what is in that goes by `what`"),
        (r"portion: must be 1", "a portion of what may have one"),
    ),
    r"POST /recalculations$": (
        _DIGITS,
        (r"^max\w+: must be a whole number", "5.0 is one for JSON Schema; bounds have no point"),
        (r"^definitions: give", "one of two fields, and null is none"),
        (r"is there twice", "it cannot compare what is in a list"),
        (r"project: must be", "the project is that of the credentials"),
        (r"linkedSchemaRecordId: must be the id", "it knows not which challenges exist"),
        (r"endsAt: must be after startsAt", "it cannot compare two fields"),
        (r"eventIds: the event", "nor how many challenges an event feeds"),
    ),
    r"POST /dashboard/redrive$": (
        (r"letters: must be left out", "one of two fields, and null is none"),
        (r"letters: must be ids", "it cannot bound a number within a text"),
    ),
    r"POST /dashboard/recalculations/": (
        (r"^max\w+: must be a whole number", "5.0 is one for JSON Schema; bounds have no point"),
    ),
    r"GET /explain/(streak|tier)/": (
        (r"userId: is required", "a key has none of its own, and it knows not who asks"),
    ),
    r"GET /stats/event$": ((r"month: must be", "it is looked at with timeframe=month only"),),
    r"GET /leaderboard$": ((r"timeframe: must not be given together", "one of two parameters"),),
    r"(GET|POST) /gm\.": (
        (r"^callback", "it is looked at with format=jsonp only, and required then"),
        (r"startTime: must not be after endTime", "it cannot compare two parameters"),
        (r"start: must be what", "only an answer's `next` is a place"),
        (r"actionAttributes: must be a JSON object", "no text is drawn by its contentSchema"),
        (r"challenge: there is no such", "challenges are the project's own"),
        (r"action: no such event", "events are the project's own"),
    ),
    r"POST /v1/logs/pathway-logs": (
        (r"pathway: must not be empty", "a name of blanks only is empty"),
    ),
}
"""Of good data, what the API refuses by 400 all the same: what it says, and why the document does
not say it in its schemas. By operation."""


@pytest.fixture(scope="module")
def credentials(full_stack: Served) -> dict[str, str]:
    """The headers of an admin."""
    key = asyncio.run(full_stack.key(Role.ADMIN, PROJECT))
    return {"x-api-key": key.key_id, "x-api-secret": key.secret}


@pytest.mark.parametrize(
    ("mode", "verb", "path"),
    [
        pytest.param(mode, verb, path, id=f"{mode.value} {verb} {path}")
        for mode in GenerationMode
        for verb, path in OPERATIONS
        if not (mode is GenerationMode.NEGATIVE and {path, f"{verb} {path}"} & _NOTHING_IS_BAD)
    ],
)
def test_what_is_described_is_what_is_answered(
    full_stack: Served, credentials: dict[str, str], mode: GenerationMode, verb: str, path: str
) -> None:
    operation = API[path][verb]
    enforced = False

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def called(case: Case[Any]) -> None:
        nonlocal enforced
        excluded = [built_in.ignored_auth] if enforced else []
        if path.startswith(GAME_MECHANICS):
            response = _call_method(full_stack, credentials, case)
            headers: dict[str, str] = {}
            excluded.append(built_in.ignored_auth)  # see the test of that face
        else:
            headers = credentials
            if path == "/definitions/{kind}/{id}" and isinstance(case.body, dict):
                kind = case.body.get("kind")
                named = isinstance(kind, str) and kind and "/" not in kind
                case.path_parameters["kind"] = kind if named else "leaderboard"
            response = case.call(base_url=full_stack.url, headers=headers, timeout=PATIENCE_SECONDS)
        enforced |= response.status_code < 300  # once is enough, and takes five requests
        if path in _HEALTH:
            excluded.append(not_a_server_error)
        if mode is GenerationMode.POSITIVE and _is_meant(f"{verb} {path}", response):
            excluded.append(built_in.positive_data_acceptance)
        case.validate_response(response, headers=headers, excluded_checks=excluded)

    called()


def _call_method(full_stack: Served, credentials: dict[str, str], case: Case[Any]) -> Response:
    """Call a method of the game-mechanics face, whose credentials are parameters like others.

    The answer has the status that its envelope names, which `httpStatusCodes=true` makes that of
    HTTP: so the checks see a refusal as one.
    """
    sent = case.query if case.method.upper() == "GET" else case.body
    if isinstance(sent, dict):
        sent.pop("sig", None)  # it excludes a secret
        sent |= {"apiKey": credentials["x-api-key"], "secret": credentials["x-api-secret"]}
    response = case.call(base_url=full_stack.url, timeout=PATIENCE_SECONDS)
    response.status_code = _envelope(response.text).get("statusCode", response.status_code)
    return response


def _envelope(text: str) -> dict[str, Any]:
    script = re.fullmatch(r"/\*\*/[\w.$]+\((.*)\);?", text, re.DOTALL)
    found: dict[str, Any] = json.loads(script[1] if script else text)
    return found


def _is_meant(operation: str, response: Response) -> bool:
    """Tell whether good data was refused for what no schema can say."""
    if response.status_code == 412:
        return True  # no version that is drawn is the record's
    if response.status_code != 400:
        return False
    said = _envelope(response.text)
    message = said.get("detail") or said.get("errorDetails") or said["message"]
    reasons = [each for at, each in _MEANT.items() if re.match(at, operation)]
    return any(re.search(pattern, message) for each in reasons for pattern, _ in each)


@pytest.mark.parametrize("method", [path for _, path in OPERATIONS if path.startswith("/gm.")][::2])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_method_refuses_strangers(
    full_stack: Served, credentials: dict[str, str], verb: str, method: str
) -> None:
    """What schemathesis' check of ignored credentials does, where they are parameters."""
    key, secret = credentials["x-api-key"], credentials["x-api-secret"]
    wrong = "SCHEMATHESIS-INVALID-VALUE"
    strangers: list[dict[str, str]] = [
        {},
        {"apiKey": key},
        {"apiKey": key, "secret": wrong},
        {"apiKey": wrong, "secret": secret},
        {"apiKey": key, "sig": wrong, "nonce": "n", "timestamp": "1"},
    ]
    asked = {"UID": "u", "action": "a", "points": "1"}
    for stranger in strangers:
        for as_http, status in (("false", 200), ("true", 403)):
            sent = {**asked, **stranger, "httpStatusCodes": as_http}
            where = {"params": sent} if verb == "GET" else {"data": sent}
            response = httpx.request(
                verb,
                full_stack.url + method,
                timeout=PATIENCE_SECONDS,
                verify=NO_TLS,
                **where,  # type: ignore[arg-type]
            )
            assert (response.status_code, response.json()["errorCode"]) == (status, 403005)


def test_a_timestamp_is_a_number_beside_a_secret_too(
    full_stack: Served, credentials: dict[str, str]
) -> None:
    sent = {
        "apiKey": credentials["x-api-key"],
        "secret": credentials["x-api-secret"],
        "timestamp": "1.5",
    }
    url = full_stack.url + "/gm.getTopUsers"
    answer = httpx.get(url, params=sent, timeout=PATIENCE_SECONDS).json()
    assert (answer["errorCode"], answer["errorDetails"]) == (
        400006,
        "timestamp: must be a whole number",
    )


def test_no_other_method_is_answered(full_stack: Served, credentials: dict[str, str]) -> None:
    with httpx.Client(
        base_url=full_stack.url, headers=credentials, timeout=PATIENCE_SECONDS
    ) as client:
        for path, item in DOCUMENT["paths"].items():
            described = {verb.upper() for verb in item}
            for verb in set(_VERBS) - described:
                response = client.request(verb, re.sub(r"\{\w+\}", "x", path))
                assert response.status_code == 405, (verb, path)
                allowed = set(response.headers["allow"].replace(" ", "").split(","))
                assert described == allowed & set(_VERBS), (verb, path)


_CHANGING = ("/gm.notifyAction", "/gm.redeemPoints", "/login")
"""Methods that change something by GET as well, so that there is no HEAD."""


def test_head_is_there_where_get_changes_nothing(
    full_stack: Served, credentials: dict[str, str]
) -> None:
    with httpx.Client(
        base_url=full_stack.url, headers=credentials, timeout=PATIENCE_SECONDS
    ) as client:
        for path, item in DOCUMENT["paths"].items():
            there = "get" in item and path not in _CHANGING
            response = client.head(re.sub(r"\{\w+\}", "x", path))
            assert (response.status_code != 405) == there, path
            allowed = client.options(re.sub(r"\{\w+\}", "x", path)).headers["allow"].split(", ")
            assert ("HEAD" in allowed) == there, path
            assert there or response.headers["allow"].split(", ") == allowed, path


def test_the_document_is_the_one_that_is_served(full_stack: Served) -> None:
    assert httpx.get(f"{full_stack.url}/openapi.json", timeout=PATIENCE_SECONDS).json() == DOCUMENT
