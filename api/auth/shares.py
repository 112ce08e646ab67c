"""Fair shares of the connections for reads, so that no project can starve the others.

The more projects read at a time, the fewer connections each may hold; one is always left for a
project that comes. A project that holds its share waits until one of its own connections is
returned. Explanations are shared out in the same way.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, replace

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from api.http.problems import Problem

WAIT_SECONDS = 5.0
"""How long a read waits for a connection."""

MOST_WAITING = 256
"""How many reads of one project may wait; further ones are refused at once."""

END_USER_SECONDS = 5.0
"""How long an end user's read may hold a connection. A key's read is limited by the statement
timeout."""

_LOOK_SECONDS = 0.1
"""When a read starts to watch for a disconnect: most are finished before."""


@dataclass(frozen=True)
class Reader:
    """On whose behalf a request reads.

    Attributes:
        project: whose share it takes.
        seconds: how long it may hold a connection; None: as long as its statements last.
        receive: where it is told that the client is gone; None: that is of no matter to it.
    """

    project: str
    seconds: float | None = None
    receive: Receive | None = None


NOBODY = Reader("")

READER: ContextVar[Reader] = ContextVar("reader", default=NOBODY)
"""The reader on whose behalf this request reads."""


class Shares:
    """`size` permits, shared out among projects. Belongs to one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def most(self, project: str) -> int:
        """Return how many a project may hold now."""
        active = {*self._held, *self._waiting, project}
        return max(1, self._size // (len(active) + 1))

    @contextlib.asynccontextmanager
    async def permit(self, project: str) -> AsyncIterator[None]:
        """Hold one of a project's permits, once it has its turn.

        Raises:
            Problem: 503, it does not come in time, or too many wait for theirs.
        """
        await self._acquire(project)
        try:
            yield
        finally:
            self._release(project)

    async def _acquire(self, project: str) -> None:
        if project not in self._waiting and self._has_room(project):
            self._grant(project)
            return
        waiting = self._waiting.setdefault(project, deque())
        if len(waiting) >= MOST_WAITING:
            raise _busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release(project)  # granted after the timeout
            else:
                self._forget(project, turn)
            if isinstance(error, TimeoutError):
                raise _busy() from error
            raise

    def _forget(self, project: str, turn: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(project)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[project]

    def _has_room(self, project: str) -> bool:
        return self._taken < self._size and self._held.get(project, 0) < self.most(project)

    def _grant(self, project: str) -> None:
        self._taken += 1
        self._held[project] = self._held.get(project, 0) + 1

    def _release(self, project: str) -> None:
        self._taken -= 1
        self._held[project] -= 1
        if not self._held[project]:
            del self._held[project]
        self._wake()

    def _wake(self) -> None:
        """Give free permits to the waiting project that holds the fewest."""
        while waiting := [project for project in self._waiting if self._has_room(project)]:
            project = min(waiting, key=lambda each: self._held.get(each, 0))
            turn = self._waiting[project].popleft()
            if not self._waiting[project]:
                del self._waiting[project]
            if not turn.done():
                self._grant(project)
                turn.set_result(None)


def _busy() -> Problem:
    detail = "The project has too many reads under way; try again."
    return Problem(503, detail, headers={"retry-after": "1"})


class Reads:
    """The connections of a pool, shared out for reads."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection], size: int) -> None:
        self._pool = pool
        self._shares = Shares(size)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection. Its statements are cancelled on timeout or disconnect.

        Raises:
            Problem: 503, there is none in time, or an end user's time is up.
            ClientDisconnect: the client is gone.
            psycopg.OperationalError: the pool has none in time, or the database is away.
        """
        reader = READER.get()
        async with self._shares.permit(reader.project):
            limit = asyncio.timeout(reader.seconds)
            try:
                async with (
                    limit,
                    _while_there(reader.receive),
                    self._pool.connection() as connection,
                ):
                    yield connection
            except TimeoutError as error:
                if not limit.expired():
                    raise
                detail = "This takes too long; ask for less, or try again."
                raise Problem(503, detail, headers={"retry-after": "5"}) from error


@contextlib.asynccontextmanager
async def while_read() -> AsyncIterator[None]:
    """Cancel the body of this context when the reader's client disconnects; the reads in it look
    for that no more.

    Raises:
        ClientDisconnect: it is.
    """
    reader = READER.get()
    before = READER.set(replace(reader, receive=None))
    try:
        async with _while_there(reader.receive):
            yield
    finally:
        READER.reset(before)


@contextlib.asynccontextmanager
async def _while_there(receive: Receive | None) -> AsyncIterator[None]:
    """Cancel the body of this context when the client disconnects.

    Raises:
        ClientDisconnect: it is.
    """
    task = asyncio.current_task()
    if receive is None or task is None:
        yield
        return
    watching: list[asyncio.Task[None]] = []
    gone = over = False

    def watch() -> None:
        watching.append(asyncio.create_task(_disconnected(receive)))
        watching[0].add_done_callback(end)

    def end(watcher: "asyncio.Task[None]") -> None:
        nonlocal gone
        if not over and not watcher.cancelled() and watcher.exception() is None:
            gone = True
            task.cancel()

    timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, watch)
    try:
        yield
        over = True
        if gone:
            await asyncio.sleep(0)  # the cancellation must be raised here
    except asyncio.CancelledError:
        over = True
        if not gone or task.uncancel():
            raise
        raise ClientDisconnect from None
    finally:
        over = True
        timer.cancel()
        for watcher in watching:
            watcher.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
