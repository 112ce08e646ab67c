"""A shared call: one question for many, and never an answer that is older than the question."""

import asyncio

import pytest

from api.kafka.single_flight import SingleFlight


class Counter:
    """Counts its calls; each takes until it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        return number


async def test_those_who_come_together_share_and_those_who_come_late_do_not() -> None:
    counter = Counter()
    shared = SingleFlight(counter)
    early = [asyncio.create_task(shared()) for _ in range(5)]
    await asyncio.sleep(0.01)
    late = [asyncio.create_task(shared()) for _ in range(5)]
    await asyncio.sleep(0.01)
    counter.gate.set()
    assert await asyncio.gather(*early) == [1] * 5
    assert await asyncio.gather(*late) == [2] * 5
    assert await shared() == 3


async def test_a_failure_is_everybodys_and_the_next_call_is_fresh() -> None:
    outcomes: list[int | Exception] = [OSError("away"), 7]

    async def call() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared = SingleFlight(call)
    results = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert all(isinstance(result, OSError) for result in results)
    assert await shared() == 7


async def test_a_caller_that_gives_up_takes_nothing_from_the_others() -> None:
    counter = Counter()
    shared = SingleFlight(counter)
    impatient = asyncio.create_task(shared())
    patient = asyncio.create_task(shared())
    await asyncio.sleep(0.01)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    counter.gate.set()
    assert await patient == 1
