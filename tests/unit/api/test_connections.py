"""The server's own part over raw sockets: upgrades, pipelines, and what ends a connection."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from api import server
from api.app import FACES as SERVED
from api.http import problems
from api.http.body_stream import MAX_BODY_BYTES
from api.http.connections import MAX_FIELDS, MAX_HEAD_BYTES
from api.http.face import FaceMiddleware
from api.http.middleware import Envelope
from api.metrics import Metrics
from schemas.settings import Settings

PATIENCE_SECONDS = 60
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQB\r\n"


def application(metrics: Metrics, origins: tuple[str, ...] = ()) -> FastAPI:
    """Return an application with our faces' errors that answers what it was sent."""
    app = FastAPI(openapi_url=None)
    problems.install(app, {})
    app.add_middleware(Envelope, metrics=metrics, origins=origins)
    app.add_middleware(FaceMiddleware, faces=SERVED)

    async def echo(request: Request) -> Response:
        return Response(await request.body(), headers={"x-seen": str(dict(request.headers))})

    async def unread() -> Response:
        return Response("unread")

    for path in ("/schema/echo", "/event", "/gm.echo", "/v1/logs/echo"):
        app.add_api_route(path, echo, methods=["GET", "POST"])
    app.add_api_route("/unread", unread, methods=["POST"])
    return app


class Serving:
    """A server in a thread."""

    def __init__(self, **settings: Any) -> None:
        self.metrics = Metrics()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        made = Settings(api_port=self.port, **settings)
        app = application(self.metrics, made.cors_origins)
        self.server = uvicorn.Server(server.config(made, app))
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """Yield a connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as opened:
            yield opened

    def counted(self, status: str) -> float:
        """Return how many requests were counted with a status."""
        return sum(
            sample.value
            for metric in self.metrics.requests.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["status"] == status
        )


@contextmanager
def serving(**settings: Any) -> Iterator[Serving]:
    served = Serving(**settings)
    served.thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not served.server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield served
    finally:
        served.server.should_exit = True
        served.thread.join(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def patient() -> Iterator[Serving]:
    """A server with the limits that it has by default."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def hasty() -> Iterator[Serving]:
    """A server that waits for as long as a busy machine may take to send what is sent at once."""
    with serving(api_receive_seconds=4, api_idle_seconds=1) as served:
        yield served


Answer = tuple[int, dict[str, str], bytes]


def read(connection: socket.socket, count: int = 1) -> list[Answer]:
    """Return so many answers, whose bodies have lengths."""
    file = connection.makefile("rb")
    return [_one(file) for _ in range(count)]


def _one(file: Any, *, bodiless: bool = False) -> Answer:
    status = int(file.readline().split()[1])
    headers: dict[str, str] = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    length = 0 if bodiless else int(headers.get("content-length", "0"))
    return status, headers, file.read(length)


