"""The ticker by itself: on whose partitions, how soon, and what it does without a broker."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from processor import metrics
from processor.ticker import Ticker
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import TICKS
from tests.integration.processor.driving import definitions, drain, log, produce, wait_until

SELDOM = 3600
"""Seconds between ticks that nothing asks for: more than a test takes, however busy the machine is.
"""


@contextlib.asynccontextmanager
async def running(ticker: Ticker) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(ticker.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def published(settings: Settings, expected: Counter[int]) -> None:
    """Wait until there are ``expected`` ticks by partition, and not more a while later."""

    def now() -> Counter[int]:
        return Counter(record.partition for record in drain(settings, TICKS))

    await asyncio.to_thread(wait_until, lambda: now() >= expected, 120, lambda: str(now()))
    await asyncio.sleep(1)
    assert await asyncio.to_thread(now) == expected


def never(_partition: int, _tick: int) -> bool:
    """Nothing is due."""
    return False


def test_a_ticker_ticks_at_once_where_something_is_due(settings: Settings) -> None:
    settings = settings.model_copy(update={"tick_seconds": SELDOM})
    folded = {-1}

    def is_due(partition: int, tick: int) -> bool:
        return partition == 1 and tick in folded  # the first one does it, the second waits

    async def run() -> None:
        async with (
            EndOffsets(settings, "read_uncommitted") as ends,
            running(Ticker(settings, ends, lambda: {0, 1}, is_due)),
        ):
            await published(settings, Counter({0: 1, 1: 1}))
            folded.add(0)
            await published(settings, Counter({0: 1, 1: 2}))

    asyncio.run(run())


def test_a_ticker_ticks_where_its_worker_is_and_sooner_when_asked(settings: Settings) -> None:
    settings = settings.model_copy(update={"tick_seconds": SELDOM})
    owned = {0, 2}
    produce(settings, [*definitions(), log("joe", "order-1", "1", settings=settings)])

    async def run() -> None:
        async with EndOffsets(settings, "read_uncommitted") as ends:
            ticker = Ticker(settings, ends, lambda: owned, never)
            async with running(ticker):
                await published(settings, Counter({0: 1, 2: 1}))
                ticker.soon([2, 3])  # 3 is another worker's
                await published(settings, Counter({0: 1, 2: 2}))
                owned.add(3)
                ticker.soon([3])
                await published(settings, Counter({0: 1, 2: 2, 3: 1}))

    asyncio.run(run())
    [record] = drain(settings, "challenge-logs")
    for tick in drain(settings, TICKS):
        end = json.loads(tick.value)["ends"]["challenge-logs"]
        assert end == (1 if tick.partition == record.partition else 0)


def test_a_ticker_goes_on_trying_where_no_broker_answers(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        away = settings.model_copy(update={"kafka": f"127.0.0.1:{port}"})

        async def run() -> None:
            async with (
                EndOffsets(settings, "read_uncommitted") as ends,
                running(Ticker(away, ends, lambda: {0}, never)) as task,
            ):
                again = "cannot connect to write ticks, trying again"
                await asyncio.to_thread(
                    wait_until, lambda: caplog.text.count(again) >= 2, 120, lambda: caplog.text
                )
                assert not task.done()

        asyncio.run(run())


def test_a_tick_that_is_not_taken_is_counted_and_tried_again(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker refuses a batch that is larger than the topic takes."""
    settings = settings.model_copy(update={"tick_seconds": 1})
    failed = metrics.TICKS_FAILED._value.get()

    async def run() -> None:
        async with EndOffsets(settings, "read_uncommitted") as ends:
            await _set_limit(settings, "10")
            async with running(Ticker(settings, ends, lambda: {1}, never)) as task:
                refused = "no tick on partitions [1], trying again"
                await asyncio.to_thread(
                    wait_until, lambda: refused in caplog.text, 120, lambda: caplog.text
                )
                before = await asyncio.to_thread(drain, settings, TICKS)
                await _set_limit(settings, "100000")
                await asyncio.to_thread(
                    wait_until,
                    lambda: len(drain(settings, TICKS)) > len(before),
                    120,
                    lambda: caplog.text,
                )
                assert not task.done()

    asyncio.run(run())
    assert metrics.TICKS_FAILED._value.get() > failed


async def _set_limit(settings: Settings, size: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        topic = settings.topic(TICKS)
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": size})]
        )
    finally:
        await admin.close()
