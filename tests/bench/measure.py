"""Timing a peer: start it, watch how far it is, take the rate from its first sign of work on."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError

from deploy.clients import admin_client, partitions_of_topic, reader
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, PROGRESS_EVENTS
from tests.bench.folded_offsets import folded_offsets
from tests.bench.peers import Peer

_SAMPLE_SECONDS = 0.05
_SILENCE_SECONDS = 90


class PeerFailed(Exception):
    """A peer ended, or was silent for too long; the message has the end of its log."""


@dataclass(frozen=True)
class Timing:
    """How fast a peer was.

    Attributes:
        records: inputs folded between the first sample that showed work and the last.
        seconds: the time between these two.
        cpu_seconds: of all cores that the process took meanwhile, the broker's work apart. On a
            machine that has other things to do it says more than the rate.
        start_seconds: from the start of the process to that first sample.
    """

    records: int
    seconds: float
    cpu_seconds: float
    start_seconds: float

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.records / self.seconds

    @property
    def cpu_micros(self) -> float:
        """Processor time of a record, in microseconds."""
        return self.cpu_seconds / self.records * 1e6


async def time_peer(
    settings: Settings,
    peer: Peer,
    goal: int,
    environment: dict[str, str],
    topic: str = CHALLENGE_LOGS,
) -> Timing:
    """Run a peer until it is done with `goal` inputs of a topic, and end it.

    Raises:
        PeerFailed: it does not get there.
    """
    log = Path(environment["BENCH_DIR"]) / f"{peer.command[1]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            peer.python, *peer.command,
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        async with _Progress(settings, peer, process, topic) as done:
            return await _watch(done, goal, begun, process, log)
    finally:
        await _end(process)


async def _watch(
    done: Callable[[], Awaitable[int]],
    goal: int,
    begun: float,
    process: asyncio.subprocess.Process,
    log: Path,
) -> Timing:
    first: _Sample | None = None
    last = _Sample(0, time.perf_counter(), 0)
    while True:
        now = _Sample(await done(), time.perf_counter(), _cpu_seconds(process))
        if now.done > last.done:
            last = now
            first = first or now
        if last.done >= goal and first is not None:
            break
        if process.returncode is not None or now.at - last.at > _SILENCE_SECONDS:
            raise PeerFailed(f"stopped at {last.done:,} of {goal:,} inputs:\n{_tail(log)}")
        await asyncio.sleep(_SAMPLE_SECONDS)
    if first.done >= goal:  # one sample saw it all: then the start counts too
        first = _Sample(0, begun, 0)
    return Timing(
        last.done - first.done, last.at - first.at, last.cpu - first.cpu, first.at - begun
    )


class _Sample(NamedTuple):
    """How far a peer was, when, and how much processor time it had taken."""

    done: int
    at: float
    cpu: float


def _cpu_seconds(process: asyncio.subprocess.Process) -> float:
    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return float(times.user + times.system)


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-3000:]


class _Progress:
    """How many inputs a peer is done with, asked or heard."""

    def __init__(
        self, settings: Settings, peer: Peer, process: asyncio.subprocess.Process, topic: str
    ) -> None:
        self._settings = settings
        self._input = topic
        self._topic = settings.topic(topic)
        self._peer = peer
        self._process = process
        self._printed = 0
        self._stack = AsyncExitStack()
        self._listening = asyncio.create_task(self._listen())

    async def __aenter__(self) -> Callable[[], Awaitable[int]]:
        if self._peer.chunk_log:
            following = folded_offsets(self._settings, self._input)
            return (await self._stack.enter_async_context(following)).total
        if not self._peer.commits:
            return self._heard
        self._partitions = await partitions_of_topic(self._settings, self._topic)
        self._client = await self._stack.enter_async_context(admin_client(self._settings))
        return self._committed

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await self._stack.aclose()

    async def _heard(self) -> int:
        return self._printed

    async def _committed(self) -> int:
        group = self._settings.topic(self._peer.group or self._settings.application_id)
        try:
            offsets = await self._client.list_consumer_group_offsets(
                group, partitions=self._partitions
            )
        except GroupCoordinatorNotAvailableError:
            return 0  # a new broker has no coordinator before its first group
        return sum(max(0, found.offset) for found in offsets.values())

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.strip().isdigit():
                self._printed = int(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)


async def last_committed_input(settings: Settings, topic: str = CHALLENGE_LOGS) -> int:
    """Return the sum of the offsets after the last record of each partition of an input topic.

    A partition's end is no such offset: a transaction's marker lies there.
    """
    partitions = await partitions_of_topic(settings, settings.topic(topic))
    total = 0
    async with reader(settings, "read_committed") as consumer:
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            total += await _after_last_record(consumer, partition, ends[partition])
    return total


async def _after_last_record(
    consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
) -> int:
    consumer.assign([partition])
    consumer.seek(partition, max(0, end - 10))
    after = 0
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            after = max(after, records[-1].offset + 1)
    return after


async def output_bytes(settings: Settings, topic: str = PROGRESS_EVENTS) -> int:
    """Return the mean size of the first outputs on a topic; 0 where there are none."""
    partitions = await partitions_of_topic(settings, settings.topic(topic))
    async with reader(settings, "read_committed") as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        fetched = await consumer.getmany(timeout_ms=5000, max_records=1000)
    sizes = [len(record.value) for records in fetched.values() for record in records]
    return sum(sizes) // len(sizes) if sizes else 0
