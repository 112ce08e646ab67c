"""`python -m tests.bench`: one broker, one input, one run; a table at the end."""

import asyncio
import logging
import os
import tempfile
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from aiokafka.admin import NewTopic
from rich.console import Console

from deploy.clients import admin_client
from deploy.importing.transfer import Import, Watcher, run_import
from deploy.topics_create import ensure_topics
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS
from tests.bench.event_peers import time_event_peers
from tests.bench.events import publish_event_definitions, write_events, write_members
from tests.bench.measure import Timing, last_committed_input, output_bytes, time_peer
from tests.bench.peers import (
    CHANGELOG,
    FAUST_CHANGELOGS,
    MODULES,
    OUTPUTS,
    Peer,
    PeerUnavailable,
    peer,
)
from tests.bench.report import Report, Row
from tests.bench.stats import ask_stats
from tests.bench.workload import Workload, publish_definitions, write_logs
from tests.stack import FreshSettings, Template, are_shared, running_servers

PARTS = ("fold", "events", "stats")
"""What there is to measure, beside the modules of `_FINDERS`. Stats take minutes more."""
_FINDERS: tuple[str, ...] = (
    "recovery",
    "projection",
    "workers",
    "state",
    "big_member",
    "lots",
    "http",
    "queries",
    "leaderboards",
    "latency",
    "browsers",
)
"""Modules of `tests.bench` with a `measure`; see `tests.bench.findings`."""
_OWN = MODULES[0]
_say = Console(stderr=True).print


def main(  # noqa: PLR0917  (Typer reads the arguments' order)
    records: Annotated[int, typer.Option(envvar="MILESTREAM_BENCH_RECORDS", min=10)] = 300_000,
    members: Annotated[int, typer.Option(min=1)] = 20_000,
    peers: Annotated[str, typer.Option(help="Names of modules in tests/bench/peers.")] = ",".join(
        MODULES
    ),
    only: Annotated[
        str, typer.Option(envvar="MILESTREAM_BENCH_ONLY", help="Parts to measure, with commas.")
    ] = ",".join((*PARTS, *_FINDERS)),
    stats_events: Annotated[int, typer.Option(min=1000, help="How many.")] = 10_000_000,
    output: Annotated[Path, typer.Option(help="Where the results go.")] = Path(".bench"),
) -> None:
    """Measure how fast peers fold the same challenge logs, and what Milestream reaches."""
    parts = _named(only)
    # New topics have no leaders for a moment; the client says so and tries again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    workload = Workload(records, members)
    names = [name.strip() for name in peers.split(",")]
    with (
        tempfile.TemporaryDirectory(prefix="milestream-bench-") as directory,
        running_servers() as servers,
    ):
        fresh = FreshSettings(servers, Path(directory), Template(servers))
        report = Report(asdict(workload))
        if "fold" in parts:
            report = asyncio.run(_run(fresh(), workload, names, Path(directory)))
        if "events" in parts:
            report = time_events(fresh(), workload, report, Path(directory))
        if "stats" in parts:
            _say(f"asking for statistics of {stats_events:,} events …")
            report = replace(report, stats=ask_stats(fresh, stats_events, Path(directory)))
        for part in _FINDERS:
            if part in parts:
                _say(f"measuring {part} …")
                own = Path(directory) / part
                own.mkdir()
                measure = import_module(f"tests.bench.{part}").measure
                found = measure(fresh, own, _say)
                report = replace(report, findings=[*report.findings, *found])
        if are_shared():
            fresh.remove()
    report.show()
    report.write(output)
    _say(f"written to {output}/bench.json and bench.md")


def _named(only: str) -> set[str]:
    parts = {name.strip() for name in only.split(",")}
    unknown = parts - {*PARTS, *_FINDERS}
    if unknown:
        raise typer.BadParameter(f"no part {', '.join(sorted(unknown))}", param_hint="--only")
    return parts


