"""Chunks of a partition go one after the other, those of several side by side."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from processor.agent import ChunkAgent, joined
from processor.domain.definitions import Definitions
from processor.domain.fold import Part
from processor.gathering import Chunk
from processor.shell import Outstanding
from processor.transactions import Fenced


class Worker:
    """What an agent sees of its worker, and chunks that are taken when they are told to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.acked: list[str] = []
        self.failed: list[BaseException] = []
        self.gates: dict[str, asyncio.Future[None]] = {}
        reader = SimpleNamespace(definitions=Definitions(), refused=0)
        self.outstanding = Outstanding()
        self.discarded: list[int] = []
        shell: Any = SimpleNamespace(
            definitions=reader,
            outstanding=self.outstanding,
            fail=self.failed.append,
            producers=SimpleNamespace(discard=self.discard),
        )
        self.agent = ChunkAgent(SimpleNamespace(consumer_generation_id=1), shell)
        monkeypatch.setattr(self.agent, "_take", self.take)

    async def take(self, chunk: Chunk) -> None:
        """Take a chunk when its gate opens."""
        name = "+".join(part.topic for part in chunk.parts)
        self.begun.append(name)
        await self.gates.setdefault(name, asyncio.get_running_loop().create_future())

    async def discard(self, partition: int) -> None:
        """Close a fenced producer, which says once more that it is fenced."""
        self.discarded.append(partition)
        raise ProducerFenced

    def stream(self, *names: str) -> Any:
        """A stream of chunks; the first letter of a name is its partition."""

        async def events() -> AsyncIterator[Any]:
            for name in names:
                await asyncio.sleep(0)  # as it would for the network
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


def _chunk(name: str, generation: int = 1) -> Chunk:
    """A chunk of one part, whose topic is its name."""
    return Chunk(ord(name[0]) - ord("a"), [Part(name, [])], generation, 0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


async def test_partitions_go_side_by_side_and_each_in_its_order(worker: Worker) -> None:
    running = await worker.start("a1", "b1", "b2", "a2", "b3")
    assert worker.begun == ["a1", "b1"]
    worker.gates["b1"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1", "b1", "b2+b3"]  # what came meanwhile is one chunk
    assert worker.acked == ["b1"]
    worker.gates["a1"].set_result(None)
    worker.gates["b2+b3"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1", "b1", "b2+b3", "a2"]
    assert worker.acked == ["b1", "a1", "b2", "b3"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_chunks_of_two_assignments_are_not_joined() -> None:
    chunks = [_chunk("a1"), _chunk("a2"), _chunk("a3", 2)]
    chunks[0].definitions = 7
    assert [([p.topic for p in c.parts], c.generation, c.definitions) for c in joined(chunks)] == [
        (["a1", "a2"], 1, 7),
        (["a3"], 2, 0),
    ]


async def test_a_chunk_that_fails_stops_the_worker_and_is_not_acknowledged(worker: Worker) -> None:
    running = await worker.start("a1", "a2", "b1")
    error = RuntimeError("the broker is gone")
    worker.gates["a1"].set_exception(error)
    await worker.settle()
    assert worker.failed == [error]
    assert worker.acked == []
    assert worker.begun == ["a1", "b1"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_agent_that_is_cancelled_takes_its_chunks_with_it(worker: Worker) -> None:
    running = await worker.start("a1", "b1")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(gate.cancelled() for gate in worker.gates.values())
    assert worker.acked == []
    assert worker.failed == []


async def test_what_waits_when_partitions_are_revoked_is_not_folded(worker: Worker) -> None:
    running = await worker.start("a1", "a2", "a3")
    worker.outstanding.clear()
    worker.gates["a1"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1"]
    assert worker.acked == ["a1", "a2", "a3"]  # Faust waits for it before it lets go
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_fenced_partition_is_given_up_and_the_others_go_on(worker: Worker) -> None:
    running = await worker.start("a1", "b1")
    worker.gates["a1"].set_exception(Fenced("another has it"))
    worker.gates["b1"].set_result(None)
    await worker.settle()
    assert worker.discarded == [0]
    assert sorted(worker.acked) == ["a1", "b1"]
    assert worker.failed == []
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_acknowledgement_that_fails_stops_the_worker(worker: Worker) -> None:
    error = RuntimeError("no such message")

    def refuse(_: str) -> None:
        raise error

    worker.acked = SimpleNamespace(append=refuse)  # type: ignore[assignment]
    running = await worker.start("a1")
    worker.gates["a1"].set_result(None)
    await worker.settle()
    assert worker.failed == [error]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
