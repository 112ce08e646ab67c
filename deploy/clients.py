"""Kafka clients as the commands use them, with failures in words of whoever typed the command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced

from deploy.errors import CommandError
from schemas.kafka import asking, consumers
from schemas.settings import Settings, variable
from schemas.topics import MIB

TRANSACTION_TIMEOUT_MS = 10_000
"""A killed command's open transaction holds up every read_committed reader for so long."""


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[asking.AdminClient]:
    """Give a connected admin client.

    Raises:
        CommandError: no broker answers.
    """
    admin = asking.admin(settings)
    try:
        await admin.start()
    except KafkaConnectionError as error:
        await admin.close()
        raise unreachable(settings) from error
    try:
        yield admin
    finally:
        await admin.close()


def unreachable(settings: Settings) -> CommandError:
    """Return the failure that says that no broker answers, and which setting says where it is."""
    return CommandError(f"no Kafka broker answers at {settings.kafka} ({variable('kafka')})")


@asynccontextmanager
async def transactional_producer(
    settings: Settings, name: str, *, max_request_size: int
) -> AsyncIterator[AIOKafkaProducer]:
    """Give the one live producer called `name`; an older one of that name is fenced off.

    What the older one left open is aborted before this returns, so positions read from now on
    are final.

    Raises:
        CommandError: no broker answers; a newer one of the same name took over; Kafka refused.
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
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except ProducerFenced as error:
        raise CommandError(
            "another process has begun the same work and took over; what was committed stays"
        ) from error
    except KafkaError as error:
        raise CommandError(
            f"Kafka refused: {error!r}; what was committed stays, run the same command again"
        ) from error
    finally:
        await producer.stop()


@asynccontextmanager
async def reader(settings: Settings, isolation_level: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that belongs to no group and commits nothing."""
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level=isolation_level,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=8 * MIB,
    )
    try:
        await consumer.start()
        yield consumer
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    finally:
        await consumer.stop()


async def partitions_of_topic(settings: Settings, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic (full name), in order.

    Raises:
        CommandError: there is no such topic, or no broker answers.
    """
    async with admin_client(settings) as admin:
        (described,) = await admin.describe_topics([topic])
    if described["error_code"]:
        raise CommandError(f"there is no topic {topic}; make it with `milestream topics create`")
    return [
        TopicPartition(topic, number)
        for number in sorted(partition["partition"] for partition in described["partitions"])
    ]