async def _run(settings: Settings, workload: Workload, names: list[str], directory: Path) -> Report:
    await ensure_topics(settings)
    await _make_topics_of_peers(settings)
    await publish_definitions(settings)
    import_rate = await _import(settings, workload, directory)
    timings: dict[str, tuple[Peer, Timing]] = {}
    left_out: list[str] = []
    environment = _environment(settings, directory)
    size = 0
    for name in names:
        measured = peer(name)
        try:
            if measured.prepare is not None:
                await asyncio.to_thread(measured.prepare)
        except PeerUnavailable as error:
            left_out.append(f"{measured.name}, {measured.guarantee}: {error}")
            _say(f"left out: {left_out[-1]}", markup=False)
            continue
        _say(f"measuring {measured.name} …")
        timing = await _time(settings, measured, workload, environment)
        _say(f"  {timing.rate:,.0f} records/s, started in {timing.start_seconds:.1f} s")
        timings[name] = (measured, timing)
        size = size or await output_bytes(settings)
        if size:  # else Milestream did not run, and peers go by their own default
            environment["BENCH_OUTPUT_BYTES"] = str(size)
    rows = _rows(timings)
    return Report(asdict(workload), import_rate, size, rows, left_out=left_out)


async def _time(
    settings: Settings,
    measured: Peer,
    workload: Workload,
    environment: dict[str, str],
    topic: str = CHALLENGE_LOGS,
) -> Timing:
    if not (measured.commits or measured.chunk_log):
        goal = int(workload.records * measured.share)
        return await time_peer(settings, measured, goal, environment, topic)
    # Offsets count the markers of the import's transactions too; only records are work.
    last = await last_committed_input(settings, topic)
    goal = int(last * measured.share)
    timing = await time_peer(settings, measured, goal, environment, topic)
    return replace(timing, records=timing.records * workload.records // last)


def time_events(settings: Settings, workload: Workload, report: Report, directory: Path) -> Report:
    """Measure Milestream with events, on topics of their own, and then its peers with the same."""
    measured = peer(_OWN)
    logs = next((row.rate for row in report.rows if row.peer == measured.name), None)
    own = directory / "events"
    own.mkdir()
    timing = asyncio.run(_events(settings, workload, measured, own))
    _say(f"  {timing.rate:,.0f} events/s, started in {timing.start_seconds:.1f} s")
    row = _row(measured, timing, logs, name=f"{measured.name}: events")
    _say("measuring peers with the same events …")
    environment = _environment(settings, own)
    found = asyncio.run(time_event_peers(settings, workload.records, environment, timing))
    return replace(report, events=row, findings=[*report.findings, *found])


async def _events(
    settings: Settings, workload: Workload, measured: Peer, directory: Path
) -> Timing:
    members, events = directory / "members.ndjson", directory / "events.ndjson"
    write_members(workload, members)
    size = write_events(workload, events)
    await ensure_topics(settings)
    await publish_event_definitions(settings)
    _say(f"importing {workload.records:,} events of {size / workload.records:.0f} bytes …")
    await run_import(settings, Import(MEMBER_COMMANDS, str(members), "ndjson"), Watcher())
    await run_import(settings, Import(EVENTS, str(events), "ndjson"), Watcher())
    _say(f"measuring {measured.name}: events …")
    return await _time(settings, measured, workload, _environment(settings, directory), EVENTS)


def _environment(settings: Settings, directory: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILESTREAM_")},
        **settings.to_env(),
        "BENCH_DIR": str(directory),
    }


async def _import(settings: Settings, workload: Workload, directory: Path) -> float:
    path = directory / "challenge-logs.ndjson"
    size = write_logs(workload, path)
    _say(f"importing {workload.records:,} logs of {size / workload.records:.0f} bytes …")
    begun = perf_counter()
    job = Import(CHALLENGE_LOGS, str(path), "ndjson")
    outcome = await run_import(settings, job, Watcher())
    return outcome.records / (perf_counter() - begun)


async def _make_topics_of_peers(settings: Settings) -> None:
    async with admin_client(settings) as admin:
        await admin.create_topics(
            [
                NewTopic(settings.topic(name), settings.partitions, settings.replication_factor)
                for name in (OUTPUTS, CHANGELOG, *FAUST_CHANGELOGS)
            ]
        )


def _rows(timings: dict[str, tuple[Peer, Timing]]) -> list[Row]:
    own = timings[_OWN][1].rate if _OWN in timings else None
    return [
        _row(measured, timing, own if name != _OWN else None, measured.name)
        for name, (measured, timing) in timings.items()
    ]


def _row(measured: Peer, timing: Timing, compared: float | None, name: str) -> Row:
    """Return a row; `compared` is the rate that this one's is held against."""
    return Row(
        name,
        measured.guarantee,
        timing.records,
        timing.seconds,
        timing.rate,
        timing.cpu_micros,
        None if compared is None else compared / timing.rate,
    )


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
