"""Chunks of a partition go one after the other, those of several side by side."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from processor.agent import ChunkAgent
from processor.domain.definitions import Definitions
from processor.shell import Outstanding


class Worker:
    """What an agent sees of its worker, and chunks that are taken when they are told to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.acked: list[str] = []
        self.failed: list[BaseException] = []
        self.gates: dict[str, asyncio.Future[None]] = {}
        reader = SimpleNamespace(definitions=Definitions(), refused=0)
        shell: Any = SimpleNamespace(
            definitions=reader, outstanding=Outstanding(), fail=self.failed.append
        )
        self.agent = ChunkAgent(SimpleNamespace(consumer_generation_id=1), shell)
        monkeypatch.setattr(self.agent, "_take", self.take)

    async def take(self, chunk: Any) -> None:
        """Take a chunk when its gate opens."""
        self.begun.append(chunk.name)
        await self.gates.setdefault(chunk.name, asyncio.get_running_loop().create_future())

    def stream(self, *names: str) -> Any:
        """A stream of chunks; the first letter of a name is its partition."""

        async def events() -> AsyncIterator[Any]:
            for name in names:
                yield SimpleNamespace(
                    value=_chunk(name), ack=lambda name=name: self.acked.append(name)
                )
            await asyncio.Event().wait()

        return SimpleNamespace(noack=lambda: SimpleNamespace(events=events))

    async def start(self, *names: str) -> asyncio.Task[None]:
        """Run the agent until it waits."""
        running = asyncio.create_task(self.agent.run(self.stream(*names)))
        await self.settle()
        return running

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(20):
            await asyncio.sleep(0)


def _chunk(name: str) -> Any:
    partition = ord(name[0]) - ord("a")
    return SimpleNamespace(name=name, partition=partition, size=0, generation=1, definitions=0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


async def test_partitions_go_side_by_side_and_each_in_its_order(worker: Worker) -> None:
    running = await worker.start("a1", "b1", "b2", "a2")
    assert worker.begun == ["a1", "b1"]  # b2 waits for b1, and a2 behind it
    worker.gates["b1"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1", "b1", "b2"]
    assert worker.acked == ["b1"]
    worker.gates["a1"].set_result(None)
    worker.gates["b2"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1", "b1", "b2", "a2"]
    assert worker.acked == ["b1", "a1", "b2"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_chunk_that_fails_stops_the_worker_and_is_not_acknowledged(worker: Worker) -> None:
    running = await worker.start("a1", "a2", "b1")
    error = RuntimeError("the broker is gone")
    worker.gates["a1"].set_exception(error)
    await asyncio.wait_for(running, 5)
    assert worker.failed == [error]
    assert worker.acked == []
    assert worker.begun == ["a1"]


async def test_an_agent_that_is_cancelled_takes_its_chunks_with_it(worker: Worker) -> None:
    running = await worker.start("a1", "b1")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(gate.cancelled() for gate in worker.gates.values())
    assert worker.acked == []
    assert worker.failed == []
