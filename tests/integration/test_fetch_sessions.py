"""Reading with fetch sessions from a real broker: all once and in order, whatever it forgets."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.topics_create import ensure_topics
from schemas.kafka import consumers, fetch_sessions
from schemas.kafka.fetch_sessions import FetchSession
from schemas.topics import CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS
from tests.stack import FreshSettings

SECONDS = 60
TOPICS = (CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS)
PARTITIONS = 4

Asked = list[tuple[int, int]]
"""Of each request, its epoch and how many partitions it named."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the brokers are asked."""
    requests: Asked = []
    build = fetch_sessions._InSession.build

    def noted(self: Any, version: Any) -> Any:
        built = build(self, version)
        requests.append((built.session_epoch, sum(len(each) for _, each in built.topics)))
        return built

    monkeypatch.setattr(fetch_sessions._InSession, "build", noted)
    return requests


@pytest_asyncio.fixture
async def reading(fresh_settings: FreshSettings) -> AsyncIterator["Reading"]:
    """A consumer of twelve partitions, and a producer."""
    settings = fresh_settings(partitions=PARTITIONS)
    await ensure_topics(settings)
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=250,
    )
    async with AIOKafkaProducer(**settings.kafka_options()) as producer, consumer:
        places = [TopicPartition(settings.topic(t), n) for t in TOPICS for n in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        yield Reading(consumer, producer, places)


class Reading:
    """Writes numbered records, and reads them back."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        places: list[TopicPartition],
    ) -> None:
        self.consumer = consumer
        self.places = places
        self._producer = producer
        self.written: dict[TopicPartition, list[bytes]] = defaultdict(list)
        self.read: dict[TopicPartition, list[bytes]] = defaultdict(list)

    async def write(self, place: TopicPartition, count: int = 1) -> None:
        """Write records that are the next numbers of a partition."""
        for _ in range(count):
            value = str(len(self.written[place])).encode()
            await self._producer.send_and_wait(*place[:1], value, partition=place.partition)
            self.written[place].append(value)

    async def catch_up(self, most: int) -> None:
        """Read until all that was written is read, at most so many records at a time."""
        async with asyncio.timeout(SECONDS):
            while any(len(self.read[place]) < len(self.written[place]) for place in self.written):
                fetched = await self.consumer.getmany(timeout_ms=200, max_records=most)
                for place, records in fetched.items():
                    self.read[place] += [record.value for record in records]

    def session(self) -> FetchSession:
        """Return the session with the one broker."""
        (session,) = self.consumer._client.__dict__[fetch_sessions._SESSIONS].values()
        return session  # type: ignore[no-any-return]


async def test_all_is_read_once_and_in_order_and_only_what_changed_is_named(
    reading: Reading, asked: Asked
) -> None:
    for round_ in range(12):
        for place in reading.places[round_ % 3 :: 3]:
            await reading.write(place, 1 + round_ % 4)
        await reading.catch_up(most=2)  # so partitions are left out, and come back
    assert reading.read == reading.written
    asked.clear()
    for _ in range(5):
        await reading.write(reading.places[0])
        await reading.catch_up(most=10)
    assert reading.read == reading.written
    assert all(epoch > 0 and named <= 1 for epoch, named in asked[1:])


@pytest.mark.parametrize(("field", "value"), [("_epoch", 4711), ("_id", 4711)])
async def test_a_session_that_the_broker_does_not_know_is_begun_anew(
    reading: Reading, asked: Asked, field: str, value: int
) -> None:
    await reading.write(reading.places[0])
    await reading.catch_up(most=10)
    setattr(reading.session(), field, value)
    asked.clear()
    for place in reading.places:
        await reading.write(place, 3)
    await reading.catch_up(most=10)
    assert reading.read == reading.written
    assert (0, len(reading.places)) in asked


async def test_a_seek_reads_again(reading: Reading) -> None:
    place = reading.places[0]
    await reading.write(place, 3)
    await reading.catch_up(most=10)
    reading.consumer.seek(place, 1)
    reading.read[place] = reading.read[place][:1]
    await reading.catch_up(most=10)
    assert reading.read == reading.written


async def test_who_reads_knows_when_the_broker_was_heard_of(reading: Reading) -> None:
    before = fetch_sessions.heard(reading.consumer)
    deadline = asyncio.get_running_loop().time() + SECONDS
    while fetch_sessions.heard(reading.consumer) <= before:  # nothing new is an answer too
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
