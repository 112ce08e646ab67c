"""How long a connection to the database may be without a sign of the other side.

A server that is gone, or a network that is cut, sends nothing that says so. Without these a process
waits as long as its kernel likes: a quarter of an hour where something was sent, for ever where it
waits for an answer.

A server that stands still (frozen, out of memory, on a dead disk) acknowledges whatever it is sent:
the kernel does that for it. So neither keepalives nor `tcp_user_timeout` notice, its own
`statement_timeout` does not run, and a cancellation is not heard. Who waits for it has a deadline.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypedDict


class Liveness(TypedDict):
    """Parameters of libpq."""

    connect_timeout: int
    keepalives_idle: int
    keepalives_interval: int
    keepalives_count: int
    tcp_user_timeout: int


LIVENESS: Liveness = {
    "connect_timeout": 10,
    # Asked after 10 s of silence, every 5 s, and given up after three that nobody answered.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # In milliseconds, for what was sent and nobody said to have received.
    "tcp_user_timeout": 25_000,
}


class Line(Protocol):
    """A connection of psycopg."""

    @property
    def closed(self) -> bool:
        """Whether it is."""

    def fileno(self) -> int:
        """Return its socket."""


@contextmanager
def answered_within(seconds: float, line: Line) -> Iterator[None]:
    """Hang up where the body takes longer, in which somebody waits for an answer on a line: libpq
    finds its connection closed then, and who waits has `psycopg.OperationalError`."""
    timer = asyncio.get_running_loop().call_later(seconds, _hang_up, line)
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(line: Line) -> None:
    """Shut a line for both sides; the socket stays libpq's own."""
    if not line.closed:
        with socket.socket(fileno=os.dup(line.fileno())) as opened:
            opened.shutdown(socket.SHUT_RDWR)
