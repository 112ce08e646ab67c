"""The Python client's subscriber on the real broker: what it gives, and what it commits when."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from milestream_client import UndecodableEvent, events
from milestream_client.events import Erased, Unknown
from milestream_client.records import MemberRecord, RewardChanged
from milestream_client.subscribing import Subscriber

from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.documents import ROOT
from tests.stack import FreshSettings

GROUP = "readers"
PATIENCE_SECONDS = 300
SESSION_SECONDS = 60
"""A busy machine stalls for longer than the usual ten, and the group would go on without it."""
TOPIC = "reward-events"


@pytest_asyncio.fixture
async def settings(fresh_settings: FreshSettings) -> Settings:
    """Settings whose topics are there."""
    made = fresh_settings(partitions=2)
    await asyncio.to_thread(create_topics, made)
    return made


@pytest_asyncio.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer, which writes in transactions as workers do."""
    made = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.topic_prefix}writer"
    )
    await made.start()
    yield made
    await made.stop()


def golden(name: str, id_: str, **more: object) -> bytes:
    """Return an event of a type, with an id of its own."""
    value = (ROOT / "tests/golden" / f"milestream.{name}.v1.json").read_bytes()
    return msgspec.json.encode({**msgspec.json.decode(value), "id": id_, **more})


def subscriber(settings: Settings, *topics: str, project: str | None = None) -> Subscriber:
    """Return a subscriber of the group."""
    return Subscriber(
        settings.kafka,
        settings.topic(GROUP),
        topics or [TOPIC],
        topic_prefix=settings.topic_prefix,
        project=project,
        session_timeout_ms=SESSION_SECONDS * 1000,
    )


async def test_events_come_typed_and_what_was_aborted_never(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    async def write(topic: str, *records: tuple[bytes | None, bytes]) -> None:
        for value, key in records:
            headers = [] if value else [("milestream-project", b"default")]
            await producer.send(settings.topic(topic), value, key, partition=0, headers=headers)

    async with producer.transaction():
        await write(TOPIC, (golden("reward.granted", "1"), b"m"))
    await producer.begin_transaction()
    await write(TOPIC, (golden("reward.granted", "aborted"), b"m"))
    await producer.abort_transaction()
    async with producer.transaction():
        await write(
            TOPIC,
            (golden("reward.granted", "2", source="/milestream/other"), b"m"),
            (golden("reward.granted", "3", type="milestream.reward.won.v2", data={"x": 1}), b"m"),
            (b'{"id":"no event"}', b"m"),
            (golden("reward.granted", "4", extension="of a newer version"), b"m"),
        )
        await write("member-events", (golden("member.upserted", "5"), b"m"), (None, b"m"))
    read: list[events.Event] = []
    undecodable: list[UndecodableEvent] = []
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        subscriber(settings, TOPIC, "member-events", project="default") as subscribed,
    ):
        while len(read) + len(undecodable) < 6:
            try:
                read.append(await anext(subscribed))
            except UndecodableEvent as error:
                undecodable.append(error)
    # Topics have no order among each other.
    data = {each.id: each.data for each in read}
    assert {id_: type(each) for id_, each in data.items()} == {
        "1": RewardChanged,
        "3": Unknown,
        "4": RewardChanged,
        "5": MemberRecord,
        "": Erased,
    }
    assert data["3"] == Unknown({"x": 1})
    assert data[""] == Erased("m")
    assert {each.project for each in read} == {"default"}
    assert [(each.topic, each.partition) for each in undecodable] == [(settings.topic(TOPIC), 0)]


async def test_what_was_not_handled_is_read_again(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    async with producer.transaction():
        for n in range(6):
            value = golden("reward.granted", str(n))
            await producer.send(settings.topic(TOPIC), value, b"m", partition=0)
    handled: list[str] = []

    async def handle_until(stop: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), subscriber(settings) as subscribed:
            async for event in subscribed:
                if event.id == stop:
                    raise RuntimeError("it is killed at this one")
                handled.append(event.id)

    for stop in ("2", "4"):
        with pytest.raises(RuntimeError, match="killed"):
            await handle_until(stop)
    assert handled == ["0", "1", "2", "3"]
