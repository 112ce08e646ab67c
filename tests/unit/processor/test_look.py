"""One look at a worker: every part that has ended is seen, and the group is told that it lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from processor.context import Outstanding
from processor.membership import look


class Watched:
    """An application whose parts all work, until a test lets one of them not."""

    def __init__(self, running: "asyncio.Task[None]") -> None:
        self.told: list[str] = []
        self.coordinator = SimpleNamespace(
            _pending_exception=None,
            _coordination_task=running,
            _reset_committed_task=None,
            _heartbeat_task=running,
            _commit_refresh_task=None,
            generation=1,
        )
        self.kafka = SimpleNamespace(
            _coordinator=self.coordinator,
            _fetcher=SimpleNamespace(_fetch_task=running),
            _client=SimpleNamespace(_sync_task=running),
        )
        self.thread = SimpleNamespace(
            _consumer=self.kafka,
            _thread=SimpleNamespace(is_alive=lambda: True),
            thread_loop=SimpleNamespace(call_soon_threadsafe=lambda tell: tell()),
            tell_alive=lambda: self.told.append("alive"),
            turns=0,
            heartbeats=0,
        )
        works = SimpleNamespace(fault=lambda: None)
        self.context = SimpleNamespace(
            ends=works, log_ends=works, definitions=works, ticker=works, outstanding=Outstanding()
        )
        self.app: Any = SimpleNamespace(
            _crashed=asyncio.Event(),
            _children=[],
            label="App",
            crash_reason=None,
            _consumer=SimpleNamespace(_thread=self.thread, flow_active=True, polls=0),
            in_recovery=False,
            consumer_generation_id=1,
            context=self.context,
        )

    def fails(self, what: str, failed: "asyncio.Task[None]") -> None:
        """Let one part end or stop."""
        match what:
            case "App":
                self.app._crashed.set()
            case "thread":
                self.thread._thread = SimpleNamespace(is_alive=lambda: False)
            case "coordination met":
                self.coordinator._pending_exception = KafkaError("something new")
            case "coordination":
                self.coordinator._coordination_task = failed
            case "heartbeat":
                self.coordinator._heartbeat_task = failed
            case "fetcher":
                self.kafka._fetcher._fetch_task = failed
            case "metadata":
                self.kafka._client._sync_task = failed
            case "definitions":
                self.context.definitions = SimpleNamespace(fault=lambda: "the fetcher has ended")


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[Watched, "asyncio.Task[None]"]]:
    """Yield an application that works, and a task that failed."""

    async def fail() -> None:
        raise KafkaError("something new")

    running = asyncio.create_task(asyncio.sleep(600))
    failed = asyncio.create_task(fail())
    await asyncio.wait([failed])
    try:
        yield Watched(running), failed
    finally:
        running.cancel()
        failed.exception()


async def test_each_look_tells_the_group_that_the_worker_lives() -> None:
    async with watched() as (made, _):
        for _look in range(2):
            assert look(made.app).fault is None
        assert made.told == ["alive", "alive"]
        made.app._consumer.flow_active = False  # as without partitions, and in recovery
        assert look(made.app).fault is None
        assert len(made.told) == 3


async def test_a_group_that_takes_no_heartbeat_shows_in_the_signs_of_life() -> None:
    async with watched() as (made, _):
        before = look(made.app).life or {}
        made.thread.heartbeats += 1
        after = look(made.app).life or {}
    assert before["the membership in the group"] != after["the membership in the group"]


@pytest.mark.parametrize(
    "what",
    [
        "App", "thread", "coordination met", "coordination", "heartbeat", "fetcher", "metadata",
        "definitions",
    ],
)  # fmt: skip
async def test_whatever_ends_is_seen_at_the_next_look(what: str) -> None:
    async with watched() as (made, failed):
        assert look(made.app).fault is None
        made.fails(what, failed)
        assert what in (look(made.app).fault or "")
