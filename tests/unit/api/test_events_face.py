"""Versions in paths, and errors as this face has them, for whatever goes wrong."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from api.faces.events.face import refused, stripped
from api.http.body_stream import MAX_BODY_BYTES
from api.http.problems import Problem, invalid
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
    ],
)
async def test_a_method_that_is_not_there(
    client: httpx.AsyncClient, prefix: str, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, prefix + path)
    assert answer.status_code == 405
    assert set(answer.json()) == {"statusCode", "message"}
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
