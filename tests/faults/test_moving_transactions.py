"""Transactions while brokers are killed: leaders and coordinators move under load."""

import asyncio
import secrets
import time
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.topics_create import create_topics
from processor.domain.effects import Effects
from processor.transactions import Fenced, Overdue, PartitionProducer
from schemas.settings import Settings
from schemas.topics import PROGRESS_EVENTS
from tests.faults.stack import PATIENCE_SECONDS, Servers
from tests.integration.processor.driving import drain

PARTITIONS = 4
BETWEEN = 40
"""Transactions of each partition between two kills."""


class Load:
    """Writes numbered chunks to a partition, takes it again where it must, and goes on after what
    was committed, as a worker does."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self.partition = partition
        self.written = 0
        """The number of the next chunk."""
        self.taken = 0

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Write until it is over."""
        while not is_over():
            owner = PartitionProducer(self._settings, self.partition)
            try:
                await owner.fence()
                self.taken += 1
                self.written = await asyncio.to_thread(self._committed)
                while not is_over():
                    await owner.write(self._chunk())
                    self.written += 1
            except (Fenced, Overdue, KafkaError):
                await asyncio.sleep(0.1)
            finally:
                await owner.close()

    def _chunk(self) -> Effects:
        effects = Effects(writes={b"t%d" % self.written: b""})
        for _ in range(3):
            effects.put(PROGRESS_EVENTS, b"k", b"%d" % self.written)
        return effects

    def _committed(self) -> int:
        found = drain(self._settings, PROGRESS_EVENTS)
        return len([record for record in found if record.partition == self.partition]) // 3


def test_every_broker_is_killed_and_each_chunk_is_there_once(servers: Servers) -> None:
    settings = Settings.of(
        {
            "kafka": servers.brokers.bootstrap,
            "topic_prefix": f"moving-{secrets.token_hex(4)}-",
            "partitions": PARTITIONS,
            "replication_factor": 3,
        }
    )
    create_topics(settings)
    loads = [Load(settings, partition) for partition in range(PARTITIONS)]
    over = False

    async def more() -> None:
        """Wait until each partition got on."""
        wanted = [load.written + BETWEEN for load in loads]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(load.written < want for load, want in zip(loads, wanted, strict=True)):
            assert time.monotonic() < deadline, [load.written for load in loads]
            await asyncio.sleep(0.05)

    async def run() -> None:
        nonlocal over
        writing = [asyncio.create_task(load.run(lambda: over)) for load in loads]
        try:
            for process in servers.brokers.processes:
                await more()
                assert process.kill()
                await more()  # what it led and coordinated is others' now
                await asyncio.to_thread(servers.heal)
                await asyncio.to_thread(_in_sync, settings)
            await more()
        finally:
            over = True
            await asyncio.gather(*writing)

    try:
        asyncio.run(run())
    finally:
        servers.heal()
    found = drain(settings, PROGRESS_EVENTS)
    for load in loads:
        mine = [int(record.value) for record in found if record.partition == load.partition]
        assert mine == [number for number in range(load.written) for _ in range(3)]
        assert load.written >= 7 * BETWEEN


def _in_sync(settings: Settings) -> None:
    """Wait until all replicas follow again, so that the next broker may be killed."""

    async def ask() -> None:
        async with AIOKafkaProducer(**settings.kafka_options()) as producer:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while any(
                len(known.isr) < len(known.replicas)
                for topic in (await producer.client.fetch_all_metadata())._partitions.values()
                for known in topic.values()
            ):
                assert time.monotonic() < deadline, "replicas do not follow"
                await asyncio.sleep(0.2)

    asyncio.run(ask())
