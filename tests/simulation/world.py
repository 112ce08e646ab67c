"""What one schedule happens to: a cluster with a group, workers, and producers of records."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

from aiokafka import TopicPartition

from schemas import ids
from schemas.settings import Settings
from schemas.topics import (
    CHALLENGE_LOGS,
    CHUNK_LOG,
    DEFINITIONS,
    INPUT_TOPICS,
    MEMBER_COMMANDS,
    TICKS,
    partition_for,
)
from tests.simulation.broker import BEGINNING_MILLIS, Cluster, Entry, Sent
from tests.simulation.clients import Client, Consumer
from tests.simulation.clock import Choices, VirtualLoop
from tests.simulation.group import Group
from tests.simulation.memory_store import MemoryJournal
from tests.simulation.process import Machine, Process
from tests.spec import challenge, log, numbered, upsert

RESTART_SECONDS = 1.0
AT = "2026-11-18T10:00:00Z"
MEMBERS = tuple(f"member-{number}" for number in range(6))


class World:
    """The cluster, and what runs on it."""

    def __init__(
        self,
        loop: VirtualLoop,
        choices: Choices,
        partitions: int,
        *,
        kip_890: bool = True,
    ) -> None:
        self.loop = loop
        self.choices = choices
        self.settings = Settings.of({"topic_prefix": "sim-", "partitions": partitions})
        self.cluster = Cluster(loop, choices, kip_890=kip_890)
        self.group = Group(loop, choices, partitions)
        self.known: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of records whose member and challenge were acknowledged
        before they were sent."""
        self.commands_before: dict[tuple[int, int], int] = {}
        """By partition and offset of a log: the offset after the last command that was acknowledged
        before it was sent."""
        self.stopped: list[BaseException] = []
        """Why workers stopped themselves."""
        self._numbers = self._members = 0
        self._defined: set[str] = set()
        self._upserted: set[str] = set()
        self._commands: dict[int, int] = {}
        self._transactions = 0
        self._processes: dict[str, Process] = {}
        self._machines: dict[str, Machine] = {}

    # Workers.

    @property
    def workers(self) -> Sequence[Process]:
        """The workers that run, or did last."""
        return list(self._processes.values())

    def start(self, name: str) -> None:
        """Start a worker where it does not run."""
        if name in self._processes and self._processes[name].alive:
            return
        machine = self._machines.setdefault(name, Machine(name))
        self._processes[name] = Process(
            machine,
            settings=self.settings,
            cluster=self.cluster,
            group=self.group,
            choices=self.choices,
        )

    def worker(self, name: str) -> Process | None:
        """Return a worker that runs."""
        process = self._processes.get(name)
        return process if process is not None and process.alive else None

    def calm_down(self) -> None:
        """Let one worker run at least, and none stand still or be slow any more."""
        self.start("a")
        for process in self.workers:
            process.wire.slow_until = 0.0
            process.wire.thaw()

    def kill_all(self) -> None:
        """End all workers."""
        for process in self.workers:
            process.kill()

    async def supervise(self) -> None:
        """Start workers again that stopped themselves."""
        while True:
            await asyncio.sleep(RESTART_SECONDS)
            for name, process in list(self._processes.items()):
                if process.ended is not None:
                    self.stopped.append(process.ended)
                    process.ended = None
                    self.start(name)

    # Producers.

    def place(self, topic: str, partition: int) -> TopicPartition:
        """Name a partition of a topic (without prefix)."""
        return TopicPartition(self.settings.topic(topic), partition)

    def home(self, member: str) -> int:
        """Return the partition of a member."""
        return partition_for(ids.member_id(ids.DEFAULT_PROJECT, member), self.settings.partitions)

    def new_member(self) -> str:
        """Name a member that nobody told of."""
        self._members += 1
        return f"new-{self._members}"

    def define(self, number: int | None = None) -> int:
        """Publish a challenge, acknowledged; return its number."""
        number = len(self._defined) + 1 if number is None else number
        defined = challenge(numbered(number))
        self.cluster.append(self.place(DEFINITIONS, 0), [Sent(defined.key, defined.value)])
        self._defined.add(numbered(number))
        return number

    def upsert(self, member: str) -> None:
        """Tell of a member, acknowledged."""
        place = self.place(MEMBER_COMMANDS, self.home(member))
        offset = self.cluster.append(place, [Sent(None, upsert(member).value)])
        self._commands[place.partition] = offset + 1
        self._upserted.add(member)

    def logs(
        self, member: str, count: int, number: int = 1, *, inline: bool = True, astray: int = 0
    ) -> tuple[TopicPartition, list[Sent]]:
        """Make logs of a member for a challenge; ``astray`` many partitions from its own."""
        sent: list[Sent] = []
        for _ in range(count):
            self._numbers += 1
            owner: dict[str, Any] = (
                {"ownedBy": {"externalId": member}}
                if inline
                else {"ownedById": ids.member_id(ids.DEFAULT_PROJECT, member)}
            )
            if inline:
                owner["ownedById"] = None
            record = log(
                f"log-{self._numbers}", 1, challengeId=numbered(number), activityAt=AT, **owner
            )
            sent.append(Sent(None, record.value))
        partition = (self.home(member) + astray) % self.settings.partitions
        return self.place(CHALLENGE_LOGS, partition), sent

    def send(self, member: str, count: int, number: int = 1, **how: Any) -> None:
        """Send logs outside of a transaction."""
        place, sent = self.logs(member, count, number, **how)
        first = self.cluster.append(place, sent)
        for offset in range(first, first + count):
            self.commands_before[place.partition, offset] = self._commands.get(place.partition, 0)
        inline = how.get("inline", True)
        if numbered(number) in self._defined and (inline or member in self._upserted):
            self.known |= {(CHALLENGE_LOGS, place.partition, first + i) for i in range(count)}

    def send_in_transaction(
        self, place: TopicPartition, sent: Sequence[Sent], seconds: float, *, committed: bool
    ) -> None:
        """Let another producer write in a transaction that is open for a time."""
        self._transactions += 1
        name = f"other-{self._transactions}"
        epoch = self.cluster.init(name)
        self.cluster.begin(name, epoch, 60.0)
        self.cluster.add(name, epoch, place, sent)

        def finish() -> None:
            self.cluster.finish(name, epoch, committed=committed)

        self.loop.call_later(seconds, finish)

    def tick(self, partition: int) -> None:
        """Write a tick with the ends of the partition's other inputs."""
        logs = self.cluster.logs
        ends = {n: logs[self.place(n, partition)].end for n in INPUT_TOPICS if n != TICKS}
        pairs = ",".join(f'"{name}":{end}' for name, end in ends.items())
        value = b'{"ends":{%s}}' % pairs.encode()
        self.cluster.append(self.place(TICKS, partition), [Sent(None, value)])

    # What came of it.

    def committed(self, topic: str, partition: int) -> list[Entry]:
        """Return what a read_committed reader is given of a partition."""
        found = self.cluster.logs[self.place(topic, partition)]
        return found.committed(0, found.end)

    async def quiet(self, seconds: float) -> None:
        """Wait until everything is folded, for so many virtual seconds at most."""
        deadline = self.loop.time() + seconds
        while self.unfolded or self.outstanding:
            if self.loop.time() > deadline:
                return
            await asyncio.sleep(0.5)

    @property
    def unfolded(self) -> bool:
        """Whether there are inputs that the chunk log does not have, or open transactions."""
        for partition in range(self.settings.partitions):
            chunks = self.committed(CHUNK_LOG, partition)
            there = sum(len(self.committed(name, partition)) for name in INPUT_TOPICS)
            if sum(_count(entry.value or b"") for entry in chunks) < there:
                return True
        return any(log.stable < log.end for log in list(self.cluster.logs.values()))

    @property
    def outstanding(self) -> int:
        """How many records workers have that they did not deal with."""
        contexts = [process.context for process in self.workers if process.alive]
        return sum(context.outstanding._records for context in contexts if context is not None)


