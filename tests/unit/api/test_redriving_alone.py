"""One redrive at a time in a process: who waits too long is told so."""

import asyncio

import pytest

from api.faces.dashboard.dead_letters import alone
from api.http.problems import Problem


async def test_who_comes_while_another_redrive_runs_is_told_so_and_holds_nothing() -> None:
    lock = asyncio.Lock()
    async with alone(lock, 0):
        with pytest.raises(Problem) as refused:
            async with alone(lock, 0):
                pytest.fail("two at once")
        assert (refused.value.status, refused.value.code) == (409, "redrive_running")
        assert lock.locked()
    async with alone(lock, 0):
        pass
    assert not lock.locked()


async def test_what_times_out_inside_is_not_taken_for_the_wait() -> None:
    lock = asyncio.Lock()
    with pytest.raises(TimeoutError):
        async with alone(lock, 0):
            raise TimeoutError
    assert not lock.locked()
