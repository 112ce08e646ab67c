"""Versions in paths, and errors as this face has them, for whatever goes wrong."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio
from fastapi import Request

from api.app import create_app
from api.faces.events.face import refused, renderer, stripped
from api.faces.events.spending import named_hold
from api.http.body_stream import MAX_BODY_BYTES
from api.http.problems import Problem, invalid
from api.kafka.past import rebuild_first
from schemas.settings import Settings
from tests.plain_http import NO_TLS


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that has opened nothing: enough for what needs nothing."""
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", verify=NO_TLS
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/event", "/event"),
        ("/v0/event", "/event"),
        ("/v1/event/", "/event/"),
        ("/v2/stats/event", "/stats/event"),
        ("/v3/user/😀/points", "/user/😀/points"),
        ("/analytics/streak", "/analytics/streak"),
        ("/leaderboard", "/leaderboard"),
        ("/v4/event", None),
        ("/v1/v1/event", None),
        ("/v1", None),
        ("/v1/logs/pathway-logs", None),
        ("/eventually", None),
        ("/events", None),
        ("/v1/schema/member/record", None),
        ("/definitions/event/x", None),
        ("/", None),
    ],
)
def test_a_version_is_taken_off_this_faces_paths_only(path: str, expected: str | None) -> None:
    assert stripped(path) == expected


def test_an_error_has_a_status_and_a_message_and_no_more() -> None:
    answer = refused(invalid("eventId", "is missing"))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(bytes(answer.body)) == {
        "statusCode": 400,
        "message": "eventId: is missing",
    }
    assert refused(Problem(503, "Away.", headers={"retry-after": "5"})).headers["retry-after"]


@pytest.mark.parametrize(
    ("method", "path", "with_code"),
    [
        ("POST", "/v1/user/ann/spend", True),
        ("POST", "/user/a/b/hold/x/capture", True),
        ("POST", "/user/ann/hold", True),
        ("POST", "/user/ann/tier", True),
        ("POST", "/user/ann/void", True),
        ("POST", "/v2/event/an-id/void", True),
        ("GET", "/user/ann/tier", False),
        ("GET", "/user/ann/points", False),
        ("GET", "/user/spend/points", False),
        ("POST", "/event/spend", False),
    ],
)
def test_commands_say_a_code(method: str, path: str, with_code: bool) -> None:
    more = {"asked": 5, "available": 3}
    problem = Problem(409, "Too few.", code="insufficient_points", more=more)
    answer = renderer({"method": method, "path": path})(problem)
    said = {"statusCode": 409, "message": "Too few."}
    coded = {**said, "code": "insufficient_points", **more}
    assert json.loads(bytes(answer.body)) == (coded if with_code else said)


@pytest.mark.parametrize(
    ("path", "query", "with_code"),
    [
        ("/v1/user/ann/points", b"asOf=2026-11-21T10:30:00Z", True),
        ("/user/a/b/streak", b"x=1&asOf=2026-11-21T10:30:00Z", True),
        ("/user/ann/tier", b"asOf=2026-11-21T10:30:00Z", True),
        ("/user/ann/tier", b"", False),
        ("/user/ann/points", b"has=asOf", False),
        ("/analytics/streak", b"asOf=2026-11-21T10:30:00Z", False),
    ],
)
def test_reads_of_then_say_whether_tables_must_be_rebuilt(
    path: str, query: bytes, with_code: bool
) -> None:
    answer = renderer({"method": "GET", "path": path, "query_string": query})(rebuild_first("t"))
    said = json.loads(bytes(answer.body))
    assert said["statusCode"] == 503
    assert said.get("code") == ("rebuild_needed" if with_code else None)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("/user/ann/hold/h-1/capture", ("ann", "h-1")),
        ("/v3/user/ann/hold/h-1/capture", ("ann", "h-1")),
        ("/user/a%2Fb/hold/c%2Fd%20%C3%A4/capture", ("a/b", "c/d ä")),
        ("/user/a/b/hold/h/capture", ("a/b", "h")),
        ("/user/a%2Fhold%2Fb/hold/h/capture", ("a/hold/b", "h")),
        ("/user/user/hold/hold/capture", ("user", "hold")),
        ("/user/ann/%68old/h/capture", ("ann", "h")),
        ("/user/ann/hold/h/i/capture", None),
        ("/user/ann/hold/h%2Fcapture", None),
        ("/user/ann/hold//capture", None),
        ("/user//hold/h/capture", None),
        ("/user/ann/hold/h/release", None),
        ("/user%2Fann/hold/h/capture", None),
    ],
)
async def test_the_identifier_of_a_hold_is_one_segment_of_the_path(
    sent: str, named: tuple[str, str] | None
) -> None:
    app = SimpleNamespace(state=SimpleNamespace(guards={}))
    path = unquote(sent)
    scope = {"type": "http", "path": path, "raw_path": sent.encode(), "headers": [], "app": app}
    request = Request(scope | {"method": "POST", "query_string": b""})
    if named is not None:
        assert await named_hold(request, "capture") == named
        return
    with pytest.raises(Problem) as refused_:
        await named_hold(request, "capture")
    assert refused_.value.status == 404


def test_an_end_user_is_not_asked_for_a_password() -> None:
    assert refused(Problem(401, "Who?")).headers["www-authenticate"] == 'Bearer realm="milestream"'


@pytest.mark.parametrize("prefix", ["", "/v0", "/v1", "/v2", "/v3"])
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/event", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/event/x", "GET, HEAD, OPTIONS"),
        ("POST", "/stats/event", "GET, HEAD, OPTIONS"),
        ("PATCH", "/user/u/points", "GET, HEAD, OPTIONS"),
        ("GET", "/user/u/spend", "OPTIONS, POST"),
        ("DELETE", "/user/u/hold/h/capture", "OPTIONS, POST"),
    ],
)
async def test_a_method_that_is_not_there(
    client: httpx.AsyncClient, prefix: str, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, prefix + path)
    assert answer.status_code == 405
    assert set(answer.json()) - {"code"} == {"statusCode", "message"}
    assert answer.json()["statusCode"] == 405
    assert answer.headers["allow"] == allowed
    assert answer.headers["x-request-id"]


async def test_a_body_that_is_too_large(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/event", content=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert set(answer.json()) == {"statusCode", "message"}


async def test_a_failure_of_ours_shows_nothing(client: httpx.AsyncClient) -> None:
    key = {"x-api-key": "k", "x-api-secret": "s"}
    answer = await client.get("/v1/event", headers=key)  # nothing was opened that could be asked
    assert answer.status_code == 500
    assert set(answer.json()) == {"statusCode", "message"}
    assert "resources" not in answer.text


async def test_other_faces_keep_their_errors(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/schema/challenge_log/record")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/v4/event")).headers["content-type"] == "application/problem+json"
