"""A worker's and a projector's health over HTTP, from a thread beside the event loop."""

import asyncio
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIServer

import pytest
from prometheus_client import CollectorRegistry, Counter, make_wsgi_app

from schemas.process_health import Health, serve


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def server(health: Health) -> Iterator[WSGIServer]:
    registry = CollectorRegistry()
    Counter("folded", "Records.", registry=registry).inc(3)
    server = serve("127.0.0.1", 0, make_wsgi_app(registry), health)
    yield server
    server.shutdown()
    server.server_close()


def asked(server: WSGIServer, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_lives_before_it_works(server: WSGIServer, health: Health) -> None:
    assert asked(server, "/healthz") == (200, "ok\n")
    assert asked(server, "/readyz") == (503, "not working\n")
    health.works = lambda: True
    assert asked(server, "/readyz") == (200, "ok\n")
    assert "folded_total 3.0" in asked(server, "/metrics")[1]


def test_an_event_loop_that_hangs_is_told(server: WSGIServer, health: Health, clock: Clock) -> None:
    health.works = lambda: True
    clock.now = 61.0
    assert asked(server, "/healthz") == (503, "hangs\n")
    assert asked(server, "/readyz") == (503, "hangs\n")

    async def turn() -> None:
        health.beat()

    asyncio.run(turn())
    assert asked(server, "/healthz") == (200, "ok\n")
