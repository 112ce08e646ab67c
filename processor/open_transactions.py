"""A worker's open transactions: how many there are, how old they get, how much is in them.

All partitions are folded on one thread. While one folds, the transactions of the others stand
still, and each of them has ten seconds from its first record to its end. So few are open at a time,
none is folded for while one has been open for long, and what they carry together is bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_OPEN = 4
"""Pieces that are folded or written at a time."""
LONG_SECONDS = 2.0
"""A transaction that has been open for so long is not held up by another fold."""
MAX_BYTES = 64 * 1024 * 1024
"""What all open transactions carry; one alone may carry more."""


class OpenTransactions:
    """Who may fold, and who may write."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_OPEN)
        self._ended = asyncio.Condition()
        self._opened: dict[object, float] = {}
        self._bytes = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until there is room for a piece, and no transaction that must not wait."""
        async with self._free:
            async with self._ended:
                await self._ended.wait_for(self._nobody_waits)
            yield

    @asynccontextmanager
    async def writing(self, size: int) -> AsyncIterator[None]:
        """Have a transaction of so many bytes open."""
        async with self._ended:
            await self._ended.wait_for(lambda: not self._bytes or self._bytes + size <= MAX_BYTES)
            mine = object()
            self._opened[mine] = _now()
            self._bytes += size
        try:
            yield
        finally:
            del self._opened[mine]
            self._bytes -= size
            await self._tell()

    async def _tell(self) -> None:
        async with self._ended:
            self._ended.notify_all()

    def _nobody_waits(self) -> bool:
        oldest = min(self._opened.values(), default=None)
        return oldest is None or _now() - oldest < LONG_SECONDS


def _now() -> float:
    return asyncio.get_running_loop().time()
