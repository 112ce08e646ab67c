"""What surrounds every request: its id, the limit on its body, metrics, and the last resort."""

import logging
import re
import time
import uuid

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.metrics import UNMATCHED, Metrics
from api.problems import Problem

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
_MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Envelope:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing that goes wrong below gets past here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(Request(scope))
        answer = _Answer(send, request_id)
        try:
            await self._serve(scope, receive, answer)
        except Exception:
            logger.exception("request %s: %s failed", request_id, _route_of(scope))
            if answer.status:  # The answer had begun; all that can be done is to break it off.
                raise
            failure = Problem(500, "Something went wrong here; the request id helps to find out.")
            await problems.answer_to(scope, failure)(scope, receive, answer)
        finally:
            self._count(scope, answer.status, time.perf_counter() - began)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        body = _LimitedBody(receive)
        request = Request(scope)
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
            # A client that waits for `100 Continue` has sent nothing that would have to be drained.
            if request.headers.get("expect", "").lower() != "100-continue":
                await body.drain()
            await problems.answer_to(scope, too_large())(scope, receive, answer)
            return
        await self._app(scope, body, answer)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_of(scope)
        known = scope["method"] in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        method = scope["method"] if known else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.request_seconds.labels(route, method).observe(seconds)


class _Answer:
    """`send`, with the request id added and the status remembered."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode("ascii")
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        await self._send(message)


class _LimitedBody:
    """`receive`, refusing a body that is too large, also one that does not say how long it is."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > MAX_BODY_BYTES:
                if message.get("more_body"):
                    await self.drain()
                raise too_large()
        return message

    async def drain(self) -> None:
        """Read on for a while: most clients read no answer while they are still sending."""
        drained = 0
        while drained < _MAX_DRAINED_BYTES:
            message = await self._receive()
            drained += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return


def too_large() -> Problem:
    """Return the 413 of a body over the limit."""
    return Problem(
        413, f"A body may have at most {MAX_BODY_BYTES} bytes.", headers={"connection": "close"}
    )


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _route_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", UNMATCHED)
