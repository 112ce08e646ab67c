"""Coalesces a response's head and body into one write, where uvicorn makes two.

A second system call and packet are a tenth of the processor time of a small response.
"""

import asyncio
from collections.abc import Callable
from typing import Any

_MOST_BYTES = 64 * 1024
"""More is written at once: the transport must see it to apply back pressure."""


LINGER_SECONDS = 2.0
"""How long a connection stays open for a peer that still sends: closing it earlier could discard
the response at the peer."""


class CoalescedWrites:
    """A transport that writes at the end of an iteration of the event loop.

    `has_unread` tells whether the peer may still be sending when the connection closes.
    """

    def __init__(
        self, transport: asyncio.Transport, has_unread: Callable[[], bool] = lambda: False
    ) -> None:
        self._transport = transport
        self._has_unread = has_unread
        self._closing = False
        self._held: list[bytes] = []
        self._size = 0
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        """Write at the end of this iteration."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_BYTES:
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """Close after everything is written, and after a peer that still sends could read it."""
        self._flush()
        if self._closing or self._transport.is_closing() or not self._has_unread():
            self._transport.close()
            return
        self._closing = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def is_closing(self) -> bool:
        """Tell whether it is closed, or will be soon."""
        return self._closing or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
