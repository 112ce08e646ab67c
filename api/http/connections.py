"""Limits of connections: their number, the size of heads, the time for a head and a body.

uvicorn reads heads of any length, waits for ever for the rest of a request, takes an unknown
`Upgrade` for the end of HTTP, and serves who names no host or several. This protocol has limits,
ignores `Upgrade` and wants one `Host`. The application answers what it refuses, in turn and in the
shape of the face.
"""

import asyncio
import re
import uuid
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.problems import REFUSAL, Problem, response
from api.http.write_coalescing import CoalescedWrites
from schemas.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100
MAX_PASSED_OVER = 16 * 1024 * 1024
"""How many bytes of an answered request are still read and discarded."""


@dataclass(frozen=True)
class Limits:
    """The time in seconds for a head and a body, and the number of connections.

    Attributes:
        receive_seconds: from a head's first byte to its last, and likewise for a body.
        exempt: networks of proxies, behind which are many peers.
    """

    receive_seconds: float = 30.0
    connections: int = 900
    peer_connections: int = 400
    exempt: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits in the settings."""
        return cls(
            settings.api_receive_seconds,
            settings.api_connections,
            settings.api_peer_connections,
            settings.trusted_proxies,
        )


_HOST = re.compile(rb"(?:[\w.~%!$&'()*+,;=-]*|\[[0-9A-Za-z.:~!$&'()*+,;=_-]+\])(?::[0-9]*)?")
"""What `Host` may hold (RFC 9110, section 7.2): a name or an address, and a port; or nothing."""


class _Open:
    """The open connections, by peer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._exempt = [ip_network(network) for network in limits.exempt]
        self._all = 0
        self._by_peer: Counter[str] = Counter()

    def take(self, peer: str) -> bool:
        """Count a new connection if the limits permit it."""
        if self._all >= self._limits.connections:
            return False
        if self._by_peer[peer] >= self._limits.peer_connections and not self._is_exempt(peer):
            return False
        self._all += 1
        self._by_peer[peer] += 1
        return True

    def give_back(self, peer: str) -> None:
        """Count a closed connection."""
        self._all -= 1
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def _is_exempt(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._exempt)


