"""A recovery that a rebalance came upon ends quietly; any other failure stops the worker."""

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
