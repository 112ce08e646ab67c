"""A worker keeps its place in its group while it lives, and ends where the protocol fails it."""

import asyncio

import pytest
from aiokafka import TopicPartition

from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.integration.processor.driving import (
    History,
    Worker,
    definitions,
    log_ends,
    produce,
    wait_folded,
    wait_until,
)
from tests.stack import FreshSettings

SHORT_INTERVAL = """
import processor.app, processor.membership
processor.app.POLL_INTERVAL_SECONDS = 8
processor.membership.LOOK_SECONDS = 0.2
"""
"""What fetches nothing leaves the group after 8 s, unless somebody says that it lives. A busy
machine may stand still for seconds, and nobody says so meanwhile."""

LONG_SESSION = """
processor.app.SESSION_SECONDS = 30
"""
"""Behind the one above: for the same reason."""

SLOW_RESTORE = """
import asyncio, processor.recovery as recovery
restore = recovery.restore
async def slow(*arguments):
    await asyncio.sleep(12)
    return await restore(*arguments)
recovery.restore = slow
"""

FAILING_HEARTBEAT = """
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
async def fail(self):
    raise KafkaError("something new")
GroupCoordinator._do_heartbeat = fail
"""

FAILING_JOIN = """
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.errors import KafkaError
async def fail(self):
    raise KafkaError("something new")
CoordinatorGroupRebalance.perform_group_join = fail
"""

BROKEN_COORDINATION = """
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
async def fail(self):
    raise ValueError("something new")
CoordinatorGroupRebalance.perform_group_join = fail
"""

NO_HEARTBEAT_TAKEN = """
import asyncio, processor.membership
from aiokafka.consumer.group_coordinator import GroupCoordinator
processor.membership.STILL_LOOKS = 5
async def in_vain(self):
    await asyncio.sleep(1)
    return False
GroupCoordinator._do_heartbeat = in_vain
"""

FAILING_FETCHER = """
import threading
from aiokafka.consumer.fetcher import Fetcher
plan = Fetcher._get_actions_per_node
def fail(self, assignment):
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("something new")
    return plan(self, assignment)
Fetcher._get_actions_per_node = fail
"""
"""The group's consumer alone has a thread of its own."""

BLIND = """
from aiokafka.client import AIOKafkaClient
update, answers = AIOKafkaClient._metadata_update, iter([False] * 8)
async def blind(self, cluster, topics):
    if len(topics) > 1 and not next(answers, True):
        cluster.failed_update(None)
        return False
    return await update(self, cluster, topics)
AIOKafkaClient._metadata_update = blind
"""
"""Who joins a group is not told of its topics at first, as if the network was cut since it came."""


@pytest.fixture
def one_partition(fresh_settings: FreshSettings) -> Settings:
    settings = fresh_settings(partitions=1, tick_seconds=1)
    create_topics(settings)
    return settings


def ticks(settings: Settings) -> int:
    place = TopicPartition(settings.topic("ticks"), 0)
    return asyncio.run(log_ends(settings, [place]))[place]


def wait_for_ticks(settings: Settings, worker: Worker, more: int) -> None:
    """Wait until so many more ticks were written, one a second."""
    wanted = ticks(settings) + more
    wait_until(lambda: ticks(settings) >= wanted, 180, worker.text, watch=worker.process)


def test_a_worker_without_partitions_stays_and_takes_over(one_partition: Settings) -> None:
    settings = one_partition
    history = History(members=20, seed=31)
    produce(settings, definitions())
    produce(settings, history.records(200, settings))
    with Worker(settings, "a", SHORT_INTERVAL) as first:
        first.ready()
        with Worker(settings, "b", SHORT_INTERVAL) as second:
            second.ready()
            wait_for_ticks(settings, first, 12)
            first.kill()
            produce(settings, history.records(200, settings))
            wait_folded(settings, history.sent, 180, second)
    history.check(settings)


def test_a_restore_may_take_longer_than_the_interval(one_partition: Settings) -> None:
    settings = one_partition
    history = History(members=20, seed=32)
    produce(settings, definitions())
    produce(settings, history.records(200, settings))
    with Worker(settings, "a", SHORT_INTERVAL + LONG_SESSION + SLOW_RESTORE) as worker:
        wait_folded(settings, history.sent, 180, worker)
        wait_for_ticks(settings, worker, 12)  # one that left would be back by then
        assert worker.text().count("took over partitions") == 1
    history.check(settings)


def test_a_group_is_shared_out_once_its_topics_are_known(one_partition: Settings) -> None:
    settings = one_partition
    history = History(members=20, seed=33)
    produce(settings, definitions())
    produce(settings, history.records(200, settings))
    with Worker(settings, "a", BLIND) as worker:
        wait_folded(settings, history.sent, 180, worker)
        assert "took over partitions []" not in worker.text()
    history.check(settings)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (FAILING_HEARTBEAT, "something new"),
        (FAILING_JOIN, "something new"),
        (BROKEN_COORDINATION, "something new"),
        (NO_HEARTBEAT_TAKEN, "the membership in the group stood still"),
        (FAILING_FETCHER, "the fetcher met KafkaError"),
    ],
    ids=["heartbeat", "join", "coordination", "silence", "fetcher"],
)
def test_a_worker_whose_membership_is_lost_ends_and_says_so(
    one_partition: Settings, fault: str, message: str
) -> None:
    with Worker(one_partition, "a", fault) as worker:
        assert worker.process.wait(180) == 1
        last = worker.text().strip().splitlines()[-1]
        assert "the worker stops: it cannot go on safely" in last
        assert message in last
