"""The demo: challenges and events, a few thousand people, some days of history, a steady flow.

The history is made of the members' numbers and the dates alone, and the position on Kafka says
which days are there. So a demo that is started again goes on instead of telling its story twice.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from importlib.resources import as_file, files

from aiokafka import AIOKafkaProducer

from deploy import demo_course, demo_events, demo_people
from deploy.apply import Document, publish, read
from deploy.clients import read_positions, transactional_producer
from deploy.demo_crowd import Command, Crowd, Record, bad_record, upsert
from schemas import ids, records
from schemas.kafka.batches import Batches
from schemas.settings import Settings
from schemas.topics import (
    ACTIVITY_LOGS,
    CHALLENGE_LOGS,
    EVENTS,
    MEMBER_COMMANDS,
    MIB,
    partition_for,
    positions_topic,
)

MEMBERS = 1000
HISTORY_DAYS = 10
RATE = 50
"""Records a second."""

POSITION_KEY = b"demo/history"
"""Of the last day of the history that was sent, on the topic of positions."""
_TICK_SECONDS = 0.2
_SECONDS_BETWEEN_BAD = 15


def demo_documents() -> list[Document]:
    """Return the demo's definitions as they stand in their file."""
    with as_file(files("deploy") / "demo_definitions.yaml") as path:
        return read([path])


async def apply_definitions(settings: Settings) -> int:
    """Publish the demo's definitions that are not in force as they are; return how many.

    Raises:
        CommandError: the broker is not there or refuses.
    """
    outcomes = await publish(settings, demo_documents())
    return sum(outcome.what != "unchanged" for outcome in outcomes)


async def run_demo(settings: Settings, rate: float, stopping: asyncio.Event) -> None:
    """Apply the definitions, send the days that are missing, then a steady flow until told to stop.

    Raises:
        CommandError, KafkaError: the broker is not there or refuses.
    """
    await apply_definitions(settings)
    await send_history(settings, datetime.now(UTC).date(), stopping)
    await _flow(settings, rate, stopping)


async def send_history(settings: Settings, today: date, stopping: asyncio.Event) -> int:
    """Send the days before `today` that were not yet sent, each in one transaction.

    The members go before, in one of their own: an event of somebody unknown would be refused.
    """
    sent = 0
    async with transactional_producer(settings, "demo", max_request_size=4 * MIB) as producer:
        raw = (await read_positions(settings)).get(POSITION_KEY.decode())
        first = today - timedelta(days=HISTORY_DAYS)
        if raw is not None:
            first = max(first, date.fromisoformat(raw.decode()) + timedelta(days=1))
        if first < today:
            await _send_members(settings, producer)
        while first < today and not stopping.is_set():
            sent += await _send_day(settings, producer, first)
            first += timedelta(days=1)
    return sent


async def _send_members(settings: Settings, producer: AIOKafkaProducer) -> None:
    people = [demo_people.YOU, *(demo_people.person(number) for number in range(MEMBERS))]
    students = [demo_people.person(each) for each in range(MEMBERS) if demo_course.takes_it(each)]
    batches = Batches(producer)
    for owner in people:
        batches.add(*placed(settings, upsert(owner)))
    for owner in (demo_people.YOU, *students):
        batches.add(*placed(settings, demo_course.enrol(owner.external_id)))
    async with producer.transaction():
        await batches.send()


async def _send_day(settings: Settings, producer: AIOKafkaProducer, on: date) -> int:
    logs = sorted(demo_people.day(on, MEMBERS), key=lambda log: log.activity_at)
    events = sorted(demo_events.day(on, MEMBERS), key=lambda event: event.occurred_at or _NEVER)
    course = sorted(demo_course.day(on, MEMBERS), key=lambda log: log.occurred_at)
    batches = Batches(producer)
    happened: list[Record] = [*logs, *events, *course]
    for record in happened:
        batches.add(*placed(settings, record))
    positions = settings.topic(positions_topic(settings.application_id).name)
    batches.add(positions, 0, POSITION_KEY, on.isoformat().encode())
    async with producer.transaction():
        await batches.send()
    return len(happened)


_NEVER = datetime.min.replace(tzinfo=UTC)


def placed(settings: Settings, record: Record) -> tuple[str, int, bytes, bytes]:
    """Return the topic that a record belongs on, its partition, its key and its value."""
    if isinstance(record, records.ChallengeLog):
        assert record.owned_by is not None
        topic, name = CHALLENGE_LOGS, record.owned_by.external_id
    elif isinstance(record, records.Event):
        topic, name = EVENTS, record.user_id
    elif isinstance(record, records.ActivityLog):
        topic, name = ACTIVITY_LOGS, record.user_id
    elif isinstance(record, Command):
        assert record.user_id is not None
        topic, name = MEMBER_COMMANDS, record.user_id
    else:
        topic, name = MEMBER_COMMANDS, record.external_id
    member = ids.member_id(record.project, name)
    partition = partition_for(member, settings.partitions)
    return settings.topic(topic), partition, member.encode(), records.encode(record)


async def _flow(settings: Settings, rate: float, stopping: asyncio.Event) -> None:
    """Send `rate` records a second until told to stop."""
    loop = asyncio.get_running_loop()
    seed = int(datetime.now(UTC).timestamp())
    crowd = Crowd(seed, MEMBERS)
    begun = bad_at = loop.time()
    sent = bad = 0
    async with AIOKafkaProducer(**settings.kafka_options(), compression_type="zstd") as producer:
        while not stopping.is_set():
            pending = []
            while sent < (loop.time() - begun) * rate:
                topic, partition, key, value = placed(settings, crowd.act())
                pending.append(await producer.send(topic, value, key=key, partition=partition))
                sent += 1
            if loop.time() - bad_at > _SECONDS_BETWEEN_BAD:
                bad_at = loop.time()
                topic, value = bad_record(bad, seed)
                pending.append(await producer.send(settings.topic(topic), value))
                bad += 1
            await asyncio.gather(*pending)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _TICK_SECONDS)
