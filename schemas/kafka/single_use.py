"""Kafka clients for one piece of work: opened for it, and closed after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.kafka import asking, consumers
from schemas.settings import Settings
from schemas.topics import MIB

TRANSACTION_TIMEOUT_MS = 10_000
"""The open transaction of who was killed holds up every read_committed reader for so long."""


class NoSuchTopic(LookupError):
    """There is no topic of this name (the full one)."""


@asynccontextmanager
async def transactional_producer(
    settings: Settings, name: str, *, max_request_size: int
) -> AsyncIterator[AIOKafkaProducer]:
    """Give the one live producer called `name`; an older one of that name is fenced off.

    What the older one left open is aborted before this returns, so positions read from now on
    are final.

    Raises:
        KafkaConnectionError: no broker answers.
        ProducerFenced: a newer one of the same name took over.
        KafkaError: Kafka refused.
    """
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic(settings.application_id)}-{name}",
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        # The broker writes the markers of one transaction while the next begins and answers
        # "concurrent transactions" meanwhile; the default wait of 100 ms would rule the rate.
        retry_backoff_ms=10,
        # aiokafka compresses lz4 at level 9, which takes several times as long and as much space.
        compression_type="zstd",
        max_batch_size=900_000,
        max_request_size=max_request_size,
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def reader(
    settings: Settings, isolation_level: str, *, partition_bytes: int = 8 * MIB
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that belongs to no group and commits nothing, and fetches so much of a
    partition at a time.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level=isolation_level,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=partition_bytes,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def partitions_of_topic(settings: Settings, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic (full name), in order.

    Raises:
        NoSuchTopic: there is none.
        KafkaConnectionError: no broker answers.
    """
    admin = asking.admin(settings)
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"]:
        raise NoSuchTopic(topic)
    return [
        TopicPartition(topic, number)
        for number in sorted(partition["partition"] for partition in described["partitions"])
    ]
