"""A load generator that costs little, for it shares the machine with what it measures.

Prepared requests over bare connections: some 40 microseconds of processor time each, a tenth of
what an HTTP client library takes. It reads answers that say how long they are, and no others.
"""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import quantiles
from typing import cast

CONNECTIONS = 256
"""How many an open loop may have at once; what finds none free waits, and its time runs."""
_PATIENCE_SECONDS = 10.0
_IDLE_SECONDS = 4.0
"""After which a connection is not used again: the server closes it after five."""
_FEWEST = 3
"""Answers that a closed loop waits for: fewer say nothing."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Load:
    """What became of the requests of one run.

    Attributes:
        planned: how many were to be sent.
        seconds: how long each answer took, in the order of the answers.
        statuses: how many answers had each status.
        example: the body of the first answer.
        elapsed: seconds that the run took.
    """

    planned: int
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    example: bytes = b""
    elapsed: float = 0.0

    @property
    def lost(self) -> int:
        """Requests that had no answer."""
        return self.planned - len(self.seconds)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.elapsed

    def milliseconds(self, percent: int) -> float:
        """Return the percentile of the times; infinite where too little was answered to say."""
        if len(self.seconds) < 2 or self.lost * 100 > self.planned * (100 - percent):
            return float("inf")
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1] * 1000


def request(method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


async def open_loop(port: int, requests: Sequence[bytes], rate: float) -> Load:
    """Send each request at its moment, `rate` a second at even distances, whatever the answers do.

    The time of an answer runs from the moment that was planned for the request, so that a server
    which stalls is not asked less often, and is not measured less often, while it stalls.
    """
    return await _OpenLoop(port, requests, rate).run()


async def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> Load:
    """Send requests, over and over, each connection its next as soon as it has an answer; for
    longer than these seconds where a machine stands still and gives no answers meanwhile."""
    return await _ClosedLoop(port, requests, connections, seconds).run()


class _Connection(asyncio.Protocol):
    """A connection that is kept alive, with one request under way at most."""

    def __init__(self, loop: "_Loop") -> None:
        self._loop = loop
        self._received = b""
        self.used = time.perf_counter()
        self.began = 0.0
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by class.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, message: bytes, began: float) -> None:
        """Send a request whose time runs from `began`."""
        self.began = began
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head)
        assert length is not None, "an answer that does not say how long it is"
        if len(self._received) < head + 4 + int(length[1]):
            return
        answer, self._received = self._received, b""
        self.used = time.perf_counter()
        self._loop.answered(self, int(answer[9:12]), answer[head + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.is_open = False

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class _Loop:
    """What both loops count."""

    def __init__(self, port: int, planned: int) -> None:
        self._port = port
        self.load = Load(planned)

    async def connect(self) -> _Connection:
        """Open a connection."""
        running = asyncio.get_running_loop()
        _, made = await running.create_connection(
            lambda: _Connection(self), "127.0.0.1", self._port
        )
        return made

    def answered(self, connection: _Connection, status: int, body: bytes) -> None:
        """Count an answer."""
        self.load.example = self.load.example or body
        self.load.statuses[status] += 1
        self.load.seconds.append(connection.used - connection.began)


class _OpenLoop(_Loop):
    def __init__(self, port: int, requests: Sequence[bytes], rate: float) -> None:
        super().__init__(port, len(requests))
        self._requests = requests
        self._rate = rate
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._free: list[_Connection] = []
        self._all: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    async def run(self) -> Load:
        """Send all, and wait for the last answers for a while."""
        begun = time.perf_counter()
        for number, message in enumerate(self._requests):
            at = begun + number / self._rate
            if (early := at - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self._send(message, at)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._done.wait()
        except TimeoutError:
            pass  # what has no answer by now is lost, and counted as such
        self.load.elapsed = time.perf_counter() - begun
        for task in self._opening:
            task.cancel()
        for connection in self._all:
            connection.close()
        return self.load

    def _send(self, message: bytes, at: float) -> None:
        now = time.perf_counter()
        while self._free:
            connection = self._free.pop()
            if connection.is_open and now - connection.used < _IDLE_SECONDS:
                connection.send(message, at)
                return
            connection.close()
            self._all.remove(connection)
        self._waiting.append((message, at))
        if len(self._all) + len(self._opening) < CONNECTIONS:
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        connection = await self.connect()
        self._all.append(connection)
        self._next(connection)

    def answered(self, connection: _Connection, status: int, body: bytes) -> None:
        super().answered(connection, status, body)
        self._next(connection)
        if len(self.load.seconds) == self.load.planned:
            self._done.set()

    def _next(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)


class _ClosedLoop(_Loop):
    def __init__(
        self, port: int, requests: Sequence[bytes], connections: int, seconds: float
    ) -> None:
        super().__init__(port, 0)
        self._next = cycle(requests)
        self._connections = connections
        self._seconds = seconds
        self._going = True

    async def run(self) -> Load:
        """Go on for the time given, and until there are some answers; what is under way at its end
        is not counted."""
        connections = [await self.connect() for _ in range(self._connections)]
        begun = time.perf_counter()
        for connection in connections:
            self._ask(connection)
        await asyncio.sleep(self._seconds)
        async with asyncio.timeout(_PATIENCE_SECONDS * 6):
            while len(self.load.seconds) < _FEWEST:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        self._going = False
        self.load.elapsed = time.perf_counter() - begun
        for connection in connections:
            connection.close()
        return self.load

    def answered(self, connection: _Connection, status: int, body: bytes) -> None:
        if self._going:
            super().answered(connection, status, body)
            self._ask(connection)

    def _ask(self, connection: _Connection) -> None:
        self.load.planned += 1
        connection.send(next(self._next), time.perf_counter())
