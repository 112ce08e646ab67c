"""One member with very many logs, against as many logs of members with ten each.

One partition each, so that both have the same place to be folded in. What was seen of a member (one
small entry a log) must weigh on none of its records: neither more than ten logs' do, nor more in
the last tenth of the fold than in the first.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.settings import Settings
from tests.bench.findings import Finding
from tests.bench.folded import import_logs
from tests.bench.measure import last_committed_input
from tests.bench.watched import tenths, watched
from tests.bench.workload import Workload
from tests.stack import FreshSettings

LOGS = int(os.environ.get("MILESTREAM_BENCH_MEMBER_LOGS", "500000"))
FEW = 10
"""How many logs each of the other members has."""
WANTED = 0.9
_TICK_SECONDS = 0.01
"""Processor time is told in steps of so much."""


@dataclass(frozen=True)
class Run:
    """One fold.

    Attributes:
        rate: logs a second.
        micros: processor time of the worker for a log, in microseconds.
        early: logs a second in the second tenth of the fold; the first has the start in it.
        late: logs a second in the last tenth.
        early_micros: as `micros`, in the second tenth.
        late_micros: as `micros`, in the last.
    """

    rate: float
    micros: float
    early: float
    late: float
    early_micros: float
    late_micros: float


def measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]:
    """Fold as many logs of one member and of many."""
    runs = {}
    for members in (LOGS // FEW, 1):
        own = directory / str(members)
        own.mkdir()
        run = asyncio.run(_run(fresh(partitions=1), Workload(LOGS, members), own))
        say(f"  {members:,} members: {run.rate:,.0f} logs/s, {run.micros:.0f} µs each")
        runs[members] = run
    return [_against_many(runs[1], runs[LOGS // FEW]), _late_against_early(runs[1])]


async def _run(settings: Settings, workload: Workload, directory: Path) -> Run:
    await import_logs(settings, workload, directory)
    goal = await last_committed_input(settings)
    async with watched(settings, directory) as watch:
        samples = await watch.fold(goal)
    parts = [(samples[0], samples[-1]), *tenths(samples, goal)]
    share = workload.records / goal  # offsets count the markers of the import's transactions too
    rates = [(b.done - a.done) * share / (b.at - a.at) for a, b in parts]
    taken = [max(sum(b.workers) - sum(a.workers), _TICK_SECONDS) for a, b in parts]
    logs = [(b.done - a.done) * share for a, b in parts]
    micros = [seconds / number * 1e6 for seconds, number in zip(taken, logs, strict=True)]
    early = min(2, len(parts) - 1)
    return Run(rates[0], micros[0], rates[early], rates[-1], micros[early], micros[-1])


def _against_many(one: Run, many: Run) -> Finding:
    return Finding(
        f"a member with {LOGS:,} logs",
        f"{one.rate:,.0f}/s, {one.micros:.0f} µs a log",
        f"{LOGS // FEW:,} members with {FEW} each, {many.rate:,.0f}/s, {many.micros:.0f} µs a log",
        one.rate / many.rate,
        WANTED,
        {
            "onePerSecond": one.rate,
            "oneMicrosALog": one.micros,
            "manyPerSecond": many.rate,
            "manyMicrosALog": many.micros,
            "ratioOfMicros": many.micros / one.micros,
        },
        "one partition, one worker each. In worker's processor time, which the rest of the machine "
        f"moves less, {many.micros / one.micros:.2f}x.",
    )


def _late_against_early(one: Run) -> Finding:
    return Finding(
        "that member's logs, the last tenth of them",
        f"{one.late_micros:.0f} µs of the worker a log ({one.late:,.0f}/s)",
        f"the second tenth, {one.early_micros:.0f} µs a log ({one.early:,.0f}/s)",
        one.early_micros / one.late_micros,
        WANTED,
        {
            "latePerSecond": one.late,
            "lateMicrosALog": one.late_micros,
            "earlyPerSecond": one.early,
            "earlyMicrosALog": one.early_micros,
        },
        "a tenth takes a second or so, so it is processor time that is compared.",
    )
