"""The store of definitions when the broker or other writers are slow."""

import asyncio
import uuid
from typing import Any

import httpx
import psycopg
import pytest

from api import resources
from api.http.problems import Problem
from api.kafka import definition_store
from api.kafka.definition_store import MAX_WRITES, parsed
from api.metrics import Metrics
from api.queries.operations import slot_of
from schemas.definitions import definition_key
from schemas.topics import DEFINITIONS
from tests.integration.api.serving import PROJECT, Served

CHALLENGE: dict[str, Any] = {"name": "Spend", "completionTargetValue": 500}


async def test_writers_that_wait_leave_connections_to_readers(api_without_worker: Served) -> None:
    assert MAX_WRITES <= resources.POOL_SIZE // 2
    id_ = str(uuid.uuid4())
    key = definition_key(PROJECT, "challenge", id_)
    lock = f"{api_without_worker.settings.topic(DEFINITIONS)}:{key}"
    async with (
        await api_without_worker.client() as admin,
        await api_without_worker.client() as reader,
    ):
        with psycopg.connect(api_without_worker.settings.database_url) as holder:
            holder.execute(
                "SELECT FROM milestream_private.locks WHERE slot = %s FOR UPDATE", (slot_of(lock),)
            )
            writes = [
                asyncio.create_task(admin.put(f"/definitions/challenge/{id_}", json=CHALLENGE))
                for _ in range(2 * resources.POOL_SIZE)
            ]
            await _wait_for_a_lock(holder)
            read = await reader.get("/schema/member/record?limit=1")
            assert read.status_code == 200
            assert not any(write.done() for write in writes), "the read came while they waited"
        answers: list[httpx.Response] = await asyncio.gather(*writes)
    assert sorted(answer.status_code for answer in answers) == [200] * (len(writes) - 1) + [201]


async def _wait_for_a_lock(holder: "psycopg.Connection[Any]") -> None:
    """Return once as many writers as may wait for one."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    async with asyncio.timeout(60):
        while holder.execute(f"{waiting} current_database()").fetchone() != (MAX_WRITES,):
            holder.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.05)


async def test_a_write_that_cannot_be_read_back_may_be_in_force(
    api_without_worker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definition_store, "TIMEOUT_SECONDS", 60.0)
    id_ = str(uuid.uuid4())
    wanted = parsed("challenge", {"id": id_, **CHALLENGE})
    async with resources.opened(api_without_worker.settings, Metrics()) as held:
        reading = held.definitions._reader._lock  # who holds it lets nobody else read
        tasks = []

        with monkeypatch.context() as short:

            def judge(_before: object) -> Any:
                tasks.append(asyncio.create_task(reading.acquire()))
                # From now on, and for no other step: a busy machine needs longer for each.
                short.setattr(definition_store, "TIMEOUT_SECONDS", 1.0)
                return wanted

            with pytest.raises(Problem) as raised:
                await held.definitions.write(PROJECT, "challenge", id_, judge)
        assert raised.value.status == 503
        assert "may be in force" in raised.value.detail
        await asyncio.gather(*tasks)
        reading.release()
        current = held.definitions.current
        async with asyncio.timeout(60):  # the broker may take it late, too
            while (await current()).get(PROJECT, "challenge", id_) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
