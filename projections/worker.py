"""What ``milestream projector`` runs: migrations, then the projector, until told to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import psycopg
import uvloop
from prometheus_client import make_wsgi_app

from projections import leaderboard_renewal, long_reads
from projections.metrics import Metrics
from projections.migrate import MigrationError
from projections.runner import ProjectorStopped, Runner
from schemas.process_health import Health, serve
from schemas.process_logging import log_to_stderr
from schemas.settings import Settings, SettingsError
from schemas.tracing import begin

logger = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Run a projector; returns when SIGTERM or SIGINT came, exits with 1 when it cannot go on."""
    # What aiokafka says about a broker that is restarting repeats itself ten times a second.
    log_to_stderr(settings, {"aiokafka": logging.ERROR})
    # A batch is tens of thousands of rows, none of them in a cycle: the collector would walk over
    # them again and again, a tenth of the work.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    try:
        await _project(settings)
    except (ProjectorStopped, MigrationError, SettingsError, psycopg.Error) as error:
        logger.critical("the projector stops: %s", error)
        _end(1)
    except Exception:
        logger.exception("the projector stops: an error that nobody expected")
        _end(1)


def _end(code: int) -> NoReturn:
    """End the process at once: what waits for a server may hang, and any point is a safe one."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _project(settings: Settings) -> None:
    metrics = Metrics()
    tracing = begin(settings, "milestream-projector")
    runner = Runner(settings, metrics=metrics, tracing=tracing)
    health = Health()
    health.works = lambda: runner.projects
    health.beat()
    if settings.metrics_port:
        told = make_wsgi_app(metrics.registry)
        serve(settings.metrics_host, settings.metrics_port, told, health)
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, runner.stop)
    await runner.migrate()
    logger.info("projecting from %s", settings.kafka)
    url = settings.database_url
    await run_beside(runner.run(), long_reads.watch(url), leaderboard_renewal.keep(url))
    if tracing is not None:
        tracing.close()
    logger.info("stopped")


async def run_beside(main: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> None:
    """Run until ``main`` returns, and others beside it, which are cancelled then.

    Raises what any of them raises, at once: whatever hangs meanwhile is cancelled, not waited for.
    """
    first = asyncio.create_task(main)
    beside = [asyncio.create_task(other) for other in others]
    running = {first, *beside}
    try:
        while not first.done():
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
    finally:
        for task in running:
            task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
