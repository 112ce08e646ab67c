"""A worker's dry runs: passed over before they are answered, in turn with chunks, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from processor import dry_runs
from processor.chunking import Chunk
from processor.domain.effects import Answer
from processor.dry_runs import DryRuns
from processor.store import StoreError
from schemas import dry_runs as headers
from schemas.topics import DRY_RUNS, REPLIES
from tests.spec import NOW, Partition, Sent, ann, challenge, given, log, millis


class Worker:
    """What dry runs see of a worker, and what came of them."""

    running: asyncio.Task[None]

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.partition = given(ann, challenge()).partition
        self.happened: list[str] = []
        self.passes = True
        self.current = True
        self.turn = asyncio.Lock()
        context: Any = SimpleNamespace(
            settings=SimpleNamespace(partitions=2, topic=str, master_key=None),
            reply_partitions={REPLIES: 4},
            store=[self.partition, self.partition],
            definitions=SimpleNamespace(definitions=self.partition.definitions),
            destinations=None,
        )
        self.dry_runs = DryRuns(context, self.pass_over)
        monkeypatch.setattr(self.dry_runs._replies, "send", self.send)
        clock = SimpleNamespace(time=lambda: millis(NOW) / 1000)
        monkeypatch.setattr(dry_runs, "time", clock)

    async def pass_over(self, next_offsets: Mapping[TopicPartition, int]) -> bool:
        """Remember it, where the group does."""
        for place, offset in next_offsets.items():
            self.happened.append(f"{place.topic} {place.partition} passed up to {offset}")
        return self.passes

    async def send(self, answer: Answer) -> bool:
        """Note an answer."""
        self.happened.append(str(msgspec.json.decode(answer.value)["status"]))
        return True

    def is_current(self) -> bool:
        return self.current

    def take(self, *records: Sent, partition: int = 0, turn: asyncio.Lock | None = None) -> None:
        """Have records answered, as those of a chunk."""
        chunk = Chunk(partition, [], 1, 0, records)
        self.dry_runs.take(chunk, self.is_current, turn or self.turn)

    async def settle(self, until: Callable[[], bool]) -> None:
        """Let everything happen that can."""
        for _ in range(200):
            if until():
                return
            await asyncio.sleep(0)


def trial(offset: int, record: Sent | None = None, *, age: float = 0) -> Sent:
    """Return a record of ``dry-runs`` that was written so many seconds ago."""
    record = record or log(f"log-{offset}", 5)
    marked = (*headers.headers_for(record.topic), *record.headers)
    written = millis(NOW) - round(age * 1000)
    return replace(record, topic=DRY_RUNS, headers=marked, offset=offset, timestamp=written)


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    made = Worker(monkeypatch)
    made.running = asyncio.create_task(made.dry_runs.run())
    yield made
    made.running.cancel()
    await asyncio.gather(made.running, return_exceptions=True)


async def test_they_are_passed_over_and_then_answered(worker: Worker) -> None:
    worker.take(trial(3), trial(4, log("x")))
    await worker.settle(lambda: len(worker.happened) == 3)
    assert worker.happened == ["dry-runs 0 passed up to 5", "200", "400"]


async def test_where_the_group_does_not_take_that_none_is_answered(worker: Worker) -> None:
    worker.passes = False
    worker.take(trial(0))
    await worker.settle(lambda: False)
    assert worker.happened == ["dry-runs 0 passed up to 1"]


async def test_what_is_older_than_somebody_waits_is_passed_over(worker: Worker) -> None:
    worker.take(trial(0, age=60), trial(1))
    await worker.settle(lambda: len(worker.happened) == 2)
    assert worker.happened == ["dry-runs 0 passed up to 2", "200"]


async def test_of_a_partition_that_moved_none_is_answered(worker: Worker) -> None:
    worker.current = False
    worker.take(trial(0))
    await worker.settle(lambda: False)
    assert worker.happened == []


async def test_they_wait_while_their_partition_is_folded(worker: Worker) -> None:
    async with worker.turn:
        worker.take(trial(0))
        await worker.settle(lambda: False)
        assert worker.happened == ["dry-runs 0 passed up to 1"]
        worker.current = False  # it moves meanwhile
    await worker.settle(lambda: False)
    assert worker.happened == ["dry-runs 0 passed up to 1"]


async def test_what_comes_too_fast_is_given_up(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_runs, "MAX_WAITING_BYTES", 1500)
    worker.take(*map(trial, range(9)))
    await worker.settle(lambda: False)
    answered = len(worker.happened) - 1
    assert 0 < answered < 9
    assert worker.happened == [f"dry-runs 0 passed up to {answered}", *["200"] * answered]
    worker.happened.clear()
    worker.take(trial(9))
    await worker.settle(lambda: len(worker.happened) == 2)
    assert worker.happened == ["dry-runs 0 passed up to 10", "200"]


async def test_one_for_which_there_is_no_room_is_given_up_alone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_runs, "MAX_WAITING_BYTES", 3000)
    worker.take(trial(0), trial(1, log("x" * 5000, 5)), trial(2))
    await worker.settle(lambda: len(worker.happened) == 3)
    assert worker.happened == ["dry-runs 0 passed up to 3", "200", "200"]


async def test_one_that_asks_nobody_is_answered_by_nothing(worker: Worker) -> None:
    worker.take(trial(0, log("a", 5).with_headers()), trial(1))
    await worker.settle(lambda: len(worker.happened) == 2)
    assert worker.happened == ["dry-runs 0 passed up to 2", "200"]


async def test_one_that_cannot_be_folded_harms_no_other(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    load = Partition.load
    monkeypatch.setattr(worker.partition, "load", fail)
    worker.take(trial(0))
    await worker.settle(lambda: False)
    monkeypatch.setattr(worker.partition, "load", load.__get__(worker.partition))
    worker.take(trial(1))
    await worker.settle(lambda: len(worker.happened) == 3)
    assert worker.happened[2:] == ["200"]


async def test_a_partition_whose_turn_does_not_come_holds_up_no_other(worker: Worker) -> None:
    async with worker.turn:
        worker.take(trial(0), trial(1))
        worker.take(trial(0), partition=1, turn=asyncio.Lock())
        await worker.settle(lambda: "200" in worker.happened)
    assert worker.happened[2:] == ["200"]
    await worker.settle(lambda: len(worker.happened) == 5)
    assert worker.happened[2:] == ["200"] * 3


async def test_one_whose_turn_does_not_come_while_somebody_waits_is_given_up(
    worker: Worker,
) -> None:
    async with worker.turn:
        worker.take(trial(0, age=headers.ANSWER_SECONDS - 0.01))
        for _ in range(1000):
            if not worker.dry_runs._bytes:
                break
            await asyncio.sleep(0.01)
    worker.take(trial(1))
    await worker.settle(lambda: len(worker.happened) == 3)
    assert worker.happened == ["dry-runs 0 passed up to 1", "dry-runs 0 passed up to 2", "200"]


class Turns(asyncio.Lock):
    """Counts how often it was taken."""

    taken = 0

    async def acquire(self) -> Any:
        """Count it."""
        self.taken += 1
        return await super().acquire()


async def test_many_are_folded_in_few_turns(worker: Worker) -> None:
    turns = Turns()
    worker.take(*map(trial, range(dry_runs.MAX_A_TURN + 1)), turn=turns)
    await worker.settle(lambda: len(worker.happened) == dry_runs.MAX_A_TURN + 2)
    assert worker.happened[1:] == ["200"] * (dry_runs.MAX_A_TURN + 1)
    assert turns.taken == 2


async def test_a_store_that_cannot_be_read_ends_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreError("gone")

    monkeypatch.setattr(dry_runs, "fold_dry", fail)
    worker.take(trial(0))
    with pytest.raises(StoreError):
        await asyncio.wait_for(worker.running, 10)
