"""``milestream worker``: one process, from settings to a clean end or a non-zero exit."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import uvloop
from aiokafka.errors import KafkaError
from prometheus_client import make_wsgi_app

from processor import compression, membership
from processor.app import App, build_app
from processor.context import WorkerContext
from processor.definitions import DefinitionsReader
from processor.destinations import Destinations
from processor.domain import fast_path
from processor.instance import WorkerInstance, take_instance
from processor.store import StateStore, StoreError
from processor.ticker import Ticker
from processor.transactions import Producers
from schemas import tracing
from schemas.kafka.descriptions import Describer
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.health import ClientStopped
from schemas.kafka.member_keys import MemberKeysReader
from schemas.process_health import Health, serve
from schemas.process_logging import log_to_stderr
from schemas.settings import Settings, SettingsError
from schemas.topics import REPLIES

logger = logging.getLogger(__name__)

STOP_SECONDS = 15
"""Faust may hang when told to stop while it still joins the group; the process ends regardless,
which is safe at any point."""


_QUIET = {
    **dict.fromkeys(("aiokafka", "faust", "mode"), logging.WARNING),
    # Says NotEnoughReplicas for a transaction that begins before the last one's markers are
    # written; it is retried after 10 ms.
    "aiokafka.producer.sender": logging.ERROR,
}


def main(settings: Settings) -> None:
    """Run a worker until TERM or INT (exit 0), or until it cannot go on safely (exit 1)."""
    log_to_stderr(settings, _QUIET)
    health = Health()
    if settings.metrics_port:
        serve(settings.metrics_host, settings.metrics_port, make_wsgi_app(), health)
    _tune_gc()
    os.umask(0o077)  # its state is its owner's alone
    compression.install()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_run(settings, health))


def _tune_gc() -> None:
    """Collect less often: a chunk makes some 300,000 objects, none in cycles, and most of them die
    with it. Collecting at every 200,000 was 8 % of the worker's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 20)


def _end(code: int) -> NoReturn:
    """End the process at once: nothing that hangs may keep it, and any point is a safe one."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _run(settings: Settings, health: Health) -> None:
    health.beat()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    if fast_path.UNUSED is not None:
        logger.warning("challenge logs or events fold at half the rate: %s", fast_path.UNUSED)
    async with contextlib.AsyncExitStack() as stack:
        try:
            instance = take_instance(settings)
            context = await _context(settings, instance, stack)
        except (StoreError, ClientStopped, KafkaError, SettingsError) as error:
            logger.critical("the worker cannot start: %s", error)
            _end(1)
        app = build_app(context, instance.name)
        app.finalize()
        ticking = asyncio.ensure_future(_tick(context))
        watching = asyncio.ensure_future(_watch(app, context))
        answering = asyncio.ensure_future(_answer_dry_runs(app, context))
        code = await _serve(app, context, stopping, health)
        answering.cancel()
        watching.cancel()
        ticking.cancel()
        if context.tracing is not None:
            context.tracing.close()
        _end(code)


async def _tick(context: WorkerContext) -> None:
    try:
        await context.ticker.run()
    except Exception as error:
        logger.exception("the ticker failed")
        context.fail(error)


async def _answer_dry_runs(app: App, context: WorkerContext) -> None:
    try:
        await app.dry_runs.run()
    except Exception as error:
        logger.exception("dry runs are answered no more")
        context.fail(error)


async def _watch(app: App, context: WorkerContext) -> None:
    try:
        await membership.watch(app)
    except membership.NotWorking as error:
        context.fail(error)
    except Exception as error:
        logger.exception("the watch failed")
        context.fail(error)


async def _serve(app: App, context: WorkerContext, stopping: asyncio.Event, health: Health) -> int:
    starting: asyncio.Future[Any] = asyncio.ensure_future(app.start())
    health.works = lambda: starting.done() and not app.rebalancing and not stopping.is_set()
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    fatal: asyncio.Future[Any] = context.fatal
    try:
        await asyncio.wait({starting, stop, fatal}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not stop.done() and not context.fatal.done():
            starting.result()
            crash: asyncio.Future[Any] = asyncio.ensure_future(app.wait_until_stopped())
            await asyncio.wait({crash, stop, fatal}, return_when=asyncio.FIRST_COMPLETED)
    except Exception:
        logger.exception("the worker could not start")
        return 1
    if not stop.done() or context.fatal.done():
        error = context.fatal.result() if context.fatal.done() else app.crash_reason
        logger.critical("the worker stops: it cannot go on safely: %s", error)
        return 1
    logger.info("stopping")
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await app.stop()
            await context.producers.close()
            context.store.close_all_but(())
    except TimeoutError:
        logger.warning("did not stop within %d s; ending all the same", STOP_SECONDS)
    return 0


async def _context(
    settings: Settings, instance: WorkerInstance, stack: contextlib.AsyncExitStack
) -> WorkerContext:
    describer = await stack.enter_async_context(Describer(settings))
    cluster_id, reply_partitions = await _ask_broker(settings, describer)
    destinations = Destinations(settings, describer)
    await destinations.learn_limits()
    definitions = await stack.enter_async_context(DefinitionsReader(settings))
    ends = await stack.enter_async_context(EndOffsets(settings))
    log_ends = await stack.enter_async_context(EndOffsets(settings, "read_uncommitted"))
    producers, store = Producers(settings, destinations), StateStore(instance.directory)
    keys = MemberKeysReader(settings, lambda: [partition for partition, _ in store.items()])
    await stack.enter_async_context(keys)
    return WorkerContext(
        settings=settings,
        store=store,
        producers=producers,
        ends=ends,
        log_ends=log_ends,
        ticker=Ticker(
            settings,
            log_ends,
            lambda: producers.partitions,
            lambda partition, tick: store.is_due(partition, datetime.now(UTC), tick),
        ),
        definitions=definitions,
        member_keys=keys,
        reply_partitions=reply_partitions,
        cluster_id=cluster_id,
        destinations=destinations,
        describer=describer,
        tracing=tracing.begin(settings, "milestream-worker"),
    )


async def _ask_broker(settings: Settings, describer: Describer) -> tuple[str, Mapping[str, int]]:
    """Return the cluster's id, and how many partitions each topic has that may be replied to."""
    names = [settings.topic(REPLIES), *settings.reply_topics]
    topics = await describer.topics(names)
    return await describer.cluster_id(), {n: len(topic.leaders) for n, topic in topics.items()}
