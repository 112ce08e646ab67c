"""The resources of one API process: opened when it starts, closed when it ends."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaProducer
from fastapi import Request
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.auth.credentials import Keyring
from api.auth.quotas import Quotas
from api.auth.shared_answers import SharedAnswers
from api.auth.shares import Reads, Shares
from api.auth.viewing_pace import ViewingPace
from api.database_deadline import STATEMENT_SECONDS, TimedConnection, quickly
from api.dead_letters.turns import Turns
from api.dead_letters.watch import RedrivenWatch
from api.kafka import clients
from api.kafka.barrier import Barrier
from api.kafka.chunk_finder import ChunkFinder
from api.kafka.clocks import Clocks
from api.kafka.definition_history import DefinitionHistory
from api.kafka.definition_store import DefinitionStore
from api.kafka.lag import LagWatch
from api.kafka.processor_client import ProcessorClient
from api.kafka.record_reader import RecordReader
from api.kafka.sealer import Sealer
from api.kafka.tick_watch import TickWatch
from api.metrics import Metrics
from api.recalculating.starting import Starting
from api.siblings import Siblings
from schemas import database_connections, database_roles
from schemas.kafka.definitions_reader import DefinitionSetReader
from schemas.kafka.health import producer_fault
from schemas.settings import Settings
from schemas.tracing import Tracing

logger = logging.getLogger(__name__)

POOL_SIZE = 16
READS = 10
"""Connections for reads; the others are for writes of definitions and for short queries of every
request."""
POOL_TIMEOUT_SECONDS = 5.0
CHECK_SECONDS = 1.0
"""The age after which an idle connection is checked before its use. One that the server closes in
between fails one request with 503 and is replaced."""
EXPLANATIONS = 4
"""Explanations that are worked at together, two of one project; each may hold all logs of a
progress."""
COMPARISONS = 2
"""Definitions that are written out and compared together, one of one project; each takes a thread
and the processor."""


@dataclass(frozen=True)
class Resources:
    """Connections to broker and database, and the objects that use them."""

    settings: Settings
    metrics: Metrics
    siblings: Siblings
    pool: AsyncConnectionPool[AsyncConnection]
    reads: Reads
    shared_answers: SharedAnswers
    viewing_pace: ViewingPace
    keyring: Keyring
    processor: ProcessorClient
    sealer: Sealer
    definitions: DefinitionStore
    clocks: Clocks
    barrier: Barrier
    lag: LagWatch
    ticks: TickWatch
    quotas: Quotas
    records: RecordReader
    chunks: ChunkFinder
    redriven: RedrivenWatch
    redrives: Turns
    recalculations: Starting
    explaining: Shares
    """One permit for each explanation that is worked at."""
    comparing: Shares
    """One permit for each comparison of definitions."""
    background: tuple[asyncio.Task[None], ...]
    kafka_faults: Mapping[str, Callable[[], str | None]]
    """The health checks of the Kafka clients, by the client's name; they return why one has
    failed."""

    def fault(self) -> str | None:
        """Return which background task or client has failed, and why; None where all work."""
        for task in self.background:
            if task.done():
                failure = None if task.cancelled() else task.exception()
                return f"the task {task.get_name()} has ended: {failure!r}"
        for name, ask in self.kafka_faults.items():
            if (fault := ask()) is not None:
                return f"{name}: {fault}"
        return None

    def failed(self) -> bool:
        """Tell whether a background task or client has failed."""
        return self.fault() is not None


def of(request: Request) -> Resources:
    """Return the resources of the process that serves a request."""
    resources: Resources = request.app.state.resources
    return resources


class _Check:
    """Checks a connection before its use, unless it was checked a moment ago."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[AsyncConnection, float] = WeakKeyDictionary()

    async def __call__(self, connection: AsyncConnection) -> None:
        """Check the connection.

        Raises:
            OperationalError: it does not.
        """
        if time.monotonic() - self._seen.get(connection, -math.inf) > CHECK_SECONDS:
            with quickly():
                await AsyncConnectionPool.check_connection(connection)
            self._seen[connection] = time.monotonic()


