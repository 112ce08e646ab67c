"""What a worker or projector tells over HTTP: its metrics, whether it lives, whether it works.

Served from a thread, so that a process whose event loop hangs still says that it does.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SILENT_SECONDS = 60.0
"""An event loop that has not turned for so long hangs: no fold or batch takes a tenth of it."""
_BEAT_SECONDS = 1.0
_PEER_SECONDS = 10
"""How long a peer may take to send its request."""


class Health:
    """Whether a process lives and works; made in its event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds that pass."""
        self._clock = clock
        self._beat = clock()
        self.works: Callable[[], bool] = lambda: False
        """Tells whether it does what it is there for, from any thread."""

    def beat(self) -> None:
        """Say that the event loop turns, now and from now on."""
        self._beat = self._clock()
        asyncio.get_running_loop().call_later(_BEAT_SECONDS, self.beat)

    def lives(self) -> bool:
        """Tell whether the event loop turns."""
        return self._clock() - self._beat < SILENT_SECONDS


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _PEER_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        """Log nothing of a request."""


def serve(host: str, port: int, metrics: "WSGIApplication", health: Health) -> WSGIServer:
    """Answer `/healthz`, `/readyz` and, everywhere else, metrics, until the process ends.

    Raises:
        OSError: it cannot listen there.
    """

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path not in ("/healthz", "/readyz"):
            return metrics(environ, start)
        lives = health.lives()
        well = lives if path == "/healthz" else lives and health.works()
        start(
            "200 OK" if well else "503 Service Unavailable",
            [("content-type", "text/plain"), ("cache-control", "no-store")],
        )
        return [b"ok\n" if well else b"not working\n" if lives else b"hangs\n"]

    kind = _Server6 if ":" in host else _Server
    server = make_server(host, port, answer, server_class=kind, handler_class=_Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
