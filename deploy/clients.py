"""Kafka clients as the commands use them, with failures in words of whoever typed the command."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced

from deploy.errors import CommandError
from schemas.kafka import asking, positions, single_use
from schemas.kafka.single_use import NoSuchTopic
from schemas.settings import Settings, variable


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


@contextmanager
def words_for_readers(settings: Settings) -> Iterator[None]:
    """Say in words what keeps a command from reading.

    Raises:
        CommandError: no broker answers, or there is no such topic.
    """
    try:
        yield
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except NoSuchTopic as error:
        message = f"there is no topic {error}; make it with `milestream topics create`"
        raise CommandError(message) from error


@contextmanager
def words_for_writers(settings: Settings) -> Iterator[None]:
    """Say in words what keeps a command from writing in transactions.

    Raises:
        CommandError: no broker answers, or there is no such topic; a newer producer of the same
            name took over; Kafka refused.
    """
    try:
        with words_for_readers(settings):
            yield
    except ProducerFenced as error:
        raise CommandError(
            "another process has begun the same work and took over; what was committed stays"
        ) from error
    except KafkaError as error:
        raise CommandError(
            f"Kafka refused: {error!r}; what was committed stays, run the same command again"
        ) from error


@asynccontextmanager
async def transactional_producer(
    settings: Settings, name: str, *, max_request_size: int
) -> AsyncIterator[AIOKafkaProducer]:
    """Give the one live producer called `name`: see `single_use.transactional_producer`.

    Raises:
        CommandError: no broker answers; a newer one of the same name took over; Kafka refused.
    """
    with words_for_writers(settings):
        async with single_use.transactional_producer(
            settings, name, max_request_size=max_request_size
        ) as producer:
            yield producer


@asynccontextmanager
async def reader(settings: Settings, isolation_level: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that belongs to no group and commits nothing.

    Raises:
        CommandError: no broker answers.
    """
    with words_for_readers(settings):
        async with single_use.reader(settings, isolation_level) as consumer:
            yield consumer


async def partitions_of_topic(settings: Settings, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic (full name), in order.

    Raises:
        CommandError: there is no such topic, or no broker answers.
    """
    with words_for_readers(settings):
        return await single_use.partitions_of_topic(settings, topic)


async def read_positions(settings: Settings) -> dict[str, bytes]:
    """Return how far the commands have got: see `positions.read_positions`.

    Raises:
        CommandError: the topic is missing, or no broker answers.
    """
    with words_for_readers(settings):
        return await positions.read_positions(settings)
