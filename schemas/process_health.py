"""What a worker or projector tells over HTTP: its metrics, whether it lives, whether it works.

Served from a thread, so that a process whose event loop hangs still says that it does.
"""

import asyncio
import contextlib
import logging
import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SILENT_SECONDS = 60.0
"""An event loop that has not turned for so long hangs: no fold or batch takes a tenth of it."""
_BEAT_SECONDS = 1.0
MOST_CONNECTIONS = 32
"""How many peers are served at once."""
CONNECTION_SECONDS = 10.0
"""How long a peer may take to send its request and to take the answer."""
_PLACE_SECONDS = 1.0
"""How long one that was ended may take to go."""

logger = logging.getLogger(__name__)


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
    """A thread for each connection, and bounds: `MOST_CONNECTIONS`, each for `CONNECTION_SECONDS`.

    One more ends the oldest: who asks is answered within milliseconds, so the oldest is one that
    only holds on, and probes get through.
    """

    daemon_threads = True
    block_on_close = False  # or every thread that ever was is kept in a list
    request_queue_size = 128

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: dict[socket.socket, float] = {}  # since when; the oldest first
        self._lock = threading.Lock()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, once there is a place for it."""
        if not self._places.acquire(blocking=False):
            self._end(most=1)
            if not self._places.acquire(timeout=_PLACE_SECONDS):
                self.shutdown_request(request)
                return
        with self._lock:
            self._open[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread for it
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, then give its place to another one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def service_actions(self) -> None:
        """End connections whose time is over; called twice a second."""
        self._end(since=time.monotonic() - CONNECTION_SECONDS)

    def _end(self, since: float = math.inf, most: int | None = None) -> None:
        """End the oldest connections that are open since then; their threads then end as well."""
        with self._lock:
            over = [each for each, opened in self._open.items() if opened <= since]
            for each in over[:most]:
                del self._open[each]
                with contextlib.suppress(OSError):  # the peer was quicker
                    each.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection: under the lock, for nobody may end another one in its stead."""
        with self._lock:
            self._open.pop(request, None)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say nothing of a peer that is gone, or was ended."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("a request for health or metrics failed", exc_info=error)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
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
