"""Chunks that nobody waits for are let grow; all others begin at once."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from processor import chunk_pace
from processor.chunk_pace import GROWN_RECORDS, ChunkPace
from processor.chunking import Chunk, Stretch
from schemas.replies import headers_for
from schemas.topics import CHALLENGE_LOGS, TICKS

WAITS_S = 60.0
"""What is to happen at all does so by then."""


def _chunk(records: int = 1, headers: Any = (), *, topic: str = CHALLENGE_LOGS) -> Chunk:
    record = SimpleNamespace(headers=headers)
    return Chunk(0, [Stretch(topic, [record] * records, 0, 0)], 1, 0)


async def _paused() -> tuple[ChunkPace, "asyncio.Task[None]"]:
    """A partition whose chunk of one record, for which nobody waits, is let grow."""
    pace = ChunkPace()
    pace.arrived(_chunk())
    await pace.pause(0)
    pace.arrived(_chunk())
    pausing = asyncio.create_task(pace.pause(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not pausing.done()
    return pace, pausing


@pytest.fixture(autouse=True)
def for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause ends by itself while a test looks at it."""
    monkeypatch.setattr(chunk_pace, "APART_SECONDS", 3600.0)


@pytest.mark.parametrize(
    "awaited",
    [
        _chunk(headers=headers_for("replies", 0, b"id")),
        _chunk(headers=[("traceparent", b"00"), *headers_for("replies", 3, b"id")]),
        _chunk(topic=TICKS),
        Chunk(0, [], 1, 0, dry_runs=[SimpleNamespace(headers=())]),
        _chunk(GROWN_RECORDS - 1),
    ],
    ids=["an answer", "a traced answer", "time", "a dry run", "enough records"],
)
async def test_what_is_waited_for_ends_the_pause(awaited: Chunk) -> None:
    pace, pausing = await _paused()
    pace.arrived(awaited)
    async with asyncio.timeout(WAITS_S):
        await pausing


async def test_what_nobody_waits_for_does_not_end_it() -> None:
    pace, pausing = await _paused()
    pace.arrived(_chunk(GROWN_RECORDS - 2, headers=[("traceparent", b"00")]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not pausing.done()
    pausing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pausing


async def test_what_was_waited_for_in_one_chunk_does_not_hurry_the_next() -> None:
    pace, pausing = await _paused()
    pace.arrived(_chunk(GROWN_RECORDS, headers=headers_for("replies", 0, b"id")))
    await pausing
    pace.arrived(_chunk())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pace.pause(0), 0.01)


async def test_partitions_pause_by_themselves() -> None:
    pace, pausing = await _paused()
    await pace.pause(1)
    assert not pausing.done()
    pausing.cancel()


async def test_a_pause_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_pace, "APART_SECONDS", 0.01)
    pace = ChunkPace()
    await pace.pause(0)
    async with asyncio.timeout(WAITS_S):
        await pace.pause(0)
