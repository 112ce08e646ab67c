"""A database and topics of its own for each test, on the real broker and the real PostgreSQL."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from psycopg import sql

from projections.catalogue import PROJECTIONS
from projections.migrate import migrate
from schemas.settings import Settings
from schemas.topics import TOPICS, Partitioning

PARTITIONS = 4


@pytest.fixture
def name() -> str:
    """Return a name that nothing else has."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def database_url(name: str) -> Iterator[str]:
    """Make an empty database."""
    server = os.environ["MILESTREAM_TEST_DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def migrated_url(database_url: str) -> str:
    """Make a database with the read models, empty."""
    migrate(database_url)
    return database_url


@pytest.fixture
async def settings(name: str, migrated_url: str) -> AsyncIterator[Settings]:
    """Make the topics that projections read, and a migrated database."""
    settings = Settings.of(
        {
            "kafka": os.environ["MILESTREAM_TEST_KAFKA"],
            "database_url": migrated_url,
            "topic_prefix": f"{name}-",
            "application_id": name,
            "partitions": PARTITIONS,
        }
    )
    wanted = {topic for projection in PROJECTIONS.values() for topic in projection.topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(
                    settings.topic(topic.name),
                    1 if topic.partitioning is Partitioning.SINGLE else PARTITIONS,
                    1,
                    topic_configs=dict(topic.config),
                )
                for topic in TOPICS.values()
                if topic.name in wanted
            ]
        )
        await asyncio.sleep(0.2)
        yield settings
        await admin.delete_topics([settings.topic(topic) for topic in wanted])
    finally:
        await admin.close()
