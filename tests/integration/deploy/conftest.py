"""Topics of one's own on the real broker, and the command line as it is typed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from deploy.topics_create import ensure_topics
from schemas.settings import Settings
from tests import forking
from tests.stack import FreshSettings

MILESTREAM = str(Path(sys.executable).with_name("milestream"))

Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs `milestream` with arguments, and waits for it."""


@pytest.fixture
def settings(fresh_settings: FreshSettings) -> Settings:
    """Settings with topics and a database of this test's own; neither is made yet."""
    return fresh_settings()


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    """The settings, with all topics made."""
    await ensure_topics(settings)
    return settings


@pytest.fixture
def environment(settings: Settings) -> Mapping[str, str]:
    """The environment of a `milestream` process."""
    return {**settings.to_env(), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}


@pytest.fixture
def run(environment: Mapping[str, str]) -> Run:
    """Run `milestream` to its end."""

    def run_command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return forking.run(arguments, environment, stdin=stdin, seconds=300)

    return run_command


async def polling(pause: float = 0.05, seconds: float = 120) -> AsyncIterator[None]:
    """Step again and again with a pause between, until the caller breaks off.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        await asyncio.sleep(pause)
    raise TimeoutError(f"not after {seconds} s")


async def committed(settings: Settings, name: str) -> list[ConsumerRecord]:
    """Return all committed records of a topic, partition by partition in order.

    The markers of a commit reach the partitions a moment after whoever commits has its answer. So
    this reads to the end of the log, open transactions included, and waits for what became of them.
    """
    topic = settings.topic(name)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    try:
        count = 1 if name == "definitions" else settings.partitions
        partitions = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(partitions)
        ends = await log_ends(settings, partitions)
        found: list[ConsumerRecord] = []
        for partition in partitions:
            consumer.seek(partition, 0)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(records)
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def high_watermarks(settings: Settings, name: str) -> int:
    """Return the sum of a topic's ends, what is not committed included."""
    partitions = [TopicPartition(settings.topic(name), p) for p in range(settings.partitions)]
    return sum((await log_ends(settings, partitions)).values())


async def log_ends(
    settings: Settings, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return where the logs end, what is not committed included."""
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends


async def send_all(
    settings: Settings, name: str, records: Sequence[tuple[int, bytes | None, bytes]]
) -> None:
    """Send many (partition, key, value) records at once."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        topic = settings.topic(name)
        sent = [
            await producer.send(topic, partition=partition, key=key, value=value)
            for partition, key, value in records
        ]
        await asyncio.gather(*sent)


async def send(
    settings: Settings, name: str, records: Sequence[tuple[int, bytes | None, bytes | None]]
) -> list[int]:
    """Send (partition, key, value) records one after the other; return their offsets."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, max_request_size=4 << 20)
    await producer.start()
    try:
        sent = [
            await producer.send_and_wait(
                settings.topic(name), partition=partition, key=key, value=value
            )
            for partition, key, value in records
        ]
        return [int(metadata.offset) for metadata in sent]
    finally:
        await producer.stop()


@pytest.fixture
def child(environment: Mapping[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `milestream` and go on; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [MILESTREAM, *arguments],
            env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
