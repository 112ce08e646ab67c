"""What is asked of a broker that leads no more, or is gone, another one answers."""

import asyncio
import secrets
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.clients import admin_client
from schemas.kafka import consumers
from schemas.kafka.descriptions import Describer
from schemas.kafka.leadership import is_refused
from schemas.settings import Settings
from tests.faults.stack import Servers

SOON_SECONDS = 60
"""Far less than the five minutes after which aiokafka looks for leaders of its own accord."""


async def write_one(settings: Settings, topic: str) -> None:
    """Make a topic that every broker has, and write a record to it."""
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 3)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        await producer.send_and_wait(topic, b"here")


def believe_in_another(consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
    """Let a consumer's metadata say what was so before a leader moved."""
    cluster: Any = consumer._client.cluster
    leader = cluster.leader_for_partition(place)
    other = next(b.nodeId for b in cluster.brokers() if b.nodeId != leader)
    known = cluster._partitions[place.topic]
    known[place.partition] = known[place.partition]._replace(leader=other)
    assert cluster.leader_for_partition(place) == other


@pytest.mark.parametrize("position", [None, 0], ids=["no position", "a position"])
def test_a_leader_that_moved_is_found_at_once(servers: Servers, position: int | None) -> None:
    async def read() -> bytes:
        topic = f"stale-{secrets.token_hex(4)}"
        place = TopicPartition(topic, 0)
        settings = Settings.of({"kafka": servers.brokers.bootstrap})
        await write_one(settings, topic)
        async with consumers.consumer(
            settings, group_id=None, auto_offset_reset="earliest"
        ) as consumer:
            await consumer._client.set_topics([topic])
            believe_in_another(consumer, place)
            consumer.assign([place])
            if position is not None:
                consumer.seek(place, position)
            async with asyncio.timeout(SOON_SECONDS):
                record = await consumer.getone()
        return bytes(record.value)

    assert asyncio.run(read()) == b"here"


@pytest.mark.parametrize(
    ("code", "refused"), [(0, False), (1, False), (3, True), (6, True), (56, True), (103, True)]
)
def test_who_does_not_serve_a_partition_refuses(code: int, refused: bool) -> None:
    answer = SimpleNamespace(topics=[("a", [(0, 0, 17, b"")]), ("b", [(1, code, 17, b"")])])
    assert is_refused(answer) == refused


def test_topics_are_described_while_a_broker_is_down(servers: Servers) -> None:
    async def ask() -> None:
        topic = f"described-{secrets.token_hex(4)}"
        settings = Settings.of({"kafka": servers.brokers.bootstrap})
        await write_one(settings, topic)
        async with Describer(settings) as describer, admin_client(settings) as admin:
            assert servers.brokers.processes[0].kill()
            for _ in range(20):  # each asks another broker first
                assert set(await describer.topics([topic])) == {topic}
                assert topic in await admin.list_topics()

    try:
        asyncio.run(ask())
    finally:
        servers.heal()


def test_topics_are_described_by_each_broker_that_answers(servers: Servers) -> None:
    async def ask() -> list[int]:
        topic = f"everywhere-{secrets.token_hex(4)}"
        settings = Settings.of({"kafka": servers.brokers.bootstrap})
        await write_one(settings, topic)
        async with admin_client(settings) as admin:
            all_up = await admin.describe_topics_everywhere([topic])
            assert servers.brokers.processes[0].kill()
            one_down = await admin.describe_topics_everywhere([topic])
        return [len(all_up), len(one_down)]

    try:
        assert asyncio.run(ask()) == [3, 2]
    finally:
        servers.heal()
