"""Permits shared out among projects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect

from api.auth import shares
from api.auth.shares import Shares, _while_there
from api.http.problems import Problem


class Crowd:
    """Reads of several projects that hold their permits until they are told to end."""

    def __init__(self, size: int) -> None:
        self.shares = Shares(size)
        self.held: dict[str, int] = {}
        self._ends: dict[str, list[asyncio.Event]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, project: str, count: int) -> None:
        """Let some reads of a project begin."""
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self._read(project)))
        await self.settle()

    async def end(self, project: str, count: int = 1) -> None:
        """Let some of those that hold a permit end."""
        for _ in range(count):
            self._ends[project].pop().set()
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def _read(self, project: str) -> None:
        async with self.shares.permit(project):
            end = asyncio.Event()
            self._ends.setdefault(project, []).append(end)
            self.held[project] = self.held.get(project, 0) + 1
            try:
                await end.wait()
            finally:
                self.held[project] -= 1


@asynccontextmanager
async def crowd(size: int) -> AsyncIterator[Crowd]:
    """Yield a crowd, and send it home."""
    made = Crowd(size)
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_one_project_leaves_half_to_those_that_come() -> None:
    async with crowd(10) as made:
        await made.come("loud", 24)
        assert made.held == {"loud": 5}
        await made.come("quiet", 2)
        assert made.held == {"loud": 5, "quiet": 2}
        await made.come("third", 4)
        assert made.held == {"loud": 5, "quiet": 2, "third": 2}
        await made.end("loud", 4)
        assert made.held == {"loud": 2, "quiet": 2, "third": 2}
        await made.end("quiet", 2)
        await made.end("third", 2)  # its others have their turn
        assert made.held["third"] == 2
        await made.end("third", 2)
        assert made.held == {"loud": 5, "quiet": 0, "third": 0}


async def test_there_is_one_for_everybody_however_many_come() -> None:
    async with crowd(4) as made:
        for number in range(4):
            await made.come(str(number), 3)
        assert made.held == {"0": 2, "1": 1, "2": 1}
        await made.end("0")
        assert made.held == {"0": 1, "1": 1, "2": 1, "3": 1}


async def test_who_waits_too_long_or_in_too_long_a_line_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(shares, "MOST_WAITING", 2)
    async with crowd(2) as made:
        await made.come("loud", 4)
        assert [task.done() for task in made.tasks] == [False, False, False, True]
        with pytest.raises(Problem) as refused:
            await made.tasks[3]
        assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "1"})
        for task in made.tasks[1:3]:
            with pytest.raises(Problem):
                await task
        await made.come("quiet", 1)
        assert made.held == {"loud": 1, "quiet": 1}
        await made.end("loud")
        await made.come("loud", 1)
        assert made.held["loud"] == 1  # whoever gave up holds nothing


async def test_whoever_is_cancelled_while_it_waits_holds_nothing() -> None:
    async with crowd(2) as made:
        await made.come("loud", 3)
        made.tasks[1].cancel()
        await made.end("loud")
        assert made.held == {"loud": 1}
        made.tasks[2].cancel()
        await made.settle()
        await made.come("loud", 1)
        assert made.held == {"loud": 1}


async def test_what_is_done_for_a_client_that_is_gone_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "_LOOK_SECONDS", 0.0)
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    messages.put_nowait({"type": "http.request"})
    async with AsyncExitStack() as stack:
        stack.enter_context(pytest.raises(ClientDisconnect))
        await stack.enter_async_context(asyncio.timeout(60))
        await stack.enter_async_context(_while_there(messages.get))
        asyncio.get_running_loop().call_later(
            0.01, messages.put_nowait, {"type": "http.disconnect"}
        )
        await asyncio.Event().wait()
    async with _while_there(messages.get):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)  # nothing is cancelled any more
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_request_that_is_cancelled_stays_so() -> None:
    async def read() -> None:
        async with _while_there(asyncio.Queue[dict[str, str]]().get):
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
