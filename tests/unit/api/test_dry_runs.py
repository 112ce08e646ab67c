"""`dryRun` and `trace`: which writes take them, what they may say, how answers and refusals end."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi import Request

from api.app import FACES
from api.faces.events import face as events_face
from api.faces.game_mechanics.errors import BAD_VALUE, CallError
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.writing import _refuse_dry_run
from api.http import dry_runs, problems
from api.http.dry_runs import Asked
from api.http.problems import Problem
from api.http.routing import StrictRoute
from api.kafka.processor_client import refusal
from schemas.replies import Reply

TRIED = {
    "/schema/challenge_log/record",
    "/schema/challenge_log/record/{id}/void",
    "/event",
    "/event/{id}/void",
    "/user/{id:path}/spend",
    "/user/{id:path}/hold",
    "/user/{id:path}/hold/{holdIdentifier:path}/capture",
    "/user/{id:path}/hold/{holdIdentifier:path}/release",
    "/user/{id:path}/adjust",
    "/user/{id:path}/void",
}


def request(query: str, method: str = "POST") -> Request:
    """Return a request with a query."""
    scope = {"type": "http", "method": method, "query_string": query.encode(), "headers": []}
    return Request(scope)


def writes() -> Iterator[tuple[StrictRoute, str]]:
    """Yield every write with its method."""
    for face in FACES:
        for route in face.router.routes:
            if isinstance(route, StrictRoute):
                for method in sorted((route.methods or set()) - {"GET", "HEAD"}):
                    yield route, method


def refusal_of(route: StrictRoute, asked: Request) -> Problem | None:
    """Return why a route refuses a query, None where it takes it."""
    try:
        route.check_query(asked)
    except Problem as problem:
        return problem
    return None


def test_exactly_the_writes_that_are_named_can_be_tried() -> None:
    tried = request("dryRun=true&trace=true")
    assert {r.path for r, m in writes() if m == "POST" and refusal_of(r, tried) is None} == TRIED
    for route, method in writes():
        if method != "POST" or route.path not in TRIED:
            refused = refusal_of(route, request("dryRun=true&trace=true", method))
            assert refused is not None
            assert (refused.status, refused.code) == (400, "dry_run_unsupported")


def test_a_dry_run_that_is_no_dry_run_is_unsupported_as_well() -> None:
    route = next(route for route, _ in writes() if route.path == "/user/{id:path}/tier")
    for query in ("dryRun=false", "dryRun", "dryRun=1&dryRun=1"):
        with pytest.raises(Problem) as refused:
            route.check_query(request(query))
        assert refused.value.code == "dry_run_unsupported"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", Asked(False, False)),
        ("dryRun=false&trace=false", Asked(False, False)),
        ("dryRun=true", Asked(True, False)),
        ("trace=true", Asked(False, True)),
        ("dryRun=true&trace=true", Asked(True, True)),
    ],
)
def test_what_is_asked_for(query: str, wanted: Asked) -> None:
    assert dry_runs.asked(request(query)) == wanted


@pytest.mark.parametrize("name", ["dryRun", "trace"])
@pytest.mark.parametrize("value", ["1", "0", "True", "TRUE", "yes", "", "null", "true "])
def test_anything_else_is_no_real_call(name: str, value: str) -> None:
    with pytest.raises(Problem) as refused:
        dry_runs.asked(request(f"{name}={value}"))
    assert (refused.value.status, refused.value.errors[0][0]) == (400, name)


@pytest.mark.parametrize("value", ["true", "false", "1", ""])
def test_game_mechanics_take_no_dry_run(value: str) -> None:
    with pytest.raises(CallError) as refused:
        _refuse_dry_run(Parameters({"dryRun": value}))
    assert refused.value.code == BAD_VALUE
    assert "dry_run_unsupported" in str(refused.value)


REFUSAL = (
    b'{"code":"duplicate","message":"seen","errors":[],"record":{"id":1.10},'
    b'"trace":[{"kind":"duplicate"}],"dryRun":true}'
)


def rendered(render: Any, body: bytes) -> bytes:
    """Return a refusing reply as a face answers it."""
    return bytes(render(refusal(Reply(409, msgspec.Raw(body)))).body)


@pytest.mark.parametrize(
    "render", [problems.response, events_face.refused, events_face.refused_with_code]
)
def test_a_refusal_of_the_fold_ends_with_that_it_was_tried(render: Any) -> None:
    assert rendered(render, REFUSAL).endswith(b'"trace":[{"kind":"duplicate"}],"dryRun":true}')
    assert b"dryRun" not in rendered(render, b'{"code":"duplicate","message":"seen"}')
    assert b"trace" not in rendered(render, b'{"code":"duplicate","message":"seen"}')


def test_what_is_short_comes_before_that() -> None:
    body = b'{"code":"insufficient_points","message":"","asked":2,"available":1,"dryRun":true}'
    shown = rendered(events_face.refused_with_code, body)
    assert shown.endswith(b'"asked":2,"available":1,"dryRun":true}')