def _count(value: bytes) -> int:
    return int(value.partition(b'"count":')[2].partition(b",")[0])


@contextlib.contextmanager
def in_memory(loop: VirtualLoop) -> Iterator[None]:
    """Let production code make its clients in memory, and see the virtual time."""

    def now() -> float:
        return BEGINNING_MILLIS / 1000 + loop.time()

    clock = SimpleNamespace(time=now, monotonic=loop.time, perf_counter=loop.time)
    with contextlib.ExitStack() as stack:
        # What a schedule provokes is no news; the verifier tells what matters.
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        for target, replacement in (
            ("processor.transactions.brokers.AIOKafkaClient", Client),
            ("schemas.kafka.consumers.AIOKafkaConsumer", Consumer),
            ("processor.transactions.writer.LARGE_BYTES", 1 << 40),  # there are no threads
            ("processor.folding.Journal", MemoryJournal),
            ("processor.folding.time", clock),
            ("processor.recovery.time", clock),
            ("processor.restoring.time", clock),
            ("tests.simulation.memory_store.time", clock),
            ("aiokafka.consumer.fetcher.time", clock),
            # It collects while it waits for acknowledgements: 50 ms of a large process each time.
            ("faust.transport.consumer.gc", SimpleNamespace(collect=lambda: None)),
        ):
            stack.enter_context(mock.patch(target, replacement))
        yield
