"""Queries, paths and answers of the whole application, with nothing behind it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from api.app import FACES, create_app
from api.http import problems
from api.http.middleware import Envelope
from api.http.routing import StrictRoute
from api.metrics import Metrics
from schemas.settings import Settings
from tests.plain_http import NO_TLS

PARAMETERS = [{"name": name, "in": "query"} for name in ("limit", "text")]


def application() -> FastAPI:
    """Return an application with one route that takes two parameters."""
    app = FastAPI(openapi_url=None)
    problems.install(app, {})
    app.add_middleware(Envelope, metrics=Metrics())

    async def shown(request: Request) -> Response:
        return Response(request.query_params.get("text", ""))

    route = StrictRoute("/shown", shown, methods=["GET"], openapi_extra={"parameters": PARAMETERS})
    app.router.routes.append(route)
    app.router.routes.append(StrictRoute("/named/{id}", named, methods=["GET"]))
    return app


async def named(request: Request, id: str) -> Response:  # noqa: A002
    return Response(f"{id} {request.url.path}")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    transport = httpx.ASGITransport(app=application())
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", verify=NO_TLS
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=1&text=a", None),
        ("text=%C3%A9+%2B", None),
        ("", None),
        ("limits=1", "limits: is not a parameter here; known: limit, text"),
        ("limit=1&limit=1", "limit: must be given once"),
        ("text=a%00b", "text: must not contain U+0000"),
        ("text=%ff", "The query is not UTF-8."),
        ("text=%c0%80", "The query is not UTF-8."),
        ("text=%ed%a0%80", "The query is not UTF-8."),
        ("%00=1", "\x00: is not a parameter here; known: limit, text"),
    ],
)
async def test_a_query_is_what_is_described(
    client: httpx.AsyncClient, query: str, detail: str | None
) -> None:
    answer = await client.get(f"/shown?{query}")
    assert answer.status_code == (200 if detail is None else 400)
    if detail is not None:
        assert answer.json()["detail"] == detail


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ff", "%c0%80", "%ed%a0%80"])
async def test_what_nothing_can_be_called_is_not_there(
    client: httpx.AsyncClient, name: str
) -> None:
    assert (await client.get(f"/named/{name}")).status_code == 404


async def test_nobody_keeps_an_answer(client: httpx.AsyncClient) -> None:
    for path, status in (("/shown", 200), ("/shown?x", 400), ("/nothing", 404)):
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-api-key" in answer.headers["vary"]
        assert answer.headers["x-request-id"]


async def test_a_guest_does_not_learn_what_is_not_there() -> None:
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", verify=NO_TLS
    ) as guest:
        for path in (
            "/schema/member/record/%00",
            "/user/%00/points",
            "/v1/event/%ff",
            "/definitions/event/%00",
            "/v1/logs/%00",
        ):
            assert (await guest.get(path)).status_code == 401
        assert (await guest.get("/%00")).status_code == 404


def test_the_faces_say_which_parameters_they_take() -> None:
    strict = [
        route for face in FACES for route in face.router.routes if isinstance(route, StrictRoute)
    ]
    assert len(strict) > 30
