"""A chunk is folded and written whatever its pieces meet; only broker and disk stop it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord

from processor import folding
from processor.chunking import Chunk, Stretch
from processor.context import Outstanding
from processor.domain import fold as fold_module
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fold import ChunkLogged, fold_chunk
from processor.folding import Folding
from processor.open_transactions import OpenTransactions
from processor.store import StateStore, StoreError
from processor.transactions import Fenced, Superseded
from schemas.kafka.member_keys import MemberKeysReader
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, DEAD_LETTERS


def record(offset: int, value: bytes = b"{") -> Any:
    return ConsumerRecord(CHALLENGE_LOGS, 0, offset, 0, 0, None, value, None, 0, len(value), ())


class Worker:
    """A worker with one partition, whose transactions succeed unless they are told otherwise."""

    def __init__(self, directory: Path) -> None:
        self.store = StateStore(directory)
        self.store.open(0)
        self.written: list[Effects] = []
        self.refuses: list[Exception | None] = []
        """What the next transactions raise."""
        self.largest = 10**9
        """No transaction of more bytes is in time."""
        self.is_member = True
        self.current = True
        self.taken_back = 0
        self.open: dict[int, Any] = {0: self}
        context: Any = SimpleNamespace(
            settings=Settings.of({}),
            store=self.store,
            producers=self,
            definitions=SimpleNamespace(definitions=Definitions()),
            member_keys=MemberKeysReader(Settings.of({})),
            reply_partitions={},
            ticker=SimpleNamespace(soon=lambda *_: None),
            outstanding=Outstanding(),
            tracing=None,
        )
        self.folding = Folding(context, self.take_back, self.ask_group)

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self.open)

    def __getitem__(self, partition: int) -> Any:
        return self.open[partition]

    async def write(self, effects: Effects) -> int:
        if effects.size > self.largest:
            raise Fenced("it took too long")
        refused = self.refuses.pop(0) if self.refuses else None
        if refused is not None:
            raise refused
        self.written.append(effects)
        return len(self.written)

    async def take_back(self, *_: object) -> None:
        if not self.current:
            raise Superseded("a rebalance came")
        self.taken_back += 1

    async def ask_group(self) -> bool:
        return self.is_member

    async def fold(self, records: Sequence[Any]) -> bool:
        stretch = Stretch(CHALLENGE_LOGS, records, records[0].offset, 0)
        return await self.folding.fold(Chunk(0, [stretch], 1, 0), lambda: self.current)

    def letters(self) -> list[tuple[int, str]]:
        """Offset and reason of each dead letter, in their order."""
        outputs = [o for effects in self.written for o in effects.outputs.get(DEAD_LETTERS, ())]
        letters = [json.loads(output.value) for output in outputs]
        return [(letter["offset"], letter["reason"]) for letter in letters]

    def chunks(self) -> list[ChunkLogged]:
        raw = [effects.outputs[CHUNK_LOG][0].value for effects in self.written]
        return [msgspec.json.decode(value, type=ChunkLogged) for value in raw]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def malformed(*offsets: int) -> list[tuple[int, str]]:
    return [(offset, "malformed") for offset in offsets]


async def test_a_chunk_that_goes_well_is_one_transaction(worker: Worker) -> None:
    assert await worker.fold([record(n) for n in range(50)])
    assert worker.letters() == malformed(*range(50))
    assert len(worker.written) == 1


async def test_a_transaction_that_outlives_its_time_is_taken_back_and_made_smaller(
    worker: Worker,
) -> None:
    worker.largest = 5_000
    assert await worker.fold([record(n) for n in range(300)])
    assert worker.letters() == malformed(*range(300))
    assert worker.taken_back > 0
    assert all(effects.size <= worker.largest for effects in worker.written)


async def test_who_is_no_member_any_more_does_not_fence_the_new_owner(worker: Worker) -> None:
    worker.is_member = False
    worker.refuses = [Fenced("another has it")]
    with pytest.raises(Fenced):
        await worker.fold([record(0)])
    assert worker.taken_back == 0


async def test_a_partition_that_moves_is_not_taken_back(worker: Worker) -> None:
    async def revoked() -> bool:
        worker.current = False
        return True

    worker.ask_group = revoked  # type: ignore[method-assign]
    worker.folding._is_member = revoked
    worker.refuses = [Fenced("another has it")]
    assert not await worker.fold([record(0)])
    assert worker.written == []


async def test_it_is_not_taken_back_for_ever(worker: Worker) -> None:
    worker.refuses = [Fenced("again") for _ in range(100)]
    with pytest.raises(Fenced):
        await worker.fold([record(0)])
    assert worker.taken_back == folding.MAX_TAKEN_BACK


async def test_a_record_that_no_topic_takes_is_isolated(worker: Worker) -> None:
    written = worker.write

    async def write(effects: Effects) -> int:
        if any(reason == (70, "malformed") for reason in _letters(effects)):
            raise MessageSizeTooLargeError
        return await written(effects)

    worker.write = write  # type: ignore[method-assign]
    assert await worker.fold([record(n) for n in range(100)])
    expected = malformed(*range(100))
    expected[70] = (70, "poison")
    assert worker.letters() == expected
    assert worker.taken_back > 0  # which aborts what was written of the transaction
    poisoned = [(p.offset, p.error) for chunk in worker.chunks() for p in chunk.poisoned]
    assert poisoned == [(70, "MessageSizeTooLargeError")]


def _letters(effects: Effects) -> list[tuple[int, str]]:
    letters = [json.loads(output.value) for output in effects.outputs.get(DEAD_LETTERS, ())]
    return [(letter["offset"], letter["reason"]) for letter in letters]


async def test_a_record_that_cannot_be_folded_is_isolated(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fold(place: Any, parts: Any, *rest: Any, poisoned: Any, keys: Any) -> Effects:
        for topic, records in parts:
            for each in records:
                if each.offset == 33 and (topic, 33) not in poisoned:
                    raise ZeroDivisionError
        return fold_chunk(place, parts, *rest, poisoned=poisoned, keys=keys)

    monkeypatch.setattr(folding, "fold_chunk", fold)
    assert await worker.fold([record(n) for n in range(100)])
    expected = malformed(*range(100))
    expected[33] = (33, "poison")
    assert worker.letters() == expected
    assert worker.taken_back == 0  # no transaction was begun


async def test_what_holds_a_fold_is_dropped_once_it_is_logged(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fold(*arguments: Any, **options: Any) -> Effects:
        effects = fold_chunk(*arguments, **options)
        effects.faults.append(ZeroDivisionError("no rule"))
        return effects

    monkeypatch.setattr(folding, "fold_chunk", fold)
    assert await worker.fold([record(0)])
    assert "ZeroDivisionError: no rule" in caplog.text
    assert [effects.faults for effects in worker.written] == [[]]


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), OSError(), TimeoutError()])
async def test_a_failing_broker_stops_the_worker_and_makes_nothing_poison(
    worker: Worker, error: Exception
) -> None:
    worker.refuses = [error]
    with pytest.raises(type(error)):
        await worker.fold([record(0)])
    assert worker.written == []
    assert worker.taken_back == 0


async def test_a_failing_disk_stops_the_worker_and_makes_nothing_poison(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Any:
        raise Exception("IO error: no space left")  # noqa: TRY002  # as rocksdict does

    monkeypatch.setattr(worker.store[0], "load", broken)
    with pytest.raises(StoreError, match="no space left"):
        await worker.fold([record(0)])


async def test_what_a_chunk_that_leads_to_too_much_costs_grows_with_its_records(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its pieces was prepared as all the rest of it: quadratic."""
    monkeypatch.setattr(fold_module, "MAX_OUTPUT_BYTES", 5_000)
    monkeypatch.setattr(folding, "MAX_OUTPUT_BYTES", 5_000)
    prepared = 0

    def fold(place: Any, parts: Any, *rest: Any, poisoned: Any, keys: Any) -> Effects:
        nonlocal prepared
        prepared += sum(len(part.records) for part in parts)
        return fold_chunk(place, parts, *rest, poisoned=poisoned, keys=keys)

    monkeypatch.setattr(folding, "fold_chunk", fold)
    assert await worker.fold([record(n) for n in range(1_000)])
    assert worker.letters() == malformed(*range(1_000))
    assert len(worker.written) > 40
    assert prepared < 3_000


