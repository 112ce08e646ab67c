"""Middleware around every request: request id, response headers, metrics, unexpected errors."""

import logging
import os
import re
import time
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from api.http.body_stream import MAX_BODY_BYTES, BodyStream, too_large
from api.http.problems import REFUSAL, Problem
from api.metrics import UNMATCHED, Metrics
from schemas.process_logging import REQUEST_ID
from schemas.tracing import HEADER, Tracing

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""The status that is counted for a client that disconnected before its response."""

_SENDER = "milestream.sender"
"""Key of a request's scope: its `_ResponseSender`."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_KEPT_BY_NOBODY = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"authorization, x-api-key, x-api-secret, x-enduser-access-token, origin"),
)
"""Default headers of every response; its content depends on the credentials."""

_ALLOWED_HEADERS = (
    "authorization",
    "content-encoding",
    "content-type",
    "idempotency-key",
    "if-match",
    "x-actor",
    "x-api-key",
    "x-api-secret",
    "x-enduser-access-token",
    "x-request-id",
)
_EXPOSED_HEADERS = (
    "etag",
    "idempotency-key",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-request-id",
)
_PREFLIGHT_SECONDS = 600


class Envelope:
    """ASGI middleware around the application; `origins` may call from browsers."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        origins: Sequence[str] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._guarded: ASGIApp = self._guard
        if origins:
            self._guarded = CORSMiddleware(
                self._guard,
                allow_origins=origins,
                allow_methods=_METHODS,
                allow_headers=_ALLOWED_HEADERS,
                expose_headers=_EXPOSED_HEADERS,
                max_age=_PREFLIGHT_SECONDS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every exception ends here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"]
        sender = _ResponseSender(send, _request_id(Request(scope)), bodiless=method == "HEAD")
        REQUEST_ID.set(sender.request_id)  # of this task, which serves one request
        # A copy: the server looks in its own scope whether to send a body.
        scope = {**scope, "method": "GET" if method == "HEAD" else method, _SENDER: sender}
        try:
            if self._tracing is None:
                await self._guarded(scope, receive, sender)
            else:
                await self._traced(self._tracing, scope, receive, sender)
        except ClientDisconnect:
            pass  # no client to answer, and no fault of ours
        finally:
            status = sender.status or CLIENT_GONE
            self._count(scope, method, status, time.perf_counter() - began)

    async def _traced(
        self, tracing: Tracing, scope: Scope, receive: Receive, sender: "_ResponseSender"
    ) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        parent = Request(scope).headers.get(HEADER)
        with tracing.request(
            method, parent, lambda: (_route_of(scope), sender.status or CLIENT_GONE)
        ):
            await self._guarded(scope, receive, sender)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender: _ResponseSender = scope[_SENDER]
        try:
            await self._serve(scope, receive, send)
        except ClientDisconnect:
            raise
        except Problem as problem:
            if sender.status:
                raise
            await problems.response_to(scope, problem)(scope, receive, send)
        except Exception:
            logger.exception("request %s: %s failed", sender.request_id, _route_of(scope))
            if sender.status:  # It had begun: it can only be aborted.
                raise
            failure = Problem(500, "Something went wrong here; the request id helps to find out.")
            await problems.response_to(scope, failure)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request unless it is refused before its route.

        Raises:
            Problem: why it cannot.
        """
        refusal: Problem | None = scope.get("state", {}).get(REFUSAL)
        if refusal is not None:
            raise refusal
        request = Request(scope)
        sender: _ResponseSender = scope[_SENDER]
        if not _is_text(scope.get("raw_path") or b""):
            raise await problems.nothing_at(request)
        if scope["method"] == "OPTIONS" and (allowed := problems.methods_at(request)):
            await Response(status_code=204, headers={"allow": allowed})(scope, receive, send)
            return
        allowed = problems.methods_at(request) if sender.bodiless else ""
        if allowed and "HEAD" not in allowed.split(", "):  # no GET, or a GET with effects
            raise problems.not_allowed("HEAD", allowed)
        body = BodyStream(scope, receive)
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
            # A client that waits for `100 Continue` has sent no body to drain.
            if request.headers.get("expect", "").lower() != "100-continue":
                await body.drain()
            raise too_large()
        await self._app(scope, body, send)

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = _route_of(scope)
        method = method if method in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.request_seconds.labels(route, method).observe(seconds)
        if logger.isEnabledFor(logging.DEBUG):  # without the path, which may be personal
            fields = {"method": method, "route": route, "status": status, "seconds": seconds}
            logger.debug("answered %s %s with %d", method, route, status, extra={"fields": fields})


class _ResponseSender:
    """An ASGI `send` that adds the default headers and remembers the status."""

    def __init__(self, send: Send, request_id: str, *, bodiless: bool) -> None:
        self._send = send
        self.bodiless = bodiless
        self.request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            named = {name for name, _ in headers}
            headers += [header for header in _KEPT_BY_NOBODY if header[0] not in named]
            message["headers"] = headers
        elif self.bodiless:
            message = {**message, "body": b""}
        await self._send(message)


def _is_text(raw_path: bytes) -> bool:
    """Tell whether a path is valid UTF-8 without U+0000."""
    if b"%" not in raw_path:
        return True
    named = unquote_to_bytes(raw_path)
    try:
        named.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in named


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _SANE_REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _route_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", UNMATCHED)
