"""Chunks of a partition go one after the other, those of several side by side."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import ProducerFenced

from processor import agent, chunk_pace
from processor.agent import ChunkAgent, GapError, joined
from processor.chunking import Chunk, Stretch
from processor.context import Outstanding
from processor.domain.definitions import Definitions
from processor.domain.fold import Position
from processor.transactions import Fenced
from schemas.replies import REPLY_TOPIC

Queue = asyncio.Queue[Chunk | str]


class Worker:
    """What an agent sees of its worker, and chunks that are taken when they are told to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.acked: list[str] = []
        self.failed: list[BaseException] = []
        self.gates: dict[str, asyncio.Future[None]] = {}
        self.definitions = Definitions()
        self.more_definitions = asyncio.Event()
        reader = SimpleNamespace(
            definitions=self.definitions, refused=0, follow=self.follow_definitions
        )
        self.keys: dict[int, int] = defaultdict(int)
        """By partition, up to where its members' keys are known."""
        self.more_keys = asyncio.Event()
        self.position = Position()
        self.outstanding = Outstanding()
        self.discarded: list[int] = []
        context: Any = SimpleNamespace(
            definitions=reader,
            member_keys=SimpleNamespace(reached=self.keys.__getitem__, follow=self.follow_keys),
            outstanding=self.outstanding,
            fail=self.failed.append,
            store=defaultdict(lambda: SimpleNamespace(position=lambda: self.position)),
            producers=SimpleNamespace(discard=self.discard),
        )
        self.agent = ChunkAgent(context, cast("Any", None))
        monkeypatch.setattr(chunk_pace, "APART_SECONDS", 0.0)
        monkeypatch.setattr(self.agent, "_fold", self.fold)

    async def fold(self, chunk: Chunk) -> bool:
        """Fold a chunk when its gate opens."""
        name = "+".join(stretch.topic for stretch in chunk.stretches)
        self.begun.append(name)
        await self.gates.setdefault(name, asyncio.get_running_loop().create_future())
        return True

    async def follow_definitions(self) -> None:
        """Come to know one definition more when one is there."""
        await self.more_definitions.wait()
        self.definitions.next_offset += 1

    async def follow_keys(self, _: set[int], awaited: int, end: int) -> None:
        """Come to know the keys of a partition when they are there."""
        await self.more_keys.wait()
        self.keys[awaited] = end

    async def discard(self, partition: int) -> None:
        """Close a fenced producer, which says once more that it is fenced."""
        self.discarded.append(partition)
        raise ProducerFenced

    def stream(self, *chunks: Chunk | str, then: Queue | None = None) -> Any:
        """A stream of chunks, and of more to come; the first letter of a name is its partition."""
        coming: Queue = asyncio.Queue() if then is None else then

        async def events() -> AsyncIterator[Any]:
            for number in itertools.count():
                await asyncio.sleep(0)  # as it would for the network
                given = chunks[number] if number < len(chunks) else await coming.get()
                chunk = _chunk(given) if isinstance(given, str) else given
                self.outstanding.add(chunk)
                name = chunk.stretches[0].topic
                yield SimpleNamespace(value=chunk, ack=lambda name=name: self.acked.append(name))

        return SimpleNamespace(noack=lambda: SimpleNamespace(events=events))

    async def start(self, *chunks: Chunk | str, then: Queue | None = None) -> asyncio.Task[None]:
        """Run the agent until it waits."""
        running = asyncio.create_task(self.agent.run(self.stream(*chunks, then=then)))
        await self.settle()
        return running

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(20):
            await asyncio.sleep(0)


def _chunk(name: str, epoch: int = 1, *, offset: int = 0, start: int = 0, weight: int = 0) -> Chunk:
    """A chunk of one record, whose topic is its name."""
    stretch = Stretch(name, [SimpleNamespace(offset=offset, headers=())], start, weight)
    return Chunk(ord(name[0]) - ord("a"), [stretch], epoch, 0)


