"""Turns of redrives: one at a time, no project twice before another, and none waits for ever."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from api.auth.quotas import Quotas, bucket_of
from api.dead_letters.redriving import Bounds, RedriveOutcome
from api.dead_letters.turns import NotNow, Turns
from api.faces.dashboard import dead_letters
from api.http.problems import Problem


async def test_who_waits_too_long_is_told_so_and_holds_nothing() -> None:
    turns = Turns(None)
    async with turns.turn("acme", 0):
        for project in ("acme", "other"):
            with pytest.raises(NotNow):
                async with turns.turn(project, 0.01):
                    pytest.fail("two at once")
    async with turns.turn("acme", 0.01):
        pass


async def test_what_times_out_inside_is_not_taken_for_the_wait() -> None:
    turns = Turns(None)
    with pytest.raises(TimeoutError):
        async with turns.turn("acme", 5):
            raise TimeoutError
    async with turns.turn("acme", 0.01):
        await asyncio.sleep(0.02)  # a turn may take longer than it was waited for


async def test_a_project_that_calls_without_end_lets_the_others_through() -> None:
    turns = Turns(None)
    order: list[str] = []

    async def redrive(project: str) -> None:
        async with turns.turn(project, 60):
            order.append(project)
            await asyncio.sleep(0)

    greedy = [asyncio.create_task(redrive("greedy")) for _ in range(50)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(redrive(name)) for name in ("acme", "other")]
    await asyncio.gather(*greedy, *others)
    assert len(order) == 52
    assert max(order.index("acme"), order.index("other")) <= 4


class Redrives:
    """Stands for the broker: has as many letters as may be sent."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    async def redrive(self, *given: Any) -> RedriveOutcome:
        bounds: Bounds = given[-1]
        self.sent.append(bounds.letters)
        return RedriveOutcome(sent={("challenge-logs", "invalid"): bounds.letters}, more=True)


async def test_calls_of_a_project_send_so_many_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    redrives = Redrives()
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("api.faces.dashboard.dead_letters.time", clock)
    monkeypatch.setattr("api.dead_letters.redriving.redrive", redrives.redrive)
    held: Any = SimpleNamespace(settings=None, records=None, quotas=Quotas())

    async def call(project: str) -> None:
        await dead_letters._redriven(held, project, None, None)

    await call("acme")
    await call("acme")
    with pytest.raises(Problem) as refused:
        await call("acme")
    assert (refused.value.status, refused.value.code) == (429, "too_many_redriven")
    await call("other")
    now += int((refused.value.headers or {})["retry-after"])
    await call("acme")
    now += 0.5
    with pytest.raises(Problem):
        await dead_letters._redriven(held, "acme", None, [(0, n) for n in range(1000)])
    await call("acme")
    assert redrives.sent == [1000, 1000, 1000, 1000, 250]


def test_what_a_redrive_sent_is_taken_from_a_budget_of_its_project() -> None:
    quotas = Quotas()
    acme, other = bucket_of("redrive", "acme"), bucket_of("redrive", "other")
    assert quotas.left(acme, 500, 2000, 10.0) == 2000
    quotas.spend(acme, 2500)
    assert quotas.left(acme, 500, 2000, 10.0) == -500
    assert quotas.left(acme, 500, 2000, 12.0) == 500
    assert quotas.left(other, 500, 2000, 12.0) == 2000
    assert [spent.requests for spent in quotas.busy()] == [2500]
