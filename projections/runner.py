"""The projector: batches from the feed, each in one transaction with its checkpoints."""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Mapping

import psycopg
from aiokafka.errors import KafkaConnectionError, KafkaError

from projections.batch import Batch
from projections.catalogue import PROJECTIONS
from projections.checkpoints import CheckpointConflict
from projections.database import ANSWER_S, Database
from projections.feed import CheckpointOutOfRange, Feed, MissingTopics, NoAssignment
from projections.metrics import Metrics
from projections.migrate import migrate
from projections.projection import Projection
from projections.source_binding import OtherSource, bind, cluster_id
from projections.sources import UndecodableOutput
from schemas.kafka.health import ClientStopped
from schemas.kafka.removal import Removals
from schemas.settings import Settings
from schemas.tracing import Tracing

logger = logging.getLogger(__name__)

PATIENCE_S = 120.0
"""How long a database or broker may fail before the projector stops."""

FEW_RECORDS = 1_000
GATHER_S = 0.05
"""After a small batch more is let come, for a transaction costs as much for one record as for
many: a flow of records one by one makes 20 a second at most, and the first is not delayed."""
CONFLICT_PAUSE_S = 0.02
LONGEST_PAUSE_S = 2.0
HEALTHY_S = ANSWER_S + 10.0
"""A try that went well for so long has nothing to do with the failures before it. One that waits
for its first answer in vain takes less."""

TELL_S = 1.0
"""How often metrics of the lag are set."""

DATABASE_FAILURES = (psycopg.OperationalError, psycopg.InterfaceError)


class ProjectorStopped(Exception):
    """The projector cannot go on; the message says why and what to do."""


class Patience:
    """Pauses that grow while something fails, and an end to them."""

    def __init__(self, limit_s: float, stopping: asyncio.Event, metrics: Metrics) -> None:
        self._limit = limit_s
        self._stopping = stopping
        self._metrics = metrics
        self._first = self._last = 0.0
        self._pause = 0.0

    def relieve(self) -> None:
        """Forget the failures: things work again."""
        self._pause = 0.0

    async def wait(self, cause: str, error: Exception) -> None:
        """Pause before another try; less when told to stop.

        Raises:
            ProjectorStopped: it has been failing for too long.
        """
        now = time.monotonic()
        if self._pause == 0.0 or now - self._last > HEALTHY_S:
            self._first, self._pause = now, 0.05
        self._last = now
        if now - self._first > self._limit:
            raise ProjectorStopped(f"{cause} failed for {self._limit:.0f} s: {error}") from error
        self._metrics.retries.labels(cause).inc()
        logger.warning("%s: %s; trying again", cause, error)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)
        try:
            await asyncio.wait_for(self._stopping.wait(), self._pause)
        except TimeoutError:
            return


