"""Few transactions are open at a time, and none of them is folded for while it is old."""

import asyncio

import pytest

from processor import open_transactions
from processor.open_transactions import MAX_OPEN, OpenTransactions


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Writer:
    """A piece that is folded at once, and written when it is told."""

    def __init__(self, shared: OpenTransactions, size: int) -> None:
        self.folded = self.open = False
        self.committed = asyncio.Event()
        self._shared = shared
        self._size = size
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._shared.turn():
            self.folded = True
            async with self._shared.writing(self._size):
                self.open = True
                await self.committed.wait()

    async def end(self) -> None:
        self.committed.set()
        await self.task
        await settle()


async def _started(shared: OpenTransactions, *sizes: int) -> list[Writer]:
    writers = [Writer(shared, size) for size in sizes]
    await settle()
    return writers


async def test_no_more_than_a_few_are_open() -> None:
    writers = await _started(OpenTransactions(), *[1] * (MAX_OPEN + 2))
    assert [w.folded for w in writers] == [True] * MAX_OPEN + [False] * 2
    await writers[1].end()
    assert [w.folded for w in writers] == [True] * (MAX_OPEN + 1) + [False]
    for writer in writers:
        await writer.end()


async def test_what_they_carry_is_bounded_but_for_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_transactions, "MAX_BYTES", 10)
    writers = await _started(OpenTransactions(), 99, 6, 6)
    assert [w.open for w in writers] == [True, False, False]
    await writers[0].end()
    assert [w.open for w in writers] == [True, True, False]
    await writers[1].end()
    assert writers[2].open
    await writers[2].end()


async def test_nothing_is_folded_while_a_transaction_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(open_transactions, "_now", lambda: now)
    shared = OpenTransactions()
    (old,) = await _started(shared, 1)
    now = open_transactions.LONG_SECONDS - 0.1
    (young,) = await _started(shared, 1)
    assert young.folded
    now = open_transactions.LONG_SECONDS
    (waiting,) = await _started(shared, 1)
    assert [w.folded for w in (waiting,)] == [False]
    await old.end()
    assert waiting.folded
    await young.end()
    await waiting.end()


async def test_one_that_fails_or_is_cancelled_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_transactions, "MAX_BYTES", 10)
    shared = OpenTransactions()
    first, second = await _started(shared, 10, 10)
    first.task.cancel()
    await settle()
    assert second.open
    second.task.cancel()
    await asyncio.gather(first.task, second.task, return_exceptions=True)
    (third,) = await _started(shared, 10)
    assert third.open
    await third.end()