class _Reading(Enum):
    """The part of a request that a connection is reading."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _Refused(Exception):
    """Stops the parser; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits, which `protocol` sets."""

    limits: Limits
    open: _Open

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection if the limits permit it."""
        self._reading = _Reading.NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._timed: tuple[int, _Reading] | None = None
        self._message = 0
        self._head_bytes = self._fed_of_head = self._passed_over = 0
        self._upgrading = self._deaf = False
        coalesced = CoalescedWrites(transport, self._has_unread)
        super().connection_made(cast("asyncio.Transport", coalesced))
        self._peer = self.client[0] if self.client else ""
        self._counted = self.open.take(self._peer)
        if self._counted:
            self._set_timer()
        else:
            self._deaf = True
            transport.write(_turned_away())
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection's place."""
        self._cancel_timer()
        if self._counted:
            self._counted = False
            self.open.give_back(self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data from the peer; ignored on a connection that is to end."""
        if self._deaf or self.transport.is_closing():
            self._pass_over(len(data))
            return
        self._unset_keepalive_if_required()
        was_reading, message = self._reading, self._message
        try:
            self._feed(memoryview(data))
        except httptools.HttpParserError as error:
            cause = error.__context__
            problem = cause.problem if isinstance(cause, _Refused) else _no_request()
            self._refuse(problem)
        else:
            # The first piece of a head behind other requests is not counted here.
            began = was_reading is _Reading.NOTHING and self._message == message + 1
            if self._reading is _Reading.HEAD and (began or self._message == message):
                self._fed_of_head += len(data)
            if self._fed_of_head > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())
            else:
                self._set_timer()

    def _feed(self, data: memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return
            # Not while the upgrade is handled: it would hide why the head is refused.
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        """Return the head without its `Upgrade`."""
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [
            name + b": " + value for name, value in self.headers if name.lower() != b"upgrade"
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._reading = _Reading.HEAD
        self._message += 1
        self._head_bytes = self._fed_of_head = 0
        self._upgrading = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._count_of_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the white space around its value is not part of it."""
        self._count_of_head(len(name) + len(value) + 4)
        if len(self.headers) >= MAX_FIELDS:
            raise _Refused(_head_too_large())
        super().on_header(name, value.strip(b" \t"))

    def _count_of_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _Refused(_head_too_large())

    def on_headers_complete(self) -> None:
        """Begin to serve the request; a head with an upgrade is parsed again without it."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _Refused(Problem(400, "This is no proxy.", headers=_CLOSE))
            self._upgrading = True
            return
        self._check_host()
        super().on_headers_complete()  # refuses an address that is none: that is the head's fault
        self._reading = _Reading.BODY
        self._fed_of_head = 0

    def _check_host(self) -> None:
        """Refuse a head that does not have the one `Host` that HTTP/1.1 wants (RFC 9112, section
        3.2): what stands between may have understood another one."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts and self.parser.get_http_version() == "1.0":
            return
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            detail = "A request must have one Host header, with a valid value."
            raise _Refused(Problem(400, detail, code="malformed", headers=_CLOSE))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; it is discarded if the request is answered."""
        if self.cycle.response_complete:
            self._pass_over(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if not self._upgrading:
            self._reading = _Reading.NOTHING
            super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; a head that has begun has its own timeout."""
        if self._reading is _Reading.NOTHING:
            super().timeout_keep_alive_handler()

    def _has_unread(self) -> bool:
        """Tell whether the peer may still be sending data that is discarded."""
        return self._deaf or self._reading is not _Reading.NOTHING

    def _pass_over(self, size: int) -> None:
        self._passed_over += size
        if self._passed_over > MAX_PASSED_OVER:
            self.transport.abort()

    def _set_timer(self) -> None:
        """Start the timeout of the part that is being read, once for each part."""
        wanted = (self._message, self._reading)
        if self._reading is _Reading.NOTHING and self._message:
            self._cancel_timer()  # uvicorn times idle connections
        elif wanted != self._timed:
            self._cancel_timer()
            self._timed = wanted
            self._timer = self.loop.call_later(self.limits.receive_seconds, self._on_time)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timed = None

    def _on_time(self) -> None:
        self._timer = self._timed = None
        if self.transport.is_closing():
            return
        if self._reading is _Reading.NOTHING:
            self.transport.close()
        elif self._reading is _Reading.BODY and self.flow.read_paused:
            self._set_timer()  # the application is slow, not the peer
        else:
            what = "head" if self._reading is _Reading.HEAD else "body"
            seconds = f"{self.limits.receive_seconds:g}"
            detail = f"The request's {what} did not come within {seconds} s."
            self._refuse(Problem(408, detail, headers=_CLOSE))

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem and read no further; a response that has begun is completed.

        A request whose head was read sees the problem when it reads its body.
        """
        self._deaf = True
        self._cancel_timer()
        if self._reading is not _Reading.BODY:
            self._serve_refusal(problem)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False
            self.cycle.scope["state"][REFUSAL] = problem
            self.cycle.message_event.set()

    def _serve_refusal(self, problem: Problem) -> None:
        """Have the application answer a request that cannot be parsed."""
        existing = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = RequestResponseCycle(
            scope=cast("Any", self._scope_of_refused(problem)),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self.cycle.more_body = False
        if existing is None or existing.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.pipeline.appendleft((self.cycle, self.app))

    def _scope_of_refused(self, problem: Problem) -> dict[str, Any]:
        """Return the scope of a refused request; it has the address only if that was read
        completely."""
        path, query = "", None
        if self._reading is _Reading.HEAD and self.headers:
            try:
                url = httptools.parse_url(self.url)
                path, query = unquote((url.path or b"").decode("ascii")), url.query
            except (httptools.HttpParserError, UnicodeDecodeError):
                pass  # no valid address, perhaps the reason for the refusal
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query or b"",
            "headers": [],
            "state": {**self.app_state, REFUSAL: problem},
        }


_CLOSE = {"connection": "close"}


def _head_too_large() -> Problem:
    detail = f"A head may have at most {MAX_HEAD_BYTES} bytes and {MAX_FIELDS} fields."
    return Problem(431, detail, headers=_CLOSE)


def _no_request() -> Problem:
    return Problem(400, "This is no HTTP request.", code="malformed", headers=_CLOSE)


def _turned_away() -> bytes:
    """Return the response to a connection over the limit."""
    detail = "There are too many connections; try again."
    answer = response(Problem(503, detail, headers={"retry-after": "5", **_CLOSE}))
    headers = [*answer.raw_headers, (b"x-request-id", uuid.uuid4().hex.encode())]
    lines = [name + b": " + value for name, value in headers]
    head = b"\r\n".join([b"HTTP/1.1 503 Service Unavailable", *lines])
    return head + b"\r\n\r\n" + bytes(answer.body)


def protocol(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol class of one server; its connections are counted together."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits, "open": _Open(limits)})
