"""Kafka clients as the commands use them, with failures in words of whoever typed the command."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced

from deploy.errors import CommandError
from deploy.kafka_words import unreachable
from schemas.kafka import asking, positions, single_use
from schemas.kafka.single_use import NoSuchTopic
from schemas.settings import Settings


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


@contextmanager
def words_for_readers(settings: Settings) -> Iterator[None]:
    """Say in words what keeps a command from reading.

    Raises:
        CommandError: no broker answers, there is no such topic, or Kafka refused.
    """
    try:
        yield
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except NoSuchTopic as error:
        message = f"there is no topic {error}; make it with `milestream topics create`"
        raise CommandError(message) from error
    except KafkaError as error:
        raise refused(error) from error


def refused(error: KafkaError) -> CommandError:
    """Return the failure that says what Kafka refused."""
    what = " ".join(str(error).split()) or type(error).__name__
    return CommandError(f"Kafka refused: {what}; give the same command again, or look at its log")


@contextmanager
def words_for_writers(settings: Settings) -> Iterator[None]:
    """Say in words what keeps a command from writing in transactions.

    Raises:
        CommandError: no broker answers, or there is no such topic; a newer producer of the same
            name took over; Kafka refused.
    """
    with words_for_readers(settings):
        try:
            yield
        except ProducerFenced as error:
            raise CommandError(
                "another process has begun the same work and took over; what was committed stays"
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
