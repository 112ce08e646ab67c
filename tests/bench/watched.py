"""Workers that fold, and what they take meanwhile: processor time, memory, time itself.

For parts that compare folds with each other, or watch one as it goes. Everything is sampled from
outside, a few times a second.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from subprocess import Popen

import psutil

from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.folded_offsets import FoldedOffsets, folded_offsets
from tests.bench.measure import PeerFailed
from tests.bench.processes import process

SAMPLE_SECONDS = 0.1
_SILENCE_SECONDS = 90
_TAKEN = re.compile(r"took over partitions \[([\d, ]*)\]")


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment.

    Attributes:
        at: seconds of a clock that only goes forward.
        done: offsets of challenge logs that are folded, of all partitions together.
        workers: processor seconds that each worker has taken.
        broker: processor seconds that the broker has taken; 0 where it is not on this machine.
        machine: processor seconds that anything has taken on this machine, of all cores.
        memory: resident bytes of the largest worker.
    """

    at: float
    done: int
    workers: Sequence[float]
    broker: float
    machine: float
    memory: int


class Watch:
    """Workers that run, seen from outside."""

    def __init__(
        self,
        settings: Settings,
        workers: Sequence["Popen[bytes]"],
        logs: Sequence[Path],
        folded: FoldedOffsets,
        partitions: int,
    ) -> None:
        self._workers = workers
        self._processes = [psutil.Process(worker.pid) for worker in workers]
        self._logs = logs
        self._broker = broker_process(settings)
        self._folded = folded
        self._partitions = partitions

    async def ready(self) -> None:
        """Wait until every worker has its share of the partitions.

        Raises:
            PeerFailed: a worker ended, or they do not share.
        """
        share = self._partitions // len(self._workers)
        deadline = time.monotonic() + _SILENCE_SECONDS
        while any(_taken(log) != share for log in self._logs):
            self._alive(time.monotonic() < deadline, "not ready")
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> Sample:
        """Look once."""
        done = await self._folded.total()
        with_broker = [*self._processes, *([self._broker] if self._broker else [])]
        taken = [_seconds(each) for each in with_broker]
        return Sample(
            time.perf_counter(),
            done,
            taken[: len(self._processes)],
            sum(taken[len(self._processes) :]),
            busy_seconds(),
            max(each.memory_info().rss for each in self._processes),
        )

    async def follow(self, goal: int) -> AsyncIterator[Sample]:
        """Yield a sample whenever the workers got on, up to the one with ``goal`` offsets done: it
        alone where they are through already.

        Raises:
            PeerFailed: a worker ended, or none got on for a long time.
        """
        last = await self.sample()
        if last.done >= goal:
            yield last
        while last.done < goal:
            await asyncio.sleep(SAMPLE_SECONDS)
            now = await self.sample()
            if now.done > last.done:
                last = now
                yield now
            self._alive(
                now.at - last.at < _SILENCE_SECONDS, f"stopped at {last.done:,} of {goal:,}"
            )

    async def fold(self, goal: int) -> list[Sample]:
        """Return samples of a whole fold, two or more, from its first sign of work on.

        Raises:
            PeerFailed: as ``follow``.
        """
        start = await self.sample()
        samples = [sample async for sample in self.follow(goal)]
        # Where one sample saw it all, the start counts too.
        return samples if len(samples) > 1 else [start, *samples]

    def _alive(self, in_time: bool, complaint: str) -> None:
        if not in_time or any(worker.poll() is not None for worker in self._workers):
            ends = "\n".join(log.read_text("utf-8", "replace")[-3000:] for log in self._logs)
            raise PeerFailed(f"{complaint}:\n{ends}")


@asynccontextmanager
async def watched(settings: Settings, directory: Path, workers: int = 1) -> AsyncIterator[Watch]:
    """Run workers on one data dir, each with a log of its own, until the block is left."""
    with ExitStack() as stack:
        running, logs = [], []
        for number in range(workers):
            own = directory / f"worker-{number + 1}"
            own.mkdir()
            running.append(stack.enter_context(process(settings, "worker", own)))
            logs.append(own / "worker.log")
        async with folded_offsets(settings, CHALLENGE_LOGS) as folded:
            yield Watch(settings, running, logs, folded, settings.partitions)


def broker_process(settings: Settings) -> psutil.Process | None:
    """Return the broker's process; None where it is not on this machine, or hidden."""
    port = int(settings.kafka.split(",")[0].rpartition(":")[2])
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for each in found:
        listens = each.status == psutil.CONN_LISTEN and each.laddr and each.laddr[1] == port
        if listens and each.pid:
            return psutil.Process(each.pid)
    return None


def busy_seconds() -> float:
    """Return the processor seconds that this machine was busy, of all cores, since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0))


def tenths(samples: Sequence[Sample], goal: int) -> list[tuple[Sample, Sample]]:
    """Cut a fold into ten parts of about as much work; each by its first and last sample."""
    marks = (goal * number / 10 for number in range(1, 11))
    edges = [samples[0], *(next(s for s in samples if s.done >= mark) for mark in marks)]
    return [(a, b) for a, b in pairwise(edges) if b.done > a.done]


def _taken(log: Path) -> int:
    """Return how many partitions a worker took over last; -1 where it did not yet."""
    found = _TAKEN.findall(log.read_text("utf-8", "replace"))
    return len(found[-1].split(",")) if found and found[-1] else -1


def _seconds(each: psutil.Process) -> float:
    times = each.cpu_times()
    return float(times.user + times.system)
