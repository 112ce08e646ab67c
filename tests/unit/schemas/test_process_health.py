"""A worker's and a projector's health over HTTP, from a thread beside the event loop."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIServer

import pytest
from prometheus_client import CollectorRegistry, Counter, make_wsgi_app

from schemas import process_health
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


PATIENCE_SECONDS = 20.0


def slow(server: WSGIServer) -> socket.socket:
    """Return a connection that sends a part of a request, and no more."""
    peer = socket.create_connection(("127.0.0.1", server.server_port), PATIENCE_SECONDS)
    peer.sendall(b"GET /healthz HTTP/1.1\r\nx-slow: ")
    return peer


def threads_of_connections() -> int:
    return sum("process_request_thread" in each.name for each in threading.enumerate())


def test_slow_peers_are_bounded_in_number_and_let_probes_through(server: WSGIServer) -> None:
    peers = [slow(server) for _ in range(3 * process_health.MOST_CONNECTIONS)]
    try:
        assert asked(server, "/healthz") == (200, "ok\n")
        assert threads_of_connections() <= process_health.MOST_CONNECTIONS
        assert peers[0].recv(1) == b""  # the oldest were ended
    finally:
        for peer in peers:
            peer.close()


def test_who_sends_a_byte_at_a_time_is_ended(
    server: WSGIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_health, "CONNECTION_SECONDS", 0.5)
    with slow(server) as peer:
        peer.settimeout(0.05)
        assert any(is_ended_by(peer) for _ in range(round(PATIENCE_SECONDS / 0.05)))


def is_ended_by(peer: socket.socket) -> bool:
    """Send one more byte, and tell whether the server has ended the connection."""
    try:
        peer.sendall(b"x")
        return peer.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_who_does_not_read_the_answer_is_ended(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_health, "CONNECTION_SECONDS", 0.5)

    def much(_environ: object, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"x" * 50_000_000]

    server = serve("127.0.0.1", 0, much, health)
    try:
        with socket.create_connection(("127.0.0.1", server.server_port), PATIENCE_SECONDS) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            ended, began = threading.Event(), False
            for _ in range(round(PATIENCE_SECONDS / 0.05)):
                if began and not threads_of_connections():
                    break
                began = began or threads_of_connections() > 0
                ended.wait(0.05)
            assert threads_of_connections() == 0
    finally:
        server.shutdown()
        server.server_close()
