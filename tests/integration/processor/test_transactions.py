"""A chunk's transaction arrives whatever topics take, and is over in time whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client import REGISTRY

from api.kafka import clients
from processor import destinations
from processor.destinations import LIMIT, Destinations
from processor.domain.effects import Answer, Effects, Output
from processor.transactions import Overdue, PartitionProducer, RecordTooLarge, producer
from schemas.kafka.descriptions import Describer
from schemas.settings import Settings
from schemas.topics import PROGRESS_EVENTS, STREAK_EVENTS
from tests.integration.processor.driving import drain

PARTITION = 1
REPLIES = "asked"
"""A topic of somebody else's, made with what Kafka takes by default."""

_NOISE = random.Random(5).randbytes(2_000_000)


def noise(size: int) -> bytes:
    """Return bytes that no compression makes fewer."""
    return _NOISE[:size]


def answer(size: int, partition: int = 0, topic: str = REPLIES) -> Answer:
    return Answer(topic, partition, b"c", noise(size))


@asynccontextmanager
async def owning(settings: Settings) -> AsyncIterator[PartitionProducer]:
    """Take the partition, as a worker does that may reply to a topic of somebody else's."""
    async with Describer(settings) as describer:
        taken = Destinations(settings, describer)
        await taken.learn_limits()
        owner = PartitionProducer(settings, PARTITION, taken)
        try:
            await owner.fence()
            yield owner
        finally:
            await owner.close()


@asynccontextmanager
async def administrating(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@pytest.fixture
def replying(settings: Settings) -> Settings:
    """Settings that allow replies to a topic of two partitions with Kafka's own limit."""
    name = f"{settings.topic_prefix}{REPLIES}"

    async def make() -> None:
        async with administrating(settings) as admin:
            await admin.create_topics([NewTopic(name, 2, 1, topic_configs={LIMIT: "1048588"})])
        async with Describer(settings) as describer:
            await until(lambda: _is_there(describer, name))

    asyncio.run(make())
    return settings.model_copy(update={"reply_topics": (name,)})


async def until(asked: Callable[[], Coroutine[Any, Any, bool]], *, is_so: bool = True) -> None:
    """Wait until the broker says so."""
    for _ in range(1200):
        if await asked() is is_so:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the broker does not say so")


async def _is_there(describer: Describer, topic: str) -> bool:
    return topic in await describer.topics([topic])


async def _takes(describer: Describer, topic: str, limit: int) -> bool:
    return (await describer.config([topic], LIMIT))[topic] == str(limit)


def refused() -> float:
    """Return how many replies were left out so far."""
    labels = {"outcome": "replies_refused"}
    return REGISTRY.get_sample_value("milestream_outcomes_total", labels) or 0.0


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_replies_are_held_to_what_their_topic_takes(replying: Settings) -> None:
    (topic,) = replying.reply_topics
    before = refused()

    async def work() -> None:
        async with owning(replying) as owner:
            answers = [answer(400_000, n % 2, topic) for n in range(8)]
            answers.insert(3, answer(1_048_500, 1, topic))
            await owner.write(Effects(writes={b"t1": b""}, answers=answers))

    run(work)
    unprefixed = topic.removeprefix(replying.topic_prefix)
    two = replying.model_copy(update={"partitions": 2})
    assert [len(record.value) for record in drain(two, unprefixed)] == [400_000] * 8
    assert refused() - before == 1


def test_a_reply_that_has_nowhere_to_go_holds_nothing_up(
    replying: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "FRESH_SECONDS", 0)
    (topic,) = replying.reply_topics
    before = refused()

    async def work() -> None:
        async with owning(replying) as owner:
            effects = Effects(writes={b"t1": b""})
            effects.answers = [answer(5, 0, topic), answer(5, 7, topic), answer(5, 0, "never")]
            first = await owner.write(effects)
            assert refused() - before == 2
            async with administrating(replying) as admin, Describer(replying) as describer:
                await admin.delete_topics([topic])
                await until(lambda: _is_there(describer, topic), is_so=False)
            assert await owner.write(effects) > first
            assert refused() - before == 5

    run(work)


def test_batches_are_held_to_what_an_operator_lets_a_topic_take(settings: Settings) -> None:
    topic = settings.topic(PROGRESS_EVENTS)

    async def work() -> None:
        async with administrating(settings) as admin, Describer(settings) as describer:
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, {LIMIT: "200000"})]
            )
            await until(lambda: _takes(describer, topic, 200_000))
        async with owning(settings) as owner:
            effects = Effects(writes={b"t1": b""})
            for size in [90_000] * 6:
                effects.put(PROGRESS_EVENTS, b"k", noise(size))
            await owner.write(effects)
            effects.outputs[PROGRESS_EVENTS].append(Output(b"k", noise(300_000)))
            with pytest.raises(RecordTooLarge, match=topic):
                await owner.write(effects)
        async with owning(settings):  # aborts what is open
            pass

    run(work)
    assert [len(record.value) for record in drain(settings, PROGRESS_EVENTS)] == [90_000] * 6


def test_a_transaction_that_is_not_over_in_time_is_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "WRITE_SECONDS", 1)

    async def work() -> None:
        topic = settings.topic(STREAK_EVENTS)
        async with administrating(settings) as admin, Describer(settings) as describer:
            await admin.delete_topics([topic])
            await until(lambda: _is_there(describer, topic), is_so=False)
        owner = PartitionProducer(settings, PARTITION)
        await owner.fence()
        effects = Effects(writes={b"t1": b""})
        effects.put(STREAK_EVENTS, b"k", b"v")
        with pytest.raises(Overdue, match="partition 1"):
            await owner.write(effects)
        await owner.close()

    run(work)


def test_a_coordinator_that_does_not_answer_is_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "FENCE_SECONDS", 1)

    async def work() -> None:
        ending = asyncio.Event()

        async def say_nothing(_reader: object, writer: asyncio.StreamWriter) -> None:
            await ending.wait()
            writer.close()

        silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        deaf = settings.model_copy(update={"kafka": f"127.0.0.1:{port}"})
        owner = PartitionProducer(deaf, PARTITION)
        with pytest.raises(Overdue):
            await owner.fence()
        await owner.close()
        ending.set()
        silent.close()

    run(work)


def test_the_api_s_producers_number_so_as_well(settings: Settings) -> None:
    topic = settings.topic(PROGRESS_EVENTS)

    async def work() -> None:
        async with clients.producer(settings) as idempotent:
            idempotent._txn_manager._sequence_numbers[TopicPartition(topic, 0)] = 2**31 - 2
            for _ in range(4):
                await idempotent.send_and_wait(topic, b"x", partition=0)
            assert idempotent._txn_manager._sequence_numbers[TopicPartition(topic, 0)] == 2

    run(work)


def _three(number: int) -> Effects:
    return Effects(writes={b"t%d%d" % (number, n): b"" for n in range(3)})