def post(path: str, body: bytes, more: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n".encode()
    return head + more + b"\r\n" + body


FACES = ("/schema/echo", "/v2/event", "/gm.echo", "/v1/logs/echo")


@pytest.mark.parametrize("path", FACES)
def test_an_upgrade_is_a_request_like_another(patient: Serving, path: str) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    sent = [
        post(path, b"first", H2C),
        post(path, b"second"),
        f"POST {path} HTTP/1.1\r\nHost: test\r\n".encode() + H2C + chunked,
        f"GET {path} HTTP/1.1\r\nHost: test\r\n".encode() + H2C + b"\r\n",
        post(path, b"last", b"Connection: upgrade\r\nUpgrade: websocket\r\n"),
    ]
    expected = [b"first", b"second", b"abc", b"", b"last"]
    with patient.connected() as connection:
        connection.sendall(b"".join(sent))  # pipelined
        answers = read(connection, len(sent))
        assert [(status, body) for status, _, body in answers] == [(200, e) for e in expected]
        assert all("'upgrade':" not in headers["x-seen"] for _, headers, _ in answers)
        for part in sent[0], sent[2]:  # byte by byte, on the connection that was kept
            for byte in part:
                connection.sendall(bytes([byte]))
            assert read(connection)[0][0] == 200


def test_many_upgrades_at_once_are_all_answered(patient: Serving) -> None:
    with patient.connected() as connection:
        for _ in range(3):
            connection.sendall(post("/event", b"x", H2C) * 200)
            answers = read(connection, 200)
            assert {(status, body) for status, _, body in answers} == {(200, b"x")}


def test_a_proxy_is_what_this_is_not(patient: Serving) -> None:
    with patient.connected() as connection:
        connection.sendall(b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n")
        status, headers, _ = read(connection)[0]
        assert status == 400
        assert headers["x-request-id"]


def test_white_space_around_a_value_is_not_part_of_it(patient: Serving) -> None:
    with patient.connected() as connection:
        connection.sendall(post("/event", b"", b"x-api-secret: \t secret \t \r\n"))
        assert "'x-api-secret': 'secret'" in read(connection)[0][1]["x-seen"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x00\xa5\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://[::1/event HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a:99999/event HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /event HTTP/1.1\r\na: " + b"a" * (MAX_HEAD_BYTES + 1), 431),
        (b"GET /event HTTP/1.1\r\na: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n", 431),
        (b"GET /event HTTP/1.1\r\n" + b"a:b\r\n" * (MAX_FIELDS + 1) + b"\r\n", 431),
        (b"GET /" + b"a" * (4 * MAX_HEAD_BYTES), 431),
        (b"POST /event HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST /event HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    ],
)
def test_what_the_server_refuses_is_answered_like_anything_else(
    patient: Serving, sent: bytes, status: int
) -> None:
    with patient.connected() as connection:
        connection.sendall(sent)
        answered, headers, body = read(connection)[0]
        assert answered == status
        assert headers["connection"] == "close"
        assert headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert json.loads(body)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("a", "a"),
        ("a", "b"),
        ("a b",),
        ("user@a",),
        ("a/event",),
        ("http://a",),
        ("a:port",),
        ("::1",),
        ("[::1",),
        ("a:1:2",),
        ("\xe4",),
    ],
)
def test_a_request_without_one_good_host_is_refused(
    patient: Serving, hosts: tuple[str, ...]
) -> None:
    fields = b"".join(f"Host: {host}\r\n".encode() for host in hosts)
    for more in (b"Accept: */*\r\n", H2C):
        with patient.connected() as connection:
            sent = b"GET /v2/event HTTP/1.1\r\n" + fields + more + b"\r\n"
            connection.sendall(post("/event", b"first") + sent)
            (before, _, _), (status, headers, body) = read(connection, 2)
            assert (before, status, headers["connection"]) == (200, 400, "close")
            assert json.loads(body)["message"].startswith("A request must have one Host header")
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "host", ["", "a", "a:80", "a:", "127.0.0.1:8080", "[::1]:8080", "my_api.internal", "a%20b"]
)
def test_a_host_is_a_name_or_an_address_and_a_port(patient: Serving, host: str) -> None:
    with patient.connected() as connection:
        connection.sendall(f"GET /event HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert read(connection)[0][0] == 200


def test_http_1_0_knows_no_host_and_still_may_not_have_two(patient: Serving) -> None:
    for fields, status in ((b"", 200), (b"Host: a\r\n", 200), (b"Host: a\r\nHost: b\r\n", 400)):
        with patient.connected() as connection:
            connection.sendall(b"GET /event HTTP/1.0\r\n" + fields + b"\r\n")
            assert read(connection)[0][0] == status


def test_as_many_fields_and_bytes_as_there_may_be(patient: Serving) -> None:
    with patient.connected() as connection:
        fields = b"".join(b"a%d: %s\r\n" % (n, b"v" * 600) for n in range(MAX_FIELDS - 2))
        connection.sendall(post("/event", b"ok", fields))
        assert read(connection)[0][0] == 200


def test_what_is_refused_waits_for_the_answers_before_it(patient: Serving) -> None:
    with patient.connected() as connection:
        connection.sendall(
            post("/event", b"first") + post("/event", b"second") + b"no request\r\n\r\n"
        )
        answers = read(connection, 3)
        assert [status for status, _, _ in answers] == [200, 200, 400]


def test_an_address_that_is_none_waits_for_the_answers_before_it(patient: Serving) -> None:
    with patient.connected() as connection:
        connection.sendall(post("/event", b"first") + b"GET http://a:99999/ HTTP/1.1\r\n\r\n")
        answers = read(connection, 2)
        assert [status for status, _, _ in answers] == [200, 400]
    with patient.connected() as connection:
        connection.sendall(post("/event", b"first"))
        assert read(connection)[0][0] == 200
        connection.sendall(b"GET http://a:99999/ HTTP/1.1\r\n\r\n")
        assert read(connection)[0][0] == 400


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"GET /event HTTP/1.1\r\nHost", "head"),
        (post("/event", b"x" * 100)[:-1], "body"),
        (
            b"POST /v1/logs/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "body",
        ),
    ],
)
def test_what_does_not_come_in_time_is_a_408(hasty: Serving, sent: bytes, detail: str) -> None:
    with hasty.connected() as connection:
        connection.sendall(post("/event", b"before") + sent)
        before, late = read(connection, 2)
        assert before[0] == 200
        assert late[0] == 408
        assert f"request's {detail} did not come" in late[2].decode()
        assert connection.recv(1) == b""


