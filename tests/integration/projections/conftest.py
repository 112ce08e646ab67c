"""A database and topics of its own for each test, on the real broker and the real PostgreSQL."""

import asyncio
import contextlib

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from projections.catalogue import PROJECTIONS
from projections.feed import MissingTopics, partitions_of
from schemas.settings import Settings
from schemas.topics import TOPICS, Partitioning
from tests.stack import FreshSettings


@pytest.fixture
def database_url(fresh_settings: FreshSettings) -> str:
    """Make an empty database."""
    return fresh_settings().database_url


@pytest.fixture
def migrated_url(fresh_settings: FreshSettings) -> str:
    """Make a database with the read models, empty."""
    return fresh_settings.migrated().database_url


@pytest.fixture
async def settings(fresh_settings: FreshSettings) -> Settings:
    """Make a migrated database, and the topics that projections read and no others."""
    settings = await asyncio.to_thread(fresh_settings.migrated)
    topics = {topic for projection in PROJECTIONS.values() for topic in projection.topics}
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        await admin.create_topics([_new(settings, topic) for topic in topics])
    finally:
        await admin.close()
    # The controller answers before the broker has heard of them.
    for _ in range(600):
        with contextlib.suppress(MissingTopics):
            await partitions_of(settings, topics)
            return settings
        await asyncio.sleep(0.1)
    raise AssertionError("the broker does not know the topics")


def _new(settings: Settings, name: str) -> NewTopic:
    topic = TOPICS[name]
    single = topic.partitioning is Partitioning.SINGLE
    return NewTopic(
        settings.topic(name),
        1 if single else settings.partitions,
        1,
        topic_configs=dict(topic.config),
    )
