"""Two workers against one: the same logs, the same data dir, half of the partitions each.

Workers are ready before the first log comes, so no rebalance is in the figures. The logs come from
an import in a process of its own, faster than any worker folds. On a machine of two cores the two
workers share them with the broker and the import: what each takes is told, so that a reader can
see what more cores would give.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.topics_create import ensure_topics
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.findings import Finding
from tests.bench.measure import last_committed_input
from tests.bench.watched import Sample, Watch, watched
from tests.bench.workload import Workload, publish_definitions, write_logs
from tests.integration.api.serving import environment
from tests.stack import FreshSettings

RECORDS = int(os.environ.get("MILESTREAM_BENCH_WORKERS_RECORDS", "300000"))


@dataclass(frozen=True)
class Run:
    """One fold by some workers.

    Attributes:
        seconds: from the start of the import to the last log's commit.
        alone_seconds: of these, those after the import had ended.
        alone_records: what was folded in those.
        workers: processor seconds of all workers together.
        broker: processor seconds of the broker.
        load: processor seconds of the import.
        machine: processor seconds that anything took on this machine.
    """

    workers_number: int
    records: int
    seconds: float
    alone_seconds: float
    alone_records: float
    workers: float
    broker: float
    load: float
    machine: float

    @property
    def rate(self) -> float:
        """Logs a second, the import beside it."""
        return self.records / self.seconds

    def cores(self, seconds: float) -> float:
        """Return how many cores these processor seconds kept busy."""
        return seconds / self.seconds


def measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]:
    """Fold the same logs by one worker, then by two."""
    workload = Workload(RECORDS)
    logs = directory / "challenge-logs.ndjson"
    write_logs(workload, logs)
    runs = []
    for number in (1, 2):
        own = directory / str(number)
        own.mkdir()
        runs.append(asyncio.run(_run(fresh(), workload, logs, own, number)))
        say(f"  {number}: {runs[-1].rate:,.0f} logs/s, {_shares(runs[-1])}")
    return [_finding(*runs)]


async def _run(
    settings: Settings, workload: Workload, logs: Path, directory: Path, number: int
) -> Run:
    await ensure_topics(settings)
    await publish_definitions(settings)
    async with watched(settings, directory, number) as watch:
        await watch.ready()
        begun = await watch.sample()
        load = await _import(settings, logs)
        alone = await watch.sample()
        end = await _last(watch, await last_committed_input(settings), alone)
    return Run(
        number,
        workload.records,
        end.at - begun.at,
        end.at - alone.at,
        # Offsets count the markers of the import's transactions too; only records are work.
        (end.done - alone.done) * workload.records / end.done,
        sum(end.workers) - sum(begun.workers),
        end.broker - begun.broker,
        load,
        end.machine - begun.machine,
    )


async def _last(watch: Watch, goal: int, last: Sample) -> Sample:
    async for sample in watch.follow(goal):
        last = sample
    return last


async def _import(settings: Settings, logs: Path) -> float:
    """Import the logs as anybody would; return the processor seconds that it took."""
    # In a child: what its ended children have taken is known to a process to the last bit.
    before = psutil.Process().cpu_times()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "import", CHALLENGE_LOGS, str(logs),
        env=environment(settings),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the import failed: {complaint.decode('utf-8', 'replace')}")
    after = psutil.Process().cpu_times()
    taken = after.children_user + after.children_system
    return float(taken - before.children_user - before.children_system)


def _shares(run: Run) -> str:
    rest = run.machine - run.workers - run.broker - run.load
    return (
        f"of {os.cpu_count()} cores {_workers(run)} took {run.cores(run.workers):.2f}, "
        f"the broker {run.cores(run.broker):.2f}, the import {run.cores(run.load):.2f}, "
        f"all else {run.cores(max(rest, 0)):.2f}"
    )


def _workers(run: Run) -> str:
    return "the worker" if run.workers_number == 1 else f"the {run.workers_number} workers"


def _finding(one: Run, two: Run) -> Finding:
    return Finding(
        f"two workers, {two.records:,} challenge logs of 4 partitions",
        f"{two.rate:,.0f}/s",
        f"one worker, {one.rate:,.0f}/s",
        two.rate / one.rate,
        values={**_values("one", one), **_values("two", two)},
        note=f"with one worker, {_shares(one)}; with two, {_shares(two)}. A log costs "
        f"{_micros(one, one.workers):.0f} µs of a worker's processor time with one and "
        f"{_micros(two, two.workers):.0f} with two, and {_micros(two, two.broker):.0f} µs of the "
        f"broker's; importing it {_micros(two, two.load):.0f}.",
    )


def _micros(run: Run, seconds: float) -> float:
    return seconds / run.records * 1e6


def _values(name: str, run: Run) -> dict[str, float]:
    return {
        f"{name}PerSecond": run.rate,
        f"{name}PerSecondAfterImport": run.alone_records / max(run.alone_seconds, 1e-9),
        f"{name}WorkerMicrosALog": _micros(run, run.workers),
        f"{name}BrokerMicrosALog": _micros(run, run.broker),
        f"{name}ImportMicrosALog": _micros(run, run.load),
        f"{name}WorkerCores": run.cores(run.workers),
        f"{name}BrokerCores": run.cores(run.broker),
        f"{name}ImportCores": run.cores(run.load),
        f"{name}MachineCores": run.cores(run.machine),
    }
