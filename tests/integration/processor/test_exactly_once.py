"""Exactly once, whatever happens to the workers: kills, wiped state, joins, freezes."""

import asyncio
import random

from aiokafka import TopicPartition

from deploy.clients import admin_client
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.integration.processor.driving import (
    History,
    Worker,
    definitions,
    fold_under_kills,
    log_ends,
    produce,
    wait_folded,
    wait_until,
)

PATIENT = """
import processor.app, processor.chunk_transport
processor.app.SESSION_SECONDS = 30
processor.chunk_transport.TELL_SECONDS = 30
"""
"""The group keeps a worker that a test freezes, and takes its offsets, however long a busy machine
takes meanwhile."""


def test_killed_five_times_a_worker_folds_everything_once(settings: Settings) -> None:
    history = History(members=2000, seed=1)
    produce(settings, definitions())
    batches = [history.records(6_000, settings) for _ in range(10)]
    worker = Worker(settings, "w")
    fold_under_kills(worker, batches, history.sent, rng=random.Random(7), lives=5, longest=1.5)
    history.check(settings)


def test_workers_share_partitions_and_take_over_from_a_killed_one(settings: Settings) -> None:
    history = History(members=500, seed=2)
    produce(settings, definitions())
    with Worker(settings, "a") as first:
        first.ready()
        produce(settings, history.records(3_000, settings))
        with Worker(settings, "b") as second:
            second.ready()
            first.ready(times=2)  # it lost partitions to the second, and goes on with the rest
            produce(settings, history.records(3_000, settings))
            wait_folded(settings, history.sent, 180, first, second)
            second.kill()
        produce(settings, history.records(3_000, settings))
        wait_folded(settings, history.sent, 180, first)
    history.check(settings)


def test_a_frozen_worker_is_fenced_and_comes_back(settings: Settings) -> None:
    history = History(members=500, seed=3)
    produce(settings, definitions())
    with Worker(settings, "a") as frozen, Worker(settings, "b") as other:
        frozen.ready()
        other.ready()
        produce(settings, history.records(3_000, settings))
        frozen.freeze()
        produce(settings, history.records(3_000, settings))
        wait_folded(settings, history.sent, 180, other)  # after its session and its transaction
        frozen.thaw()
        produce(settings, history.records(3_000, settings))
        wait_folded(settings, history.sent, 180, frozen, other)
        wait_until(
            lambda: frozen.process.poll() is None,
            5,
            lambda: f"the frozen worker died:\n{frozen.text()[-3000:]}",
        )
    history.check(settings)


def test_a_worker_that_leaves_cleanly_costs_seconds_not_data(settings: Settings) -> None:
    history = History(members=500, seed=4)
    produce(settings, definitions())
    with Worker(settings, "a") as leaving, Worker(settings, "b") as staying:
        leaving.ready()
        staying.ready()
        produce(settings, history.records(2_000, settings))
        leaving.process.terminate()
        assert leaving.process.wait(60) == 0, leaving.text()[-3000:]
        produce(settings, history.records(2_000, settings))
        wait_folded(settings, history.sent, 180, staying)
    history.check(settings)


def test_the_group_s_offsets_follow_for_lag_tools(settings: Settings) -> None:
    history = History(members=50, seed=14)
    produce(settings, definitions())
    with Worker(settings, "w", PATIENT) as worker:
        for _ in range(2):
            produce(settings, history.records(200, settings))
            wait_folded(settings, history.sent, 180, worker)
            wait_until(lambda: lag(settings) == 0, 180, lambda: worker.text()[-3000:])
        worker.freeze()
        produce(settings, history.records(200, settings))
        assert lag(settings) == 200
        worker.thaw()
        wait_folded(settings, history.sent, 180, worker)
        worker.process.terminate()
        assert worker.process.wait(60) == 0, worker.text()[-3000:]
        assert lag(settings) == 0, "it says where it stopped"
    assert "offsets are not committed" not in worker.text()


def lag(settings: Settings) -> int:
    """Return how many challenge logs the group has not committed."""

    async def ask() -> int:
        group = settings.topic(settings.application_id)
        places = [
            TopicPartition(settings.topic(CHALLENGE_LOGS), p) for p in range(settings.partitions)
        ]
        async with admin_client(settings) as admin:
            told = await admin.list_consumer_group_offsets(group, partitions=places)
        ends = await log_ends(settings, places)
        return sum(end - max(told[place].offset, 0) for place, end in ends.items())

    return asyncio.run(ask())


def test_two_workers_with_one_environment_share_the_work(settings: Settings) -> None:
    """Same data dir, no instance given: each takes a place of its own there."""
    history = History(members=500, seed=5)
    produce(settings, definitions())
    with Worker(settings, None) as first, Worker(settings, None) as second:
        wait_until(
            lambda: first.text().count("Worker ready") >= 2, 180, lambda: first.text()[-3000:]
        )
        produce(settings, history.records(3_000, settings))
        wait_folded(settings, history.sent, 180, first, second)
        assert first.process.poll() is None
        assert second.process.poll() is None
    assert (settings.data_dir / "worker-1").is_dir()
    assert (settings.data_dir / "worker-2").is_dir()
    history.check(settings)