async def test_what_was_taken_over_anew_meanwhile_is_left_to_recovery(worker: Worker) -> None:
    written = worker.write

    async def write(effects: Effects) -> int:
        worker.open[0] = object()
        return await written(effects)

    worker.write = write  # type: ignore[method-assign]
    assert not await worker.fold([record(0)])
    assert worker.store[0].position().offsets == {}


async def test_a_partition_that_moves_while_its_turn_is_waited_for_is_not_folded(
    worker: Worker,
) -> None:
    class Slow(OpenTransactions):
        @asynccontextmanager
        async def turn(self) -> AsyncIterator[None]:
            worker.current = False
            worker.open.clear()
            worker.store.close_all_but(())
            yield

    worker.folding._open = Slow()
    assert not await worker.fold([record(0)])
    assert worker.written == []


async def test_what_is_being_written_counts_as_open(worker: Worker) -> None:
    under_way: list[int] = []

    class Counted(OpenTransactions):
        @asynccontextmanager
        async def writing(self, size: int) -> AsyncIterator[None]:
            under_way.append(size)
            async with super().writing(size):
                yield
            under_way.remove(size)

    written = worker.write

    async def write(effects: Effects) -> int:
        assert under_way == [effects.size]
        return await written(effects)

    worker.write = write  # type: ignore[method-assign]
    worker.folding._open = Counted()
    assert await worker.fold([record(0)])
    assert len(worker.written) == 1
    assert under_way == []


async def test_a_revocation_between_pieces_ends_the_chunk(worker: Worker) -> None:
    worker.largest = 5_000
    written = worker.write

    async def write(effects: Effects) -> int:
        end = await written(effects)
        worker.current = False
        return end

    worker.write = write  # type: ignore[method-assign]
    assert not await worker.fold([record(n) for n in range(300)])
    assert len(worker.written) == 1