async def _end(running: asyncio.Task[None]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


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


async def test_a_chunk_that_nobody_waits_for_grows_until_somebody_does(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_pace, "APART_SECONDS", 3600.0)
    asked = _chunk("a4")
    asked.stretches[0].records[0].headers = [("traceparent", b"00-1"), (REPLY_TOPIC, b"replies")]
    more: Queue = asyncio.Queue()
    running = await worker.start("a1", "a2", "b1", "a3", then=more)
    worker.gates["a1"].set_result(None)
    await worker.settle()
    assert worker.begun == ["a1", "b1"]  # the first of each partition begins at once
    more.put_nowait(asked)
    await worker.settle()
    assert worker.begun == ["a1", "b1", "a2+a3+a4"]
    await _end(running)


def test_chunks_of_two_assignments_are_not_joined() -> None:
    chunks = [_chunk("a1"), _chunk("a2"), _chunk("a3", 2)]
    chunks[0].definitions = 7
    found = joined(chunks)
    assert [([s.topic for s in c.stretches], c.epoch, c.definitions) for c in found] == [
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


async def test_a_chunk_that_waited_for_definitions_is_not_folded_after_a_revocation(
    worker: Worker,
) -> None:
    """Else it would be folded although the chunk before it was dropped."""
    waiting = _chunk("a2", offset=20, start=0)
    waiting.definitions = 1
    running = await worker.start(waiting)
    worker.outstanding.clear()
    worker.more_definitions.set()
    await worker.settle()
    assert worker.begun == []
    assert worker.acked == ["a2"]
    await _end(running)


async def test_a_chunk_waits_for_the_keys_of_its_members(worker: Worker) -> None:
    waiting = _chunk("a1")
    waiting.keys = 3
    running = await worker.start(waiting, "b1")
    await worker.settle()
    assert worker.begun == ["b1"]
    worker.more_keys.set()
    await worker.settle()
    assert worker.begun == ["b1", "a1"]
    assert worker.keys == {0: 3, 1: 0}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_definitions_that_do_not_come_hold_no_other_partition(worker: Worker) -> None:
    waiting = _chunk("a1")
    waiting.definitions = 1
    running = await worker.start(waiting, "b1")
    assert worker.begun == ["b1"]
    before = worker.outstanding.sign
    worker.more_definitions.set()
    await worker.settle()
    assert worker.outstanding.sign != before  # who waits for definitions does not stand still
    assert worker.begun == ["b1", "a1"]
    await _end(running)


async def test_a_chunk_before_which_records_are_missing_stops_the_worker(worker: Worker) -> None:
    worker.position = Position(10, {"a1": 10})
    running = await worker.start(_chunk("a1", offset=20, start=20))
    assert worker.begun == []
    assert worker.acked == []
    (error,) = worker.failed
    assert isinstance(error, GapError)
    assert "partition 0: records came from offset 20 on, but were folded up to 10" in str(error)
    await _end(running)


async def test_aborted_records_and_markers_between_chunks_are_no_gap(worker: Worker) -> None:
    worker.position = Position(10, {"a1": 10})
    running = await worker.start(_chunk("a1", offset=20, start=10))
    assert worker.begun == ["a1"]
    await _end(running)


def test_a_gap_within_a_chunk_is_seen() -> None:
    first, second = _chunk("a1", offset=9), _chunk("a1", offset=20, start=11)
    whole = joined([first, second])
    assert len(whole) == 1
    with pytest.raises(GapError):
        agent.check_nothing_left_out(whole[0], {})


def test_chunks_are_joined_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "JOINED_BYTES", 100)
    monkeypatch.setattr(agent, "JOINED_RECORDS", 3)
    chunks = [_chunk("a1", weight=60), _chunk("a2", weight=40), _chunk("a3", weight=101)]
    chunks += [_chunk(f"a{n}", weight=1) for n in range(4, 8)]
    assert [[s.topic for s in c.stretches] for c in joined(chunks)] == [
        ["a1", "a2"],
        ["a3"],
        ["a4", "a5", "a6"],
        ["a7"],
    ]
    assert [len(chunk.stretches) for chunk in chunks] == [1] * 7
