"""Time that passes only when nothing else can happen, and the choices of a schedule."""

import asyncio
import heapq
import random
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Nothing can happen any more, and no time that passes would change that."""


MAX_STEPS = 400_000
"""A schedule takes some ten thousand."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets: where nothing is ready, it is at once the next timer's time.

    What is ready runs in its order, as in every loop of asyncio: the freedom of a schedule lies in
    how long each request and each answer takes, never in what asyncio promises.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._steps = 0
        self.failures: list[dict[str, Any]] = []
        """What nobody caught."""
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Return the virtual time in seconds since the loop was made."""
        return self._now

    def _run_once(self) -> None:
        loop: Any = self
        scheduled, ready = loop._scheduled, loop._ready
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if not ready and not loop._stopping:
            if not scheduled:
                raise Deadlock("every task waits for another")
            self._now = max(self._now, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now:
            ready.append(heapq.heappop(scheduled))
        self._steps += len(ready)
        if self._steps > MAX_STEPS and not loop._stopping:
            self._steps = 0
            raise Deadlock("there is no end to it")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Nothing: cancelled timers are dropped when their time comes."""

    def _process_events(self, event_list: Any) -> None:
        """Nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Nothing: there are no threads."""

    def end(self) -> None:
        """Cancel what still runs, and close."""
        for _ in range(20):  # Faust's wait for acknowledgements takes a cancellation for a time-out
            if tasks := asyncio.all_tasks(self):
                for task in tasks:
                    task.cancel()
                self.run_until_complete(asyncio.wait(tasks, timeout=0.01))
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()


class Choices:
    """The choices of one schedule: the first ``wild`` ones by a seed, all later ones ordinary.

    So a schedule that fails shrinks towards one that is ordinary as early as possible.
    """

    def __init__(self, seed: int, wild: int) -> None:
        self._random = random.Random(seed)
        self._left = wild

    def one_of(self, options: Sequence[T]) -> T:
        """Choose; the first option is the ordinary one."""
        if self._left <= 0:
            return options[0]
        self._left -= 1
        return options[int(self._random.random() * len(options))]
