"""How fast a worker that lost its data dir has its state again, against how fast it was folded.

The time is the worker's own: its metric of recovery, which begins when it is given the partitions
and ends when their stores are at the end of the changelog. It has the fencing of the earlier owner
in it, and has not the start of the process, which is the same for an empty store.
"""

import asyncio
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from schemas.settings import Settings
from tests.bench.findings import Finding
from tests.bench.folded import fold_logs
from tests.bench.measure import PeerFailed, Timing
from tests.bench.processes import process
from tests.bench.workload import Workload
from tests.plain_http import NO_TLS
from tests.ports import free_port
from tests.stack import FreshSettings

RECORDS = int(os.environ.get("MILESTREAM_BENCH_RECOVERY_RECORDS", "400000"))
WANTED = 5
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Restored:
    """What a worker says of its recovery.

    Attributes:
        records: of the changelog that were read.
        seconds: from the assignment of the partitions on.
        fencing: seconds of these that the earlier owner's fencing took, whatever the state's size.
        from_start: seconds from the start of the process until it had said so.
    """

    records: float
    seconds: float
    fencing: float
    from_start: float


def measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]:
    """Fold, delete the state, and have it restored."""
    settings = fresh(metrics_port=free_port())
    workload = Workload(RECORDS)
    folded = asyncio.run(fold_logs(settings, workload, directory))
    say(f"  folded at {folded.rate:,.0f} records/s")
    shutil.rmtree(settings.data_dir)
    restored = _restore(settings, directory)
    say(f"  {restored.records:,.0f} changelog records in {restored.seconds:.2f} s")
    return [_finding(workload, folded, restored)]


def _finding(workload: Workload, folded: Timing, restored: Restored) -> Finding:
    rate = workload.records / restored.seconds
    return Finding(
        f"recovery of a wiped store, {workload.records:,} challenge logs",
        f"{rate:,.0f} logs' state/s ({restored.seconds:.2f} s)",
        f"the fold, {folded.rate:,.0f}/s",
        rate / folded.rate,
        WANTED,
        {
            "logsPerSecond": rate,
            "changelogRecords": restored.records,
            "changelogRecordsPerSecond": restored.records / restored.seconds,
            "recoverySeconds": restored.seconds,
            "fencingSeconds": restored.fencing,
            "foldPerSecond": folded.rate,
            "startToRecoveredSeconds": restored.from_start,
        },
        f"{restored.records:,.0f} changelog records at "
        f"{restored.records / restored.seconds:,.0f}/s, not compacted; the time is the worker's "
        f"metric, {restored.fencing:.2f} s of fencing included, which do not grow with the state. "
        f"With the start of the process it is {restored.from_start:.1f} s.",
    )


def _restore(settings: Settings, directory: Path) -> Restored:
    """Start a worker, wait until it has recovered, and end it."""
    begun = time.perf_counter()
    with process(settings, "worker", directory) as worker:
        while worker.poll() is None and time.perf_counter() - begun < _PATIENCE_SECONDS:
            metrics = _metrics(settings)
            if metrics.get("milestream_recovery_seconds_count"):
                return Restored(
                    metrics["milestream_recovered_records_total"],
                    metrics["milestream_recovery_seconds_sum"],
                    _fencing(directory / "worker.log"),
                    time.perf_counter() - begun,
                )
            time.sleep(0.1)
    log = (directory / "worker.log").read_text("utf-8", "replace")
    raise PeerFailed(f"the worker did not recover:\n{log[-3000:]}")


def _fencing(log: Path) -> float:
    """Return the seconds that the log's last line about a recovery says; 0 where it says none."""
    found = re.findall(r"fencing took ([\d.]+) s", log.read_text("utf-8", "replace"))
    return float(found[-1]) if found else 0.0


def _metrics(settings: Settings) -> dict[str, float]:
    """Return the worker's metrics without labels; none where it does not answer yet."""
    try:
        text = httpx.get(
            f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=5, verify=NO_TLS
        ).text
    except httpx.TransportError:
        return {}
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}
