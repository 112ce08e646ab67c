"""`python -m tests.bench`: one broker, one input, one run; a table at the end."""

import asyncio
import logging
import os
import tempfile
from dataclasses import asdict, replace
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
from schemas.topics import CHALLENGE_LOGS
from tests.bench.measure import Timing, last_committed_input, output_bytes, time_peer
from tests.bench.peers import CHANGELOG, FAUST_CHANGELOGS, MODULES, OUTPUTS, Peer, peer
from tests.bench.report import Report, Row
from tests.bench.workload import Workload, publish_definitions, write_logs
from tests.stack import FreshSettings, are_shared, running_servers

_OWN = MODULES[0]
_say = Console(stderr=True).print


def main(
    records: Annotated[int, typer.Option(envvar="MILESTREAM_BENCH_RECORDS", min=10)] = 300_000,
    members: Annotated[int, typer.Option(min=1)] = 20_000,
    peers: Annotated[str, typer.Option(help="Names of modules in tests/bench/peers.")] = ",".join(
        MODULES
    ),
    output: Annotated[Path, typer.Option(help="Where the results go.")] = Path(".bench"),
) -> None:
    """Measure how fast peers fold the same challenge logs."""
    # New topics have no leaders for a moment; the client says so and tries again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    workload = Workload(records, members)
    names = [name.strip() for name in peers.split(",")]
    with (
        tempfile.TemporaryDirectory(prefix="milestream-bench-") as directory,
        running_servers() as servers,
    ):
        fresh = FreshSettings(servers, Path(directory))
        report = asyncio.run(_run(fresh(), workload, names, Path(directory)))
        if are_shared():
            fresh.remove()
    report.show()
    report.write(output)
    _say(f"written to {output}/bench.json and bench.md")


async def _run(settings: Settings, workload: Workload, names: list[str], directory: Path) -> Report:
    await ensure_topics(settings)
    await _make_topics_of_peers(settings)
    await publish_definitions(settings)
    import_rate = await _import(settings, workload, directory)
    timings: dict[str, tuple[Peer, Timing]] = {}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILESTREAM_")},
        **settings.to_env(),
        "BENCH_DIR": str(directory),
    }
    size = 0
    for name in names:
        measured = peer(name)
        _say(f"measuring {measured.name} …")
        timing = await _time(settings, measured, workload, environment)
        _say(f"  {timing.rate:,.0f} records/s, started in {timing.start_seconds:.1f} s")
        timings[name] = (measured, timing)
        size = size or await output_bytes(settings)
        environment["BENCH_OUTPUT_BYTES"] = str(size)
    return Report(asdict(workload), import_rate, size, _rows(timings))


async def _time(
    settings: Settings, measured: Peer, workload: Workload, environment: dict[str, str]
) -> Timing:
    if not measured.commits:
        goal = int(workload.records * measured.share)
        return await time_peer(settings, measured, goal, environment)
    # Offsets count the markers of the import's transactions too; only records are work.
    goal = await last_committed_input(settings)
    timing = await time_peer(settings, measured, goal, environment)
    return replace(timing, records=timing.records * workload.records // goal)


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
        Row(
            measured.name,
            measured.guarantee,
            timing.records,
            timing.seconds,
            timing.rate,
            timing.cpu_micros,
            own / timing.rate if own is not None and name != _OWN else None,
        )
        for name, (measured, timing) in timings.items()
    ]


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
