"""The face over HTTP, with nothing behind it: what is answered before anything is looked up."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from api.documents import openapi
from api.faces.game_mechanics.errors import from_problem
from api.faces.game_mechanics.presentation import Presentation
from api.faces.game_mechanics.routes import METHODS, Method
from api.http.body_stream import MAX_BODY_BYTES
from api.http.problems import Problem
from schemas.settings import Settings
from tests.plain_http import NO_TLS

NAMES = [method.name for method in METHODS]
LOG = "/gm.getActionsLog"
SERVER = ("408", "413", "415", "431")
"""What the server refuses, whatever was asked for."""


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that has opened nothing: enough for what needs nothing."""
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", verify=NO_TLS
    ) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_guest_is_an_unauthorized_user(
    client: httpx.AsyncClient, name: str, verb: str
) -> None:
    for given in ({}, {"apiKey": "k"}, {"secret": "s"}):
        answer = await client.request(verb, f"/gm.{name}", params={"UID": "ann", **given})
        assert answer.status_code == 200
        assert answer.json()["errorCode"] == 403005
        assert answer.json()["statusCode"] == 403
    given = {"httpStatusCodes": "true"}
    assert (await client.request(verb, f"/gm.{name}", params=given)).status_code == 403


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (
            (
                ("UID", "a"),
                ("UID", "a"),
            ),
            400006,
        ),
        ((("format", "xml"),), 400006),
        ((("format", "jsonp"),), 400002),
        (
            (
                ("format", "jsonp"),
                ("callback", "alert(1)"),
            ),
            400006,
        ),
        ((("httpStatusCodes", "1x"),), 400006),
        (
            (
                ("apiKey", "k"),
                ("secret", "s"),
                ("sig", "x"),
            ),
            400006,
        ),
        (
            (
                ("apiKey", "k"),
                ("sig", "x"),
            ),
            400002,
        ),
        (
            (
                ("apiKey", "k"),
                ("sig", "x"),
                ("timestamp", "1"),
                ("nonce", "n" * 257),
            ),
            400006,
        ),
    ],
)
async def test_bad_input_has_its_code(
    client: httpx.AsyncClient, params: tuple[tuple[str, str], ...], code: int
) -> None:
    for answer in (
        await client.get(LOG, params=params),
        await client.post(
            LOG,
            content=urlencode(params),
            headers={"content-type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["errorCode"] == code


@pytest.mark.parametrize(("length", "code"), [(10, 400006), (5_000, 403005)])
async def test_a_long_context_is_looked_at_only_for_those_who_may_call(
    client: httpx.AsyncClient, length: int, code: int
) -> None:
    context = json.dumps(["\x00", "x" * length])  # which no context may hold
    answer = await client.post(
        LOG,
        content=urlencode({"context": context}),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.json()["errorCode"] == code


async def test_query_and_form_at_once_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(LOG, params={"UID": "a", "httpStatusCodes": "true"}, data={"x": "1"})
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == 400006


async def test_an_error_calls_back_too(client: httpx.AsyncClient) -> None:
    params = {"format": "jsonp", "callback": "a.b", "context": '{"n":1}'}
    answer = await client.get(LOG, params=params)
    assert answer.text.startswith("/**/a.b({")
    shown = json.loads(answer.text[len("/**/a.b(") : -2])
    assert shown["errorCode"] == 403005
    assert shown["context"] == {"n": 1}


async def test_a_body_that_is_too_large(client: httpx.AsyncClient) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        yield b"x" * (MAX_BODY_BYTES + 1)

    for content in (b"x" * (MAX_BODY_BYTES + 1), unannounced()):
        answer = await client.post(LOG, content=content, params={"context": "c"})
        assert answer.status_code == 413
        shown = answer.json()
        assert (shown["errorCode"], shown["statusCode"], shown["context"]) == (413001, 413, "c")
        assert shown["statusReason"] == answer.reason_phrase


async def test_statuses_of_the_server_are_those_of_the_envelope() -> None:
    for status in map(int, SERVER):
        answer = Presentation().failure(from_problem(Problem(status, "why")))
        shown = json.loads(bytes(answer.body))
        assert (answer.status_code, shown["statusCode"]) == (status, status)
        assert shown["errorCode"] // 1000 == status


async def test_what_cannot_be_read_is_answered_as_it_was_asked(client: httpx.AsyncClient) -> None:
    wanted = {"httpStatusCodes": "true", "format": "jsonp", "callback": "cb"}
    answers = (
        await client.post(LOG, params=wanted, json={"UID": "a"}),
        await client.get(f"{LOG}?{urlencode(wanted)}&UID=%ff"),
        await client.post(
            LOG,
            content=f"UID=%ff&{urlencode(wanted)}",
            headers={"content-type": "application/x-www-form-urlencoded"},
        ),
    )
    for answer in answers:
        assert answer.status_code == 400
        assert answer.text.startswith("/**/cb({")
        assert '"errorCode":400006' in answer.text


async def test_a_failure_of_ours_shows_nothing(client: httpx.AsyncClient) -> None:
    given = {"apiKey": "k", "secret": "very-secret"}  # nothing was opened that could be asked
    for flag, status in (("false", 200), ("true", 500)):
        answer = await client.get(LOG, params={**given, "httpStatusCodes": flag})
        assert answer.status_code == status
        assert answer.json()["errorCode"] == 500001
        assert "resources" not in answer.text
        assert "very-secret" not in answer.text


async def test_other_methods_and_paths_are_none(client: httpx.AsyncClient) -> None:
    answer = await client.put(LOG)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await client.get("/gm.deleteChallenge")).status_code == 404


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
async def test_head_is_there_where_get_changes_nothing(
    client: httpx.AsyncClient, method: Method
) -> None:
    path = f"/gm.{method.name}"
    head = await client.head(path, params={"UID": "ann"})
    assert not head.content
    changes = method.name in ("notifyAction", "redeemPoints")
    allowed = "GET, OPTIONS, POST" if changes else "GET, HEAD, OPTIONS, POST"
    assert head.status_code == (405 if changes else 200)
    assert head.headers.get("allow") == (allowed if changes else None)
    assert (await client.put(path)).headers["allow"] == allowed
    assert (await client.options(path)).headers["allow"] == allowed


async def test_answers_are_kept_by_nobody(client: httpx.AsyncClient) -> None:
    answer = await client.get(LOG)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_method_is_described() -> None:
    document = openapi.document(create_app(Settings()))
    for name in NAMES:
        item = document["paths"][f"/gm.{name}"]
        assert set(item) == {"get", "post"}
        listed = {parameter["name"] for parameter in item["get"]["parameters"]}
        form = item["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        assert listed == set(form["schema"]["properties"])
        assert {"apiKey", "sig", "format", "context"} <= listed
        assert {"keyParameter": [], "secretParameter": []} in item["get"]["security"]


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("getActionsLog", {"actions", "next"}),
        ("notifyAction", {"actionID", "points", "uniqueIdentifier"}),
        ("redeemPoints", {"challengeID", "points", "pointsTotal", "uniqueIdentifier"}),
        ("getChallengeStatus", {"achievements"}),
        ("getTopUsers", {"users"}),
    ],
)
def test_every_answer_is_described(name: str, beside: set[str]) -> None:
    document = openapi.document(create_app(Settings()))
    for operation in document["paths"][f"/gm.{name}"].values():
        responses = operation["responses"]
        writes = name in ("notifyAction", "redeemPoints")
        pending = {"202"} if writes else set()
        assert set(responses) == {"200", "400", "403", "500", *SERVER} | pending
        for response in responses.values():
            assert set(response["content"]) == {"application/json", "text/javascript"}
        _, own = responses["200"]["content"]["application/json"]["schema"]["allOf"]
        assert set(own["properties"]) == beside
    schemas = document["components"]["schemas"]
    assert set(schemas["LoggedAction"]["properties"]) == {
        "time", "actionID", "points", "ip", "challengeID", "operation",
    }  # fmt: skip
    assert "rank7Days" in schemas["Achievement"]["properties"]
    assert "UID" in schemas["TopUser"]["properties"]
