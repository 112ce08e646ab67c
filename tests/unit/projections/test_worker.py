"""What a projector's process runs side by side: none of it ends without a word."""

import asyncio
import contextlib

import pytest

from projections.worker import run_beside


async def _forever() -> None:
    await asyncio.Event().wait()


async def _fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("nobody expected it")


async def _return() -> None:
    await asyncio.sleep(0)


async def test_what_fails_beside_the_projector_ends_it() -> None:
    async with asyncio.timeout(60):
        with pytest.raises(ValueError, match="nobody expected it"):
            await run_beside(_forever(), _forever(), _fail())


async def test_a_projector_that_fails_is_not_kept_by_what_hangs() -> None:
    async def hang() -> None:
        while not freed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(freed.wait(), 60)

    freed = asyncio.Event()
    async with asyncio.timeout(60):
        with pytest.raises(ValueError, match="nobody expected it"):
            await run_beside(_fail(), hang())
    freed.set()


async def test_a_projector_that_was_told_to_stop_ends_what_is_beside_it() -> None:
    cancelled = []

    async def beside() -> None:
        try:
            await _forever()
        finally:
            cancelled.append(True)

    async with asyncio.timeout(60):
        await run_beside(_return(), beside())
    assert cancelled == [True]


async def test_what_is_done_beside_the_projector_ends_nothing() -> None:
    going_on = []

    async def main() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        going_on.append(True)

    async with asyncio.timeout(60):
        await run_beside(main(), _return())
    assert going_on == [True]
