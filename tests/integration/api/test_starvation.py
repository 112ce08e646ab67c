"""A project whose reads are slow, and clients that hang up: what others see of it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg.pq import PipelineStatus

from api.queries.operations import pipelined, snapshot
from api.resources import READS, connection_pool
from tests.integration.api.serving import PATIENCE_SECONDS, Served

MEMBERS = "/schema/member/record?limit=1"
CHALLENGES = "/schema/challenge/record?limit=1"

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'milestream-api' AND datname = current_database()
    AND wait_event_type = 'Lock'
"""


@pytest.fixture
def slow(api_without_worker: Served) -> Iterator[Served]:
    """An API for which everything that looks at members takes for ever."""
    with psycopg.connect(api_without_worker.settings.database_url) as holder:
        holder.execute("LOCK TABLE milestream.members IN ACCESS EXCLUSIVE MODE")
        yield api_without_worker


async def waiting_become(api: Served, count: int) -> None:
    """Return when so many queries wait for members."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with await psycopg.AsyncConnection.connect(
        api.settings.database_url, autocommit=True
    ) as connection:
        while True:
            cursor = await connection.execute(_WAITING)
            found = await cursor.fetchall()
            if found == [(count,)]:
                return
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)


async def test_slow_reads_of_one_project_leave_connections_to_others_and_end_with_their_clients(
    slow: Served,
) -> None:
    loud = await slow.client(project="loud")
    reads = [asyncio.create_task(loud.get(MEMBERS)) for _ in range(24)]
    await waiting_become(slow, READS // 2)
    async with await slow.client(project="quiet") as quiet:
        for _ in range(20):
            assert (await quiet.get(CHALLENGES)).status_code == 200
    for read in reads:
        read.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*reads, return_exceptions=True)
    await loud.aclose()
    await waiting_become(slow, 0)  # though what they waited for is still locked


async def test_a_project_that_has_its_share_is_told_to_come_back(slow: Served) -> None:
    async with await slow.client(project="loud") as loud:
        reads = [asyncio.create_task(loud.get(MEMBERS)) for _ in range(READS)]
        done, _ = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        answer = done.pop().result()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    await waiting_become(slow, 0)


async def test_an_end_user_has_less_time(slow: Served) -> None:
    async with await slow.end_user("ann") as ann:
        answer: httpx.Response = await ann.get("/user/ann/points")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "too long" in answer.json()["message"]
    await waiting_become(slow, 0)


async def test_a_read_that_is_given_up_at_any_step_leaves_nothing_to_the_next(
    api_without_worker: Served,
) -> None:
    async with connection_pool(api_without_worker.settings) as pool:

        async def read() -> None:
            async with (
                pool.connection() as connection,
                pipelined(connection),
                connection.transaction(),
            ):
                cursor = await connection.execute("SELECT 1")
                await cursor.fetchall()

        for steps in range(40):  # of the event loop, more than it takes
            task = asyncio.create_task(read())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with pool.connection() as connection, snapshot(connection):
                cursor = await connection.execute("SELECT %s::int", (steps,))
                assert await cursor.fetchall() == [(steps,)]
                assert connection.pgconn.pipeline_status == PipelineStatus.OFF, steps