def connection_pool(settings: Settings) -> AsyncConnectionPool[AsyncConnection]:
    """Return a closed pool of connections whose time zone is UTC.

    Statements commit on their own: most requests make one query, and a transaction would take as
    long as the query.
    """
    return AsyncConnectionPool(
        settings.database_url,
        connection_class=TimedConnection,
        kwargs={
            "autocommit": True,
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_SECONDS}s",
            "application_name": "milestream-api",
            **database_connections.LIVENESS,
        },
        min_size=2,
        max_size=POOL_SIZE,
        timeout=POOL_TIMEOUT_SECONDS,
        check=_Check(),
        configure=_take_role,
        open=False,
    )


async def _take_role(connection: AsyncConnection) -> None:
    """Reduce the login's rights to the API's role."""
    await connection.execute(database_roles.TAKE, (database_roles.API,))


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    metrics: Metrics,
    siblings: Siblings | None = None,
    tracing: Tracing | None = None,
) -> AsyncIterator[Resources]:
    """Open everything, and close it again in the opposite order. The topics must be there.

    Without `siblings` this is the only process.

    Raises:
        psycopg.Error, KafkaError: the database or the broker cannot be reached.
    """
    siblings = Siblings() if siblings is None else siblings
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(connection_pool(settings))
        await pool.wait()
        producer = await _producer(stack, settings)
        reader = await stack.enter_async_context(DefinitionSetReader(settings, DefinitionHistory()))
        processor = ProcessorClient(settings, producer, metrics, siblings.share_of, tracing)
        stack.push_async_callback(processor.stop)
        await processor.start()
        barrier = Barrier(settings, pool, metrics)
        stack.push_async_callback(barrier.stop)
        await barrier.start()
        lag = LagWatch(barrier, metrics)
        ticks = TickWatch(settings, metrics)
        stack.push_async_callback(ticks.stop)
        await ticks.start()
        records = RecordReader(settings)
        stack.push_async_callback(records.stop)
        await records.start()
        definitions = DefinitionStore(settings, pool, reader, producer)
        quotas = Quotas()
        sealer = Sealer(settings, producer)
        recalculations = Starting(settings, pool)
        stack.push_async_callback(recalculations.stop)
        background = (
            asyncio.create_task(sealer.run(), name="members' keys"),
            asyncio.create_task(processor.run(), name="replies"),
            asyncio.create_task(lag.run(), name="lag"),
            asyncio.create_task(ticks.run(), name="ticks"),
            asyncio.create_task(definitions.follow(), name="definitions"),
            asyncio.create_task(quotas.run(pool), name="quotas"),
            asyncio.create_task(recalculations.run(), name="recalculations"),
        )
        stack.push_async_callback(_end, background)
        await sealer.started(background[0])
        yield Resources(
            settings=settings,
            metrics=metrics,
            siblings=siblings,
            pool=pool,
            reads=Reads(pool, READS),
            shared_answers=SharedAnswers(),
            viewing_pace=ViewingPace(),
            keyring=Keyring(pool, settings.master_key),
            processor=processor,
            sealer=sealer,
            definitions=definitions,
            clocks=Clocks(settings, pool, producer, barrier),
            barrier=barrier,
            lag=lag,
            ticks=ticks,
            quotas=quotas,
            records=records,
            chunks=ChunkFinder(records),
            redriven=RedrivenWatch(settings, records),
            redrives=Turns(pool),
            recalculations=recalculations,
            explaining=Shares(EXPLANATIONS),
            comparing=Shares(COMPARISONS),
            background=background,
            kafka_faults={
                "the producer": partial(producer_fault, producer),
                "the reader of definitions": reader.fault,
                "the reader of replies": processor.fault,
                "the reader of members' keys": sealer.fault,
                "the reader of ends": barrier.fault,
                "the reader of ticks": ticks.fault,
                "the reader of records": records.fault,
            },
        )


async def _producer(stack: contextlib.AsyncExitStack, settings: Settings) -> AIOKafkaProducer:
    producer = clients.producer(settings)
    stack.push_async_callback(producer.stop)
    await producer.start()
    return producer


async def _end(tasks: tuple[asyncio.Task[None], ...]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            logger.error("a background task had failed", exc_info=result)
