"""What was fetched is delivered, or a seek after it brings it again: whatever rebalances do."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from processor import context as context_module
from processor.chunk_transport import ChunkConsumer
from processor.chunking import Chunk, ChunkAssembler, Stretch
from processor.context import Outstanding
from processor.fetching import Fetch
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, DEFINITIONS, MEMBER_COMMANDS

LOGS = TopicPartition(CHALLENGE_LOGS, 0)
COMMANDS = TopicPartition(MEMBER_COMMANDS, 0)


class Delivery(ChunkConsumer):
    """A consumer whose fetches are given, and during which things happen."""

    should_stop = False

    def __init__(self) -> None:  # without Faust's
        settings = Settings.of({})
        self.ends: dict[TopicPartition, int] = {}
        self.failed: list[BaseException] = []
        self.outstanding = Outstanding()
        self.during_poll: Callable[[], Fetch] = Fetch
        self.while_asking: Callable[[], object] = lambda: None
        context = SimpleNamespace(
            settings=settings,
            outstanding=self.outstanding,
            log_ends=SimpleNamespace(of=self._ends_of),
            definitions_partition=TopicPartition(DEFINITIONS, 0),
            fail=self.failed.append,
        )
        self.app: Any = SimpleNamespace(context=context, consumer_generation_id=1)
        self._assembler = ChunkAssembler(settings)
        self._read_offset: Any = {}

    async def _ends_of(self, partitions: Any) -> dict[TopicPartition, int]:
        self.while_asking()
        return {tp: self.ends.get(tp, 0) for tp in partitions}

    async def _wait_next_records(self, *_: object) -> Any:
        return self.during_poll(), set()

    def highwater(self, *_: object) -> int:
        return 0

    def fetched(self, *offsets: int, epoch: int | None = None) -> Fetch:
        """Logs that were handed out, by default after the seek that was last."""
        records = [SimpleNamespace(offset=offset, timestamp=0) for offset in offsets]
        return Fetch(
            self.outstanding.epoch if epoch is None else epoch,
            {LOGS: records},
            {LOGS: offsets[0]},
            {LOGS: offsets[-1] + 1},
            {LOGS: 10 * len(records)},
        )

    async def deliver(self) -> list[list[int]]:
        """Fetch once; return the offsets of each chunk that comes out."""
        chunks: list[Any] = [message.value async for _, message in self.getmany(1.0)]
        return [[r.offset for s in chunk.stretches for r in s.records] for chunk in chunks]


async def test_what_was_fetched_after_the_last_seek_is_delivered_whatever_came_before() -> None:
    """Recovery may end within a poll: the records follow its seek, and no other will come."""
    delivery = Delivery()

    def two_rebalances() -> Fetch:
        for _ in range(2):
            delivery.begin_epoch()  # revoked
            delivery.begin_epoch()  # sought
            delivery.app.consumer_generation_id += 1
        return delivery.fetched(0, 1)

    delivery.during_poll = two_rebalances
    assert await delivery.deliver() == [[0, 1]]


async def test_what_was_fetched_before_a_seek_is_not_delivered() -> None:
    delivery = Delivery()

    def sought_in_the_meantime() -> Fetch:
        fetch = delivery.fetched(0, 1)
        delivery.begin_epoch()
        return fetch

    delivery.during_poll = sought_in_the_meantime
    assert await delivery.deliver() == []


async def test_the_lag_of_a_partition_that_went_to_another_worker_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """aiokafka asserts that it has the partition; that stopped the worker at a rebalance."""
    delivery = Delivery()

    def not_assigned(*_: object) -> int:
        raise AssertionError("Partition is not assigned")

    monkeypatch.setattr(delivery, "highwater", not_assigned)

    def moved_in_the_meantime() -> Fetch:
        fetch = delivery.fetched(0, 1)
        delivery.begin_epoch()
        return fetch

    delivery.during_poll = moved_in_the_meantime
    assert await delivery.deliver() == []
    assert delivery.failed == []


async def test_what_a_revocation_overtakes_while_the_broker_is_asked_is_not_delivered() -> None:
    delivery = Delivery()
    delivery.during_poll = lambda: delivery.fetched(0, 1)
    delivery.while_asking = delivery.begin_epoch
    assert await delivery.deliver() == []
    delivery.while_asking = lambda: None
    assert await delivery.deliver() == [[0, 1]]


async def test_what_was_held_before_a_seek_is_not_delivered_after_it() -> None:
    delivery = Delivery()
    delivery.ends[COMMANDS] = 1
    delivery.during_poll = lambda: delivery.fetched(0, 1)
    assert await delivery.deliver() == []
    delivery.begin_epoch()
    delivery.ends.clear()
    delivery.during_poll = lambda: delivery.fetched(0)
    assert await delivery.deliver() == [[0]]


async def test_a_fetch_that_fails_stops_the_worker() -> None:
    """What else was handed out with it is lost; recovery reads it again."""
    delivery = Delivery()
    error = ValueError("no such batch")

    def fail() -> Fetch:
        raise error

    delivery.during_poll = fail
    with pytest.raises(ValueError, match="no such batch"):
        await delivery.deliver()
    assert delivery.failed == [error]


async def test_what_faust_drops_does_not_stop_the_fetching_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its drain loop gives up a chunk as the flow is suspended; nobody acknowledges that."""
    monkeypatch.setattr(context_module, "MAX_OUTSTANDING", 2)
    delivery = Delivery()
    delivery.during_poll = lambda: delivery.fetched(0, 1)
    assert await delivery.deliver() == [[0, 1]]
    assert await delivery.deliver() == []  # nobody took them yet
    delivery.begin_epoch()
    assert await delivery.deliver() == [[0, 1]]


def _chunk(epoch: int, records: int, weight: int) -> Chunk:
    return Chunk(0, [Stretch(CHALLENGE_LOGS, [None] * records, 0, weight)], epoch, 0)


async def test_outstanding_is_bounded_in_records_and_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(context_module, "MAX_OUTSTANDING", 5)
    monkeypatch.setattr(context_module, "MAX_OUTSTANDING_BYTES", 100)
    outstanding = Outstanding()
    many, large = _chunk(1, 5, 1), _chunk(1, 1, 100)
    for chunk in (many, large):
        assert await outstanding.has_room(0)
        outstanding.add(chunk)
        assert not await outstanding.has_room(0)
        waiting = asyncio.create_task(outstanding.has_room(60))
        await asyncio.sleep(0)
        outstanding.done(chunk)
        assert await waiting


def test_what_is_done_of_an_earlier_epoch_does_not_make_room() -> None:
    outstanding = Outstanding()
    old = _chunk(1, context_module.MAX_OUTSTANDING, 1)
    outstanding.add(old)
    outstanding.arrived(old)
    assert outstanding.clear() == 0  # the agent has them, and sees that they are old
    new = _chunk(outstanding.epoch, context_module.MAX_OUTSTANDING, 1)
    outstanding.add(new)
    outstanding.done(old)
    assert outstanding._is_full()
    assert outstanding.clear() == new.size  # they never came to the agent