def test_a_head_that_trickles_has_no_longer(hasty: Serving) -> None:
    with hasty.connected() as connection:
        connection.sendall(b"GET /event HTTP/1.1\r\na: ")
        file = connection.makefile("rb")
        connection.settimeout(0.1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                connection.sendall(b"a")
                if connection.recv(12, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        connection.settimeout(PATIENCE_SECONDS)
        assert _one(file)[0] == 408


@pytest.mark.parametrize("sent", [b"", post("/event", b"x"), post("/unread", b"x" * 100)[:-1]])
def test_a_connection_that_says_nothing_is_ended(hasty: Serving, sent: bytes) -> None:
    with hasty.connected() as connection:
        connection.sendall(sent)
        if sent:
            assert read(connection)[0][0] == 200
        assert connection.recv(1) == b""


@pytest.mark.parametrize("path", FACES)
def test_a_body_that_is_too_large_is_answered_though_it_is_being_sent(
    patient: Serving, path: str
) -> None:
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    chunked = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    bomb = gzip.compress(bytes(64 * MAX_BODY_BYTES))
    for sent in (
        post(path, b"x" * (MAX_BODY_BYTES + 1)),
        chunked + piece * 20 + b"0\r\n\r\n",
        post(path, bomb, b"Content-Encoding: gzip\r\n"),
    ):
        with patient.connected() as connection:
            connection.sendall(sent)
            status, headers, _ = read(connection)[0]
            assert status == 413
            assert headers["x-request-id"]
            assert connection.recv(1) == b""


def test_gzip_is_unpacked_and_nothing_else(patient: Serving) -> None:
    packed = gzip.compress(b"first ") + gzip.compress(b"second")
    for body, encoding, status, expected in (
        (packed, "gzip", 200, b"first second"),
        (packed, "X-GZIP", 200, b"first second"),
        (b"plain", "identity", 200, b"plain"),
        (packed, "identity, gzip", 200, b"first second"),
        (b"", "gzip", 200, b""),
        (packed[:-1], "gzip", 400, None),
        (b"plain", "gzip", 400, None),
        (packed, "br", 415, None),
        (packed, "gzip, gzip", 415, None),
        (gzip.compress(b"") * 17, "gzip", 400, None),
        (gzip.compress(b"x" * MAX_BODY_BYTES), "gzip", 200, b"x" * MAX_BODY_BYTES),
        (gzip.compress(b"x" * (MAX_BODY_BYTES + 1)), "gzip", 413, None),
    ):
        with patient.connected() as connection:
            more = f"Content-Encoding: {encoding}\r\n".encode()
            connection.sendall(post("/event", body, more))
            answered = read(connection)[0]
            assert answered[0] == status, (encoding, answered)
            if expected is not None:
                assert answered[2] == expected
            if status == 415:
                assert answered[1]["accept-encoding"] == "gzip"


def test_a_client_that_goes_away_is_no_fault_of_ours(
    patient: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    before = patient.counted("499")
    with patient.connected() as connection:
        connection.sendall(post("/event", b"x" * 100)[:-1])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while patient.counted("499") == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert patient.counted("499") == before + 1
    assert patient.counted("500") == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_head_is_get_without_a_body(patient: Serving) -> None:
    with patient.connected() as connection:
        file = connection.makefile("rb")
        connection.sendall(b"HEAD /event HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, _ = _one(file, bodiless=True)
        assert status == 200
        assert headers["cache-control"] == "no-store"
        assert "authorization" in headers["vary"]
        connection.sendall(
            b"HEAD /schema/nothing HTTP/1.1\r\nHost: a\r\n\r\n" + post("/event", b"z")
        )
        assert _one(file, bodiless=True)[0] == 404
        assert _one(file)[2] == b"z"


def test_options_says_what_is_possible(patient: Serving) -> None:
    with patient.connected() as connection:
        connection.sendall(b"OPTIONS /event HTTP/1.1\r\nHost: a\r\nOrigin: https://evil\r\n\r\n")
        status, headers, body = read(connection)[0]
        assert (status, body) == (204, b"")
        assert headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert not [name for name in headers if name.startswith("access-control")]
        connection.sendall(b"OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read(connection)[0][0] == 404


def test_browsers_of_named_origins_may_call() -> None:
    origin = "https://app.example.org"
    with serving(cors_origins=(origin,)) as served, served.connected() as connection:
        asked = (
            f"OPTIONS /event HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: x-api-key, content-type\r\n\r\n"
        )
        connection.sendall(asked.encode())
        status, headers, _ = read(connection)[0]
        assert status == 200
        assert headers["access-control-allow-origin"] == origin
        assert "POST" in headers["access-control-allow-methods"]
        assert "x-api-key" in headers["access-control-allow-headers"].lower()
        assert headers["x-request-id"]
        connection.sendall(asked.replace(origin, "https://evil.example.org").encode())
        assert "access-control-allow-origin" not in read(connection)[0][1]
        for path in ("/event", "/nothing"):
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n".encode()
            )
            _, headers, _ = read(connection)[0]
            assert headers["access-control-allow-origin"] == origin
            assert "x-request-id" in headers["access-control-expose-headers"].lower()
            assert "origin" in headers["vary"].lower()


def test_there_are_so_many_connections_and_no_more() -> None:
    with serving(api_peer_connections=2) as served:
        with served.connected() as one, served.connected() as two:
            for connection in (one, two):
                connection.sendall(post("/event", b"x"))
                assert read(connection)[0][0] == 200
            with served.connected() as three:
                status, headers, body = read(three)[0]
                assert status == 503
                assert headers["retry-after"]
                assert headers["x-request-id"]
                assert json.loads(body)["status"] == 503
                assert three.recv(1) == b""
        deadline = time.monotonic() + PATIENCE_SECONDS
        status = 503
        while status == 503 and time.monotonic() < deadline:
            with served.connected() as connection:
                connection.sendall(post("/event", b"x"))
                status = read(connection)[0][0]
        assert status == 200


def test_a_trusted_proxy_may_have_all_connections() -> None:
    with (
        serving(api_peer_connections=1, trusted_proxies=("127.0.0.1/32",)) as served,
        served.connected(),
        served.connected() as second,
    ):
        second.sendall(post("/event", b"x"))
        assert read(second)[0][0] == 200