class Runner:
    """Keeps read models up to date until it is told to stop.

    Any number of runners may run: a group shares the partitions out, and where two hold the same
    one for a while, the checkpoint lets each batch in once.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        projections: Mapping[str, Projection] = PROJECTIONS,
        partitions: Collection[tuple[str, int]] | None = None,
        patience_s: float = PATIENCE_S,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._settings = settings
        self._metrics = Metrics() if metrics is None else metrics
        self._projections = projections
        self._partitions = partitions
        self._patience_s = patience_s
        self._told = -math.inf
        self.projects = False
        """Whether records are being read and written now."""
        self._stopping = asyncio.Event()
        self._patience = Patience(patience_s, self._stopping, self._metrics)
        self._writing: asyncio.Task[None] | None = None
        self._removals = Removals(
            lambda topic, offsets: self._metrics.removed.labels(topic).inc(offsets)
        )

    def stop(self) -> None:
        """Ask the runner to finish the transaction under way and return."""
        self._stopping.set()

    async def migrate(self) -> None:
        """Bring the database up to date; waits for one that is still starting.

        Raises:
            MigrationError: the database was migrated by a newer version.
            ProjectorStopped: the database was not there for too long.
        """
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(migrate, self._settings.database_url)
            except DATABASE_FAILURES as error:
                await self._patience.wait("PostgreSQL", error)
            else:
                return

    async def run(self) -> None:
        """Project until ``stop`` is called.

        Raises:
            ProjectorStopped: an output cannot be read, a topic does not fit the checkpoints, the
                database is that of another cluster or prefix, or database or broker were gone for
                too long.
        """
        while not self._stopping.is_set():
            feed = Feed(
                self._settings,
                self._projections,
                self._partitions,
                self._removals,
                traced=self._tracing is not None,
            )
            try:
                async with feed:
                    await self._with_database(feed, await cluster_id(self._settings))
            except (KafkaConnectionError, MissingTopics, NoAssignment) as error:
                await self._patience.wait("Kafka", error)
            except KafkaError as error:
                if not error.retriable:
                    raise ProjectorStopped(f"Kafka refuses: {error}") from error
                await self._patience.wait("Kafka", error)
            except (UndecodableOutput, CheckpointOutOfRange, OtherSource, ClientStopped) as error:
                raise ProjectorStopped(str(error)) from error

    async def _with_database(self, feed: Feed, cluster: str) -> None:
        while not self._stopping.is_set():
            try:
                database = await Database.open(self._settings.database_url, self._projections)
                try:
                    await bind(database.connection, self._settings, cluster)
                    await self._project(feed, database)
                finally:
                    await database.close()
            except DATABASE_FAILURES as error:
                await self._patience.wait("PostgreSQL", error)

    async def _project(self, feed: Feed, database: Database) -> None:
        """One batch is decoded while the one before it is written."""
        feed.forget()  # the database's checkpoints tell whether the last commit succeeded
        try:
            while not self._stopping.is_set():
                if feed.unplaced():
                    await self._settle(feed)
                    await feed.place(database.connection)
                batch = await feed.next_batch()
                self.projects = True
                # Also before a batch of nothing: after the last records of a busy time comes
                # nothing else that would show how the transaction before went.
                if await self._settle(feed) and batch.moves:
                    self._writing = asyncio.create_task(self._write(database, batch))
                    if batch.records < FEW_RECORDS:
                        await asyncio.sleep(GATHER_S)
                self._watch(feed)
            await self._settle(feed)
        finally:
            self.projects = False
            if self._writing is not None:
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
                self._writing = None

    async def _settle(self, feed: Feed) -> bool:
        """Wait for the transaction under way; False if another projector was there first.

        What was decoded meanwhile followed on it, and is then not to be written either.
        """
        if self._writing is None:
            return True
        writing, self._writing = self._writing, None
        # Not cancelled where it takes too long: that would wait for the database as well.
        if not (await asyncio.wait([writing], timeout=self._patience_s))[0]:
            raise ProjectorStopped(f"PostgreSQL takes no batch for {self._patience_s:.0f} s")
        try:
            await writing
        except CheckpointConflict:
            self._metrics.conflicts.inc()
            logger.info("another projector wrote the same records; going on from its checkpoints")
            feed.forget()
            await asyncio.sleep(CONFLICT_PAUSE_S)
            return False
        self._patience.relieve()
        return True

    async def _write(self, database: Database, batch: Batch) -> None:
        begin = time.perf_counter()
        if self._tracing is None or not batch.traced:
            await database.write(batch)
        else:
            with self._tracing.working_at("project", batch.traced):
                await database.write(batch)
        self._metrics.transaction_seconds.observe(time.perf_counter() - begin)
        self._metrics.batch_records.observe(batch.records)
        for table, changes in batch.changes.items():
            if changes:
                self._metrics.rows.labels(table).inc(len(changes))

    def _watch(self, feed: Feed) -> None:
        if time.monotonic() - self._told < TELL_S:
            return
        self._told = time.monotonic()
        for (topic, partition), lag in feed.lags().items():
            self._metrics.lag.labels(topic, partition).set(lag)
        silence = feed.silence()
        if silence > self._patience_s:
            raise ProjectorStopped(f"Kafka has not answered for {silence:.0f} s")
