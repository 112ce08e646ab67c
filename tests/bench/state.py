"""How state grows: bytes in RocksDB and on the changelog, and a worker's memory, by logs folded.

A fold of many logs of many members, looked at after each tenth. At its end the worker is stopped,
the stores are compacted, and what is in them is counted by kind of entry: that is also what a
changelog of which the broker compacted everything would hold.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from aiokafka.admin import AIOKafkaAdminClient
from rocksdict import Rdict

from deploy.clients import admin_client, partitions_of_topic, reader
from schemas.settings import Settings
from schemas.topics import changelog_topic
from tests.bench.findings import Finding
from tests.bench.folded import import_logs
from tests.bench.log_dirs import topic_bytes
from tests.bench.measure import last_committed_input
from tests.bench.watched import Sample, watched
from tests.bench.workload import Workload
from tests.stack import FreshSettings

LOGS = int(os.environ.get("MILESTREAM_BENCH_STATE_LOGS", "1000000"))
MEMBERS = int(os.environ.get("MILESTREAM_BENCH_STATE_MEMBERS", "10000"))
MEMORY_BYTES = 2**30
"""What a worker may take, whatever the state."""
_OF_LOGS = b"l"
"""The kind of entry that there is one of for each log; all others go with members."""


@dataclass(frozen=True)
class Stage:
    """How things were when a part of the logs was folded.

    Attributes:
        logs: how many.
        store: bytes of the worker's RocksDB files, as they lie there; the newest entries are in
            its memory only.
        changelog: bytes of the changelog's segments on the broker, compressed.
        memory: resident bytes of the worker, at most so far.
        rate: logs a second since the stage before.
        micros: the worker's processor time for a log since then, in microseconds.
    """

    logs: float
    store: int
    changelog: int
    memory: int
    rate: float
    micros: float


@dataclass(frozen=True)
class Content:
    """What was in the stores at the end.

    Attributes:
        compacted: bytes on disk after a full compaction.
        entries: how many there are, by the first byte of their keys.
        entry_bytes: of their keys and values, uncompressed, likewise.
    """

    compacted: int
    entries: Mapping[bytes, int]
    entry_bytes: Mapping[bytes, int]


@dataclass(frozen=True)
class Grown:
    """A whole fold; `changelog_records` counts what it wrote there, nothing compacted away."""

    stages: Sequence[Stage]
    content: Content
    changelog_records: int


def measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]:
    """Fold, and look at what has grown."""
    settings = fresh()
    grown = asyncio.run(_grow(settings, Workload(LOGS, MEMBERS), directory, say))
    return [_of_store(grown), _of_changelog(grown), _of_memory(grown), _of_rate(grown)]


async def _grow(
    settings: Settings, workload: Workload, directory: Path, say: Callable[[str], None]
) -> Grown:
    say(f"  importing {workload.records:,} logs of {workload.members:,} members …")
    await import_logs(settings, workload, directory)
    goal = await last_committed_input(settings)
    changelog = settings.topic(changelog_topic(settings.application_id).name)
    stages: list[Stage] = []
    async with watched(settings, directory) as watch, admin_client(settings) as admin:
        looking = _Looking(settings, workload.records / goal, changelog)
        async for sample in watch.follow(goal):
            looking.see(sample)
            if sample.done >= goal * (len(stages) + 1) / 10:
                stages.append(await looking.look(admin, sample))
                say(f"  {_told(stages[-1])}")
    return Grown(stages, _content(settings.data_dir), await _records(settings, changelog))


class _Looking:
    """Takes stages of a fold."""

    def __init__(self, settings: Settings, share: float, changelog: str) -> None:
        self._settings = settings
        self._share = share
        """Logs an offset: the markers of the import's transactions take offsets too."""
        self._changelog = changelog
        self._before: Sample | None = None
        self._memory = 0

    def see(self, sample: Sample) -> None:
        self._memory = max(self._memory, sample.memory)
        self._before = self._before or sample

    async def look(self, admin: AIOKafkaAdminClient, now: Sample) -> Stage:
        before = self._before or now
        logs = max((now.done - before.done) * self._share, 1)
        self._before = now
        return Stage(
            now.done * self._share,
            sum(size for _, size in _files(self._settings.data_dir)),
            await topic_bytes(self._settings, admin, self._changelog),
            self._memory,
            logs / max(now.at - before.at, 1e-9),
            (sum(now.workers) - sum(before.workers)) / logs * 1e6,
        )


def _files(directory: Path) -> list[tuple[Path, int]]:
    """Return the files below a directory with their sizes; they come and go meanwhile."""
    found = []
    for path in directory.rglob("partition-*/*"):
        try:
            found.append((path, path.stat().st_size))
        except FileNotFoundError:
            continue
    return found


