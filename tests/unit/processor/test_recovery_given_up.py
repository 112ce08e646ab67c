"""A recovery that a rebalance came upon ends quietly; any other failure stops the worker."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import RebalanceAgain

from processor import recovery
from processor.recovery import FencedRecovery
from processor.transactions import Fenced


class Begun:
    """A recovery that was begun, of no partitions, without an application."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []
        made: Any = FencedRecovery.__new__(FencedRecovery)
        self.recovery = made
        self.recovery.app = SimpleNamespace(context=SimpleNamespace(fail=self.failed.append))
        self.recovery.active_tps = set()
        self.recovery.active_offsets = {}
        self.recovery._revocations = 0
        self.recovery._taking_over = None

    async def run(self) -> None:
        await self.recovery._build_highwaters(None, set(), {}, "active")


async def test_who_is_fenced_after_a_rebalance_waits_for_its_new_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = Begun()

    async def take_over(*_: object) -> None:
        begun.recovery._revocations += 1
        raise Fenced("by the new owner")

    monkeypatch.setattr(recovery, "take_over", take_over)
    with pytest.raises(RebalanceAgain):
        await begun.run()
    assert begun.failed == []


async def test_who_is_fenced_without_one_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun()

    async def take_over(*_: object) -> None:
        raise Fenced("by a worker outside of the group")

    monkeypatch.setattr(recovery, "take_over", take_over)
    with pytest.raises(Fenced):
        await begun.run()
    assert [str(error) for error in begun.failed] == ["by a worker outside of the group"]


async def test_one_that_is_given_up_has_ended_before_the_next_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Faust cancels it and does not wait; it could fence what the next one has taken."""
    begun, waits = Begun(), asyncio.Event()
    under_way = 0
    seen: list[int] = []

    async def take_over(*_: object) -> dict[int, int]:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        try:
            if len(seen) == 1:
                waits.set()
                await asyncio.Event().wait()
            return {}
        finally:
            for _turn in range(5):  # it closes what it had open
                await asyncio.sleep(0)
            under_way -= 1

    monkeypatch.setattr(recovery, "take_over", take_over)
    first = asyncio.create_task(begun.run())
    await waits.wait()
    first.cancel()
    await begun.run()
    assert seen == [1, 1]
