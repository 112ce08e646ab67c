"""How far workers and projectors are behind the topics, as offsets by partition."""

from collections.abc import Iterable, Mapping

import psycopg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.clients import reader
from schemas.settings import Settings
from schemas.topics import TOPICS, Partitioning

Offsets = Mapping[TopicPartition, int]


async def ends_of(settings: Settings, topics: Iterable[str]) -> Offsets:
    """Return where topics (names without prefix) end, for who reads committed records.

    The last offset of a partition may be a transaction's marker, which nobody folds.
    """
    places = [
        TopicPartition(settings.topic(topic), partition)
        for topic in topics
        for partition in range(
            settings.partitions if TOPICS[topic].partitioning is Partitioning.MEMBER else 1
        )
    ]
    async with reader(settings, "read_committed") as consumer:
        ends: Offsets = await consumer.end_offsets(places)
    return ends


async def folded(
    settings: Settings, admin: AIOKafkaAdminClient, places: list[TopicPartition]
) -> Offsets:
    """Return how far workers are; they say so once a second."""
    group = settings.topic(settings.application_id)
    found = await admin.list_consumer_group_offsets(group, partitions=places)
    return {place: committed.offset for place, committed in found.items()}


async def projected(settings: Settings) -> Offsets:
    """Return how far the read model is that is furthest behind, by the topic's partition."""
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        rows = await connection.execute(
            "SELECT topic, partition, min(next_offset) FROM milestream.projection_checkpoints "
            "GROUP BY topic, partition"
        )
        return {
            TopicPartition(settings.topic(topic), partition): offset
            async for topic, partition, offset in rows
        }


def behind(ends: Offsets, reached: Offsets) -> int:
    """Return how many offsets of ``ends`` are not reached; one that nobody says is 0."""
    return sum(max(0, end - max(0, reached.get(place, 0))) for place, end in ends.items())
