"""Importing the workload, and folding it once, for parts that measure what comes then."""

from dataclasses import replace
from pathlib import Path

from deploy.importing.transfer import Import, Watcher, run_import
from deploy.topics_create import ensure_topics
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.measure import Timing, last_committed_input, time_peer
from tests.bench.peers import MODULES, peer
from tests.bench.workload import Workload, publish_definitions, write_logs
from tests.integration.api.serving import environment

_WORKER = peer(MODULES[0])


async def import_logs(settings: Settings, workload: Workload, directory: Path) -> None:
    """Make topics and definitions, and import the challenge logs."""
    await ensure_topics(settings)
    await publish_definitions(settings)
    path = directory / "challenge-logs.ndjson"
    write_logs(workload, path)
    await run_import(settings, Import(CHALLENGE_LOGS, str(path), "ndjson"), Watcher())
    path.unlink()


async def fold_logs(settings: Settings, workload: Workload, directory: Path) -> Timing:
    """Import the challenge logs, have a worker fold them all, and stop it; tell how fast it was.

    Its outputs, its changelog and its data dir stay.

    Raises:
        PeerFailed: the worker does not get there.
    """
    await import_logs(settings, workload, directory)
    goal = await last_committed_input(settings)
    surroundings = {**environment(settings), "BENCH_DIR": str(directory)}
    timing = await time_peer(settings, _WORKER, goal, surroundings)
    # Offsets count the markers of the import's transactions too; only records are work.
    return replace(timing, records=timing.records * workload.records // goal)
