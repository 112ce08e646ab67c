"""Transactions while brokers are killed: leaders and coordinators move under load."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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
PACE_SECONDS = 0.02
"""Between two transactions of a partition: brokers that start have to get on as well."""
CALM_SECONDS = 0.2
"""The same while a broker comes back: all that is written meanwhile is work for it to catch up."""


class Load:
    """Writes numbered chunks to a partition, takes it again where it must, and goes on after what
    was committed, as a worker does."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self.partition = partition
        self.written = 0
        """The number of the next chunk."""
        self.taken = 0
        self.pace = PACE_SECONDS

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
                    await asyncio.sleep(self.pace)
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
    over = threading.Event()

    async def write() -> None:
        await asyncio.gather(*(load.run(over.is_set) for load in loads))

    # Brokers are started by this thread: they end with the thread that started them.
    writing = threading.Thread(target=lambda: asyncio.run(write()))
    writing.start()
    try:
        for process in servers.brokers.processes:
            _await_more(loads)
            assert process.kill()
            _await_more(loads)  # what it led and coordinated is others' now
            with _calm(loads):
                servers.heal()
                _await_replicas(settings)
        _await_more(loads)
    finally:
        over.set()
        writing.join()
        servers.heal()
    found = drain(settings, PROGRESS_EVENTS)
    for load in loads:
        mine = [int(record.value) for record in found if record.partition == load.partition]
        assert mine == [number for number in range(load.written) for _ in range(3)]
        assert load.written >= 7 * BETWEEN


@contextmanager
def _calm(loads: Sequence[Load]) -> Iterator[None]:
    """Have less written during the block; before and after it, transactions are as dense."""
    for load in loads:
        load.pace = CALM_SECONDS
    yield
    for load in loads:
        load.pace = PACE_SECONDS


def _await_more(loads: Sequence[Load]) -> None:
    """Wait until each partition got on."""
    wanted = [load.written + BETWEEN for load in loads]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(load.written < want for load, want in zip(loads, wanted, strict=True)):
        assert time.monotonic() < deadline, [load.written for load in loads]
        time.sleep(0.05)


def _await_replicas(settings: Settings) -> None:
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
