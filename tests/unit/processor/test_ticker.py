"""How soon a tick follows the one before it: in virtual time, for a machine may be slow."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from processor import ticker
from processor.ticker import LOOK_SECONDS, RETRY_SECONDS, Ticker
from schemas.settings import Settings
from tests.simulation.clock import VirtualLoop

PARTITIONS = {0, 1, 2, 3}
SECONDS = 5
MINUTE = 60.0


class Broker:
    """Takes each tick after so many seconds, and refuses the first ones of a partition."""

    def __init__(self, seconds: float, refused: Mapping[int, int]) -> None:
        self._seconds = seconds
        self._refused = dict(refused)
        self.taken: dict[int, list[float]] = defaultdict(list)
        """When, by partition."""

    async def start(self) -> None:
        """Nothing: it is there."""

    async def stop(self) -> None:
        """Nothing."""

    async def send_and_wait(self, _topic: str, _value: bytes, *, partition: int) -> Any:
        """Take a tick."""
        await asyncio.sleep(self._seconds)
        if self._refused.get(partition, 0):
            self._refused[partition] -= 1
            raise KafkaConnectionError
        self.taken[partition].append(asyncio.get_running_loop().time())
        return SimpleNamespace(offset=len(self.taken[partition]) - 1)

    async def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where partitions end."""
        return dict.fromkeys(partitions, 7)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    """A loop in which a minute passes at once."""
    loop = VirtualLoop()
    yield loop
    loop.end()


def gaps_of_a_minute(
    loop: VirtualLoop, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> Mapping[int, list[float]]:
    """Tick for a minute; return how long each partition was without a tick, from the begin on."""
    monkeypatch.setattr(ticker, "AIOKafkaProducer", lambda **_: broker)
    ends: Any = broker
    ticking = Ticker(
        Settings.of({"tick_seconds": SECONDS}),
        ends,
        lambda: PARTITIONS,
        lambda _partition, _tick: False,
    )

    async def run() -> None:
        running = asyncio.create_task(ticking.run())
        await asyncio.sleep(MINUTE)
        assert not running.done()
        running.cancel()

    loop.run_until_complete(run())
    return {
        partition: [later - earlier for earlier, later in pairwise([0.0, *times, MINUTE])]
        for partition, times in broker.taken.items()
    }


@pytest.mark.parametrize("seconds", [0.0, 0.9], ids=("a fast broker", "a slow broker"))
def test_no_partition_is_without_a_tick_for_longer_than_the_setting_says(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    gaps = gaps_of_a_minute(loop, Broker(seconds, {}), monkeypatch)
    assert gaps.keys() == PARTITIONS
    assert max(max(each) for each in gaps.values()) <= SECONDS
    assert min(map(len, gaps.values())) > MINUTE / SECONDS
    assert max(map(len, gaps.values())) < 2 * MINUTE / SECONDS, "they come too often"


def test_a_tick_that_was_not_taken_is_tried_again_soon(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaps = gaps_of_a_minute(loop, Broker(0.0, {2: 3}), monkeypatch)
    assert 3 * RETRY_SECONDS <= gaps[2][0] <= 3 * (RETRY_SECONDS + LOOK_SECONDS)
    assert gaps[1][0] < RETRY_SECONDS
    assert max(gaps[2]) <= SECONDS