def _content(data_dir: Path) -> Content:
    """Compact the stores, which no worker may have open, and count what is in them."""
    entries: Counter[bytes] = Counter()
    entry_bytes: Counter[bytes] = Counter()
    for path in sorted(p for p in data_dir.rglob("partition-*") if p.is_dir()):
        database = Rdict(str(path))  # with the options that the worker left there
        database.compact_range(None, None)
        for key, value in cast("Iterable[tuple[bytes, bytes]]", database.items()):
            entries[key[:1]] += 1
            entry_bytes[key[:1]] += len(key) + len(value)
        database.close()
    compacted = sum(size for path, size in _files(data_dir) if path.suffix == ".sst")
    return Content(compacted, entries, entry_bytes)


async def _records(settings: Settings, topic: str) -> int:
    """Return how many offsets a topic has given out: records, and a marker a transaction."""
    async with reader(settings, "read_committed") as consumer:
        ends = await consumer.end_offsets(await partitions_of_topic(settings, topic))
    return sum(ends.values())


def _told(stage: Stage) -> str:
    return (
        f"{stage.logs:,.0f} logs: {stage.rate:,.0f}/s, {stage.micros:.0f} µs each; store "
        f"{_mb(stage.store)}, changelog {_mb(stage.changelog)}, memory {_mb(stage.memory)}"
    )


def _of_store(grown: Grown) -> Finding:
    last, content = grown.stages[-1], grown.content
    logs = content.entries[_OF_LOGS]
    of_members = sum(content.entry_bytes.values()) - content.entry_bytes[_OF_LOGS]
    return Finding(
        f"state of {LOGS:,} logs of {MEMBERS:,} members in RocksDB",
        f"{last.store / logs:.0f} bytes a log as it lies there, {content.compacted / logs:.0f} "
        "compacted",
        values={
            "entriesOfLogs": logs,
            "bytes": last.store,
            "bytesALog": last.store / logs,
            "bytesCompacted": content.compacted,
            "bytesCompactedALog": content.compacted / logs,
            "plainBytesALog": content.entry_bytes[_OF_LOGS] / logs,
            "plainBytesAMember": of_members / MEMBERS,
            "entriesAMember": (sum(content.entries.values()) - logs) / MEMBERS,
            **_by_stage("bytesAfter", [(s.logs, s.store) for s in grown.stages]),
        },
        note=f"before compression an entry of a log has {content.entry_bytes[_OF_LOGS] / logs:.0f} "
        f"bytes, and all others of a member together {of_members / MEMBERS:,.0f}; "
        f"{_row([(s.logs, _mb(s.store)) for s in grown.stages])}.",
    )


def _of_changelog(grown: Grown) -> Finding:
    last, content = grown.stages[-1], grown.content
    logs, live = content.entries[_OF_LOGS], sum(content.entries.values())
    return Finding(
        "the same state on the changelog",
        f"{last.changelog / logs:.0f} bytes a log on the broker's disk",
        values={
            "bytes": last.changelog,
            "bytesALog": last.changelog / logs,
            "records": grown.changelog_records,
            "recordsWhenCompacted": live,
            "plainBytesWhenCompacted": sum(content.entry_bytes.values()),
            **_by_stage("bytesAfter", [(s.logs, s.changelog) for s in grown.stages]),
        },
        note=f"{grown.changelog_records:,} records were written; the broker's compaction, which "
        f"takes a partition on when half of its closed segments are new, may leave {live:,} of "
        f"them; {_row([(s.logs, _mb(s.changelog)) for s in grown.stages])}.",
    )


def _of_memory(grown: Grown) -> Finding:
    peak = grown.stages[-1].memory
    return Finding(
        "memory of that worker, at most",
        _mb(peak),
        _mb(MEMORY_BYTES),
        MEMORY_BYTES / peak,
        1,
        {"bytes": peak, **_by_stage("bytesAfter", [(s.logs, s.memory) for s in grown.stages])},
        _row([(s.logs, _mb(s.memory)) for s in grown.stages]) + ".",
    )


def _of_rate(grown: Grown) -> Finding:
    early, late = grown.stages[min(1, len(grown.stages) - 1)], grown.stages[-1]
    return Finding(
        "the fold there, the last tenth of the logs",
        f"{late.rate:,.0f}/s, {late.micros:.0f} µs each",
        f"the second tenth, {early.rate:,.0f}/s, {early.micros:.0f} µs each",
        late.rate / early.rate,
        values={
            **_by_stage("perSecondAfter", [(s.logs, s.rate) for s in grown.stages]),
            **_by_stage("microsAfter", [(s.logs, s.micros) for s in grown.stages]),
        },
        note=_row([(s.logs, f"{s.rate:,.0f}/s ({s.micros:.0f} µs)") for s in grown.stages]) + ".",
    )


def _by_stage(name: str, values: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {f"{name}{logs:.0f}": value for logs, value in values}


def _row(values: Sequence[tuple[float, str]]) -> str:
    return "after " + ", ".join(f"{logs:,.0f} logs {text}" for logs, text in values)


def _mb(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
