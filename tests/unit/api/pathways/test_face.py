"""What the face says about itself, its errors, and a caller that reads no further."""

import json

import httpx
import pytest

from api.app import create_app
from api.documents import openapi
from api.faces.pathways.face import path_of, refused
from api.http.problems import Problem, invalid
from schemas.settings import Settings
from tests.plain_http import NO_TLS

PATH = "/v1/logs/pathway-logs"


def test_the_face_is_described() -> None:
    document = openapi.document(create_app(Settings()))
    operation = document["paths"][PATH]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["pathway"]
    assert set(body["properties"]) == {
        *("pathway", "activities", "types", "groups", "users", "user"),
    }
    assert set(operation["responses"]) == {
        *("200", "400", "401", "403", "404", "408", "413", "415", "429", "431", "503"),
    }
    error = operation["responses"]["401"]["content"]["application/json"]["schema"]
    assert error["required"] == ["status", "message"]
    assert {"basic": []} in operation["security"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [(PATH, True), ("/v1/logs/x", True), ("/v1/logs", True), ("/v1/logstash", False), ("/", False)],
)
def test_which_paths_are_of_this_face(path: str, expected: bool) -> None:
    assert (path_of(path) == path) is expected


def test_an_error_has_a_status_and_a_message_and_no_more() -> None:
    answer = refused(invalid("pathway", "is required"))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert json.loads(bytes(answer.body)) == {"status": "error", "message": "pathway: is required"}
    assert refused(Problem(401, "No.")).headers["www-authenticate"].startswith("Basic ")


async def test_what_the_framework_refuses_looks_the_same() -> None:
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", verify=NO_TLS
    ) as client:
        answer = await client.put(PATH, content="{}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
        assert list(answer.json()) == ["status", "message"]
        answer = await client.post(PATH, content=b" " * (1024 * 1024 + 1))
        assert (answer.status_code, list(answer.json())) == (413, ["status", "message"])
