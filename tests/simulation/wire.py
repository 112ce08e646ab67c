"""The way between one process and the broker: requests and answers that take a chosen time.

A process that is killed sends nothing more and hears nothing more, at whatever point it was; what
it had sent still arrives. A process that is frozen does both only after it is thawed.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from tests.simulation.broker import Busy, Cluster
from tests.simulation.clock import Choices

T = TypeVar("T")

DELAYS = (0.001, 0.001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.4)
"""Seconds that a request may be under way, and an answer; the first is the ordinary one."""
RETRY_SECONDS = 0.01


class Wire:
    """What one process hears and says."""

    def __init__(self, cluster: Cluster, choices: Choices, process: Any) -> None:
        self.cluster = cluster
        self.process = process
        self.choices = choices
        self._loop = asyncio.get_running_loop()
        self.dead = False
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._never = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.slow_until = 0.0

    async def call(self, serve: Callable[[], T]) -> T:
        """Send a request until it is served; ``serve`` is what it does as it arrives."""
        while True:
            try:
                return await self.ask(serve)
            except Busy:
                await asyncio.sleep(RETRY_SECONDS)

    async def ask(self, serve: Callable[[], T]) -> T:
        """Send a request once.

        Raises:
            Busy: it is to be sent again.
        """
        await self.alive()
        answer: asyncio.Future[T] = self._loop.create_future()
        self._loop.call_later(self.delay(), self._arrive, serve, answer)
        await asyncio.wait([answer])
        await self.alive()
        return answer.result()

    def _arrive(self, serve: Callable[[], T], answer: asyncio.Future[T]) -> None:
        try:
            result = serve()
        except Exception as error:  # noqa: BLE001
            self._loop.call_later(self.delay(), _fail, answer, error)
        else:
            self._loop.call_later(self.delay(), _set, answer, result)

    def delay(self) -> float:
        """Choose how long something is under way."""
        delay = self.choices.one_of(DELAYS)
        return delay + 1.5 if self._loop.time() < self.slow_until else delay

    async def alive(self) -> None:
        """Go on at once where the process runs, after it is thawed, or never."""
        await self._thawed.wait()
        if self.dead:
            await self._never.wait()

    def kill(self) -> None:
        """End the process. Its tasks are cancelled, and what they do about that reaches nobody."""
        self.dead = True
        self._thawed.set()
        for task in list(self._tasks):
            task.cancel()

    def is_done(self, task: asyncio.Task[Any]) -> None:
        """Forget a task; what became of it in a process that is killed is nobody's concern."""
        self._tasks.discard(task)
        if self.dead and not task.cancelled():
            task.exception()

    def freeze(self, seconds: float) -> None:
        """Stop the process for a time."""
        self._thawed.clear()
        self._loop.call_later(seconds, self.thaw)

    def thaw(self) -> None:
        """Let the process go on."""
        self._thawed.set()


def _set(answer: asyncio.Future[T], result: T) -> None:
    if not answer.cancelled():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.cancelled():
        answer.set_exception(error)
        answer.exception()  # whoever waited may be gone


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task, and remember whose it is: the factory of a loop's tasks."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    wire = WIRE.get(None)
    if wire is not None:
        wire._tasks.add(task)
        task.add_done_callback(wire.is_done)
    return task


WIRE: ContextVar[Wire] = ContextVar("WIRE")
"""The process that runs: production code makes its clients itself, and they find it here."""
