"""How often a client asks a broker that cannot help: for metadata, and for records."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.fetch import FetchResponse_v4
from aiokafka.protocol.metadata import MetadataRequest, MetadataResponse_v1

from schemas.kafka import consumers
from schemas.kafka.fetch_sessions import REFUSED_SECONDS
from schemas.kafka.metadata_pace import FIRST_SECONDS, LONGEST_SECONDS, Pace
from schemas.settings import Settings
from tests.simulation.clock import VirtualLoop

DELETED = TopicPartition("deleted", 0)
UNKNOWN_TOPIC, STORAGE_ERROR = 3, 56
MINUTE = 60.0


class Broker:
    """Answers one client's requests at once; ``asked`` are their kinds, ``error`` what is wrong
    with the partition: without one, its topic is not there."""

    def __init__(self, error: int | None) -> None:
        self.asked: list[str] = []
        partitions = [] if error is None else [(0, 0, 1, [1], [1])]
        self.metadata = MetadataResponse_v1(
            [(1, "127.0.0.1", 9, None)],
            1,
            [(UNKNOWN_TOPIC if error is None else 0, DELETED.topic, False, partitions)],
        )
        self._records = FetchResponse_v4(0, [(DELETED.topic, [(0, error, -1, -1, [], b"")])])

    def connected(self) -> bool:
        """Return whether it can be asked."""
        return True

    async def send(self, request: Any, **_: Any) -> Any:
        """Answer."""
        assert len(self.asked) < 10_000, "there is no end to it"
        self.asked.append("metadata" if isinstance(request, MetadataRequest) else "records")
        return self.metadata if isinstance(request, MetadataRequest) else self._records

    def close(self, **_: Any) -> Any:
        """End."""


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    """A loop in which a minute passes at once."""
    loop = VirtualLoop()
    yield loop
    loop.end()


def client_of(broker: Broker) -> AIOKafkaClient:
    """Return a client that knows the broker, as processes make them."""
    consumers.consumer(Settings(), group_id=None)
    client = AIOKafkaClient()
    client.cluster.update_metadata(broker.metadata)
    client.set_topics([DELETED.topic])

    async def connection(_node: Any, **_: Any) -> Broker:
        return broker

    client._get_conn = connection
    client._conns = defaultdict(lambda: broker)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    return client


@pytest.mark.parametrize(
    ("error", "metadata", "records"),
    [(None, MINUTE / LONGEST_SECONDS, 0), (STORAGE_ERROR, 70, MINUTE / REFUSED_SECONDS)],
    ids=("deleted", "refused"),
)
def test_a_reader_of_what_is_not_served_asks_at_a_pace(
    loop: VirtualLoop, error: int | None, metadata: float, records: float
) -> None:
    broker = Broker(error)

    async def read() -> None:
        client = client_of(broker)
        subscriptions = SubscriptionState(loop)
        subscriptions.assign_from_user([DELETED])
        fetcher = Fetcher(client, subscriptions, auto_offset_reset="earliest")
        subscriptions.subscription.assignment.state_value(DELETED).seek(0)
        await asyncio.sleep(MINUTE)
        assert not fetcher.error_future.done()

    loop.run_until_complete(read())
    asked = Counter(broker.asked)
    assert metadata / 2 < asked["metadata"] < metadata + 10
    assert records / 2 <= asked["records"] < records + 10


def test_other_topics_are_asked_for_at_once(loop: VirtualLoop) -> None:
    broker = Broker(None)

    async def ask() -> None:
        client = client_of(broker)
        while loop.time() < MINUTE:
            await client.force_metadata_update()
        broker.asked.clear()
        before = loop.time()
        client.set_topics(["new"])
        await client.force_metadata_update()
        assert loop.time() - before < 2 * FIRST_SECONDS

    loop.run_until_complete(ask())


def test_who_asks_for_all_there_is_does_not_wait(loop: VirtualLoop) -> None:
    broker = Broker(STORAGE_ERROR)

    async def ask() -> None:
        client = client_of(broker)
        while loop.time() < MINUTE:
            await client.force_metadata_update()
        before = loop.time()
        found = await client.fetch_all_metadata()
        assert found.topics() == {DELETED.topic}
        assert loop.time() == before

    loop.run_until_complete(ask())


def test_the_pause_grows_while_questions_follow_each_other_and_is_forgotten_after() -> None:
    pace, now, waited = Pace(), 50.0, []
    for _ in range(7):
        waited.append(pace.pause({"a"}, now))
        now += waited[-1]
        pace.asked({"a"}, now)
    assert waited == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1, 1])
    now += 2 * LONGEST_SECONDS
    assert pace.pause({"a"}, now) == 0
    pace.asked({"a"}, now)
    assert pace.pause({"a"}, now) == pytest.approx(FIRST_SECONDS)
    assert pace.pause({"a", "b"}, now) == 0
