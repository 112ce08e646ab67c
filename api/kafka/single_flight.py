"""One call to a server for all callers that wait at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares one `call` among concurrent callers, one at a time.

    A call begins after its callers asked: those who come while one is under way share the next. So
    a result is never older than the question.
    """

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return the answer; raises what `call` raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _after(self, previous: "asyncio.Task[T] | None") -> T:
        if previous is not None:
            await asyncio.wait([previous])
        self._running, self._next = self._next, None
        return await self._call()


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Retrieve an exception whose callers were all cancelled."""
    if not task.cancelled():
        task.exception()
