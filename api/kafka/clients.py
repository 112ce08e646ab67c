"""The API's Kafka clients, and the check of topics."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.kafka import asking, consumers, sequences
from schemas.settings import Settings
from schemas.topics import TOPICS, topics_fault

MAX_REQUEST_BYTES = 2 * 1024 * 1024


class TopicsError(Exception):
    """The topics differ from the catalogue; the message says which, and what to do."""


def producer(settings: Settings) -> AIOKafkaProducer:
    """Return the producer of commands and definitions: idempotent, acknowledged by all replicas."""
    sequences.install()
    return AIOKafkaProducer(
        **settings.kafka_options(),
        enable_idempotence=True,
        acks="all",
        max_request_size=MAX_REQUEST_BYTES,
    )


def consumer(settings: Settings, isolation_level: str = "read_committed") -> AIOKafkaConsumer:
    """Return a consumer without a group; its partitions are assigned by hand."""
    return consumers.consumer(
        settings,
        group_id=None,
        isolation_level=isolation_level,
        auto_offset_reset="latest",
    )


async def check_topics(settings: Settings) -> None:
    """Check that every topic of the catalogue exists with its number of partitions.

    A client that uses a missing topic waits for ever, or creates it with the wrong number of
    partitions.

    Raises:
        TopicsError: one is not.
    """
    admin = asking.admin(settings)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = {settings.topic(name): partition_count(settings, name) for name in TOPICS}
        described = await admin.describe_topics(sorted(wanted.keys() & existing))
        found = {topic["topic"]: len(topic["partitions"]) for topic in described}
        fault = topics_fault(wanted, found)
        if fault is not None:
            raise TopicsError(fault)
    finally:
        await admin.close()


def partition_count(settings: Settings, topic: str) -> int:
    """Return how many partitions a topic of the catalogue has."""
    return TOPICS[topic].partition_count(settings.partitions)
