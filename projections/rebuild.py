"""A read model anew: built beside the live one from its topics' beginning, then swapped in."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, LockNotAvailable

from projections import checkpoints, shadow_tables
from projections.batch import Batch, CheckpointKey
from projections.catalogue import PROJECTIONS
from projections.database import Connection, TableWriter, connect
from projections.feed import FIRST_RECORDS, consumer, partitions_of, records_to_take
from projections.source_binding import bind, cluster_id, topic_ids
from schemas.kafka.removal import Removals
from schemas.settings import Settings

NEAR = 2_000
"""Offsets behind the live table at which the swap begins, during which that stands still."""

SILENCE_S = 60.0

SWAP_TRIES = 60
"""How often, a second apart, the swap is tried while somebody reads the live table."""

# As long as its session lasts: no transaction is kept open, and no other login can hold it.
_BEGIN = """
INSERT INTO milestream_private.rebuilds AS held (read_model, pid, backend_start)
SELECT %s, pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()
ON CONFLICT (read_model) DO UPDATE
SET pid = excluded.pid, backend_start = excluded.backend_start
WHERE NOT EXISTS (
    SELECT FROM pg_stat_activity AS living
    WHERE living.pid = held.pid AND living.pid <> pg_backend_pid()
        AND coalesce(living.backend_start = held.backend_start, true)
)
"""
_END = """
DELETE FROM milestream_private.rebuilds WHERE read_model = %s AND pid = pg_backend_pid()
"""

Report = Callable[[int, int], None]
"""Called with the offsets done and the offsets there are, now and then."""


class RebuildFailed(Exception):
    """The live table is as it was; the message says why."""


async def rebuild(settings: Settings, table: str, report: Report) -> int:
    """Rebuild one read model, with what is derived from it, and return its number of rows.

    Killed at any moment it leaves the live table as it was, and at most a twin that the next
    rebuild removes. Projectors may run meanwhile.

    Raises:
        RebuildFailed: another rebuild of the table is running, or the broker fell silent.
        OtherSource: the database is that of another cluster or topic prefix.
        MissingTopics, KafkaError: the broker has not got the topics, or does not answer.
        UndecodableOutput: a record cannot be read.
        psycopg.Error: the database refuses.
    """
    # An index of a large table may take any time.
    connection = await connect(settings.database_url, "milestream-rebuild", AsyncConnection)
    async with connection:
        await bind(connection, settings, await cluster_id(settings))
        async with _alone(connection, table):
            await _build(settings, table, connection, report)
            cursor = await connection.execute(_count(table))
            return int((await cursor.fetchall())[0][0])


@asynccontextmanager
async def _alone(connection: Connection, table: str) -> AsyncIterator[None]:
    """Let nobody else rebuild the table meanwhile.

    Raises:
        RebuildFailed: somebody does.
    """
    if (await connection.execute(_BEGIN, [table])).rowcount != 1:
        raise RebuildFailed(f"{table} is being rebuilt already")
    try:
        yield
    finally:
        if not connection.broken:
            await connection.execute(_END, [table])


async def _build(settings: Settings, table: str, connection: Connection, report: Report) -> None:
    tables = PROJECTIONS[table].tables
    for one in tables:
        await shadow_tables.create(connection, one)
    async with consumer(settings, group_id=None, client_id="milestream-rebuild") as reader:
        twin = _Twin(settings, table, connection, reader, report)
        await twin.begin()
        for _ in range(SWAP_TRIES):
            while await twin.distance() > NEAR:
                await twin.fill()
            for one in tables:
                await connection.execute(_analyze(one))
            if await _swap(connection, table, twin):
                return
            await asyncio.sleep(1)
        raise RebuildFailed(f"somebody keeps reading or changing {table}: try again later")


async def _swap(connection: Connection, table: str, twin: "_Twin") -> bool:
    """Complete the twin and put it in place; False, and nothing has changed, if readers are in
    the way: to wait for them would keep projectors and new readers waiting too."""
    before = twin.offsets()
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            live = twin.reaches(await checkpoints.lock(connection, table))
            await shadow_tables.lock_live(connection, PROJECTIONS[table].tables)
            await twin.fill_to(live)
            await checkpoints.begin_again(connection, twin.made_anew)
            for one in PROJECTIONS[table].tables:
                await shadow_tables.swap(connection, one)
    except (LockNotAvailable, DeadlockDetected):
        twin.go_back(before)  # the rows that led here were rolled back
        return False
    return True


def _analyze(table: str) -> bytes:
    return f"ANALYZE {shadow_tables.PRIVATE}.{table}_rebuilt".encode()


def _count(table: str) -> bytes:
    return f"SELECT count(*) FROM milestream.{table}".encode()  # noqa: S608  (of the catalogue)


class _Twin:
    """The table that is being built, and how far it has come."""

    def __init__(
        self,
        settings: Settings,
        table: str,
        connection: Connection,
        reader: AIOKafkaConsumer,
        report: Report,
    ) -> None:
        self._settings = settings
        self._projection = PROJECTIONS[table]
        self._connection = connection
        self._reader = reader
        self._report = report
        self._writer = TableWriter(self._projection, shadow_tables.twin_of)
        self._next: dict[TopicPartition, int] = {}
        self._places: dict[TopicPartition, CheckpointKey] = {}
        self._first = 0
        self._records_to_take = FIRST_RECORDS
        self.made_anew: dict[CheckpointKey, UUID] = {}
        """The checkpoints of topics that were deleted and made anew, with the new ids. The twin has
        nothing of those topics: they are projected from their beginning after the swap."""

    async def begin(self) -> None:
        """Find the partitions and go to their beginnings."""
        await self._writer.prepare(self._connection)
        table = self._projection.table
        for topic, number in await partitions_of(self._settings, self._projection.topics):
            tp = TopicPartition(self._settings.topic(topic), number)
            self._places[tp] = CheckpointKey(table, topic, number)
        # They must be there to be locked, also where no projector has ever run.
        places = list(self._places.values())
        await checkpoints.read(self._connection, places)
        ids = await topic_ids(self._settings, places)
        others = await checkpoints.bind(self._connection, ids)
        self.made_anew = {place: ids[place] for place in others}
        self._reader.assign(list(self._places))
        self._next = {
            tp: int(offset)
            for tp, offset in (await self._reader.beginning_offsets(list(self._places))).items()
        }
        removals = Removals(lambda _topic, _offsets: None)
        for tp, offset in self._next.items():
            removals.look(tp, 0, offset)
        self._first = sum(self._next.values())
        for tp, offset in self._next.items():
            self._reader.seek(tp, offset)

    def reaches(self, live: Mapping[CheckpointKey, int]) -> dict[CheckpointKey, int]:
        """Return up to where the twin is to be filled, where the live table is at ``live``."""
        return {place: 0 if place in self.made_anew else live[place] for place in live}

    async def _live(self) -> dict[CheckpointKey, int]:
        return self.reaches(await checkpoints.read(self._connection, list(self._places.values())))

    def offsets(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition: all before it is in the twin."""
        return dict(self._next)

    def go_back(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from earlier offsets, for what was written since was rolled back."""
        for tp, offset in offsets.items():
            self._next[tp] = offset
            self._reader.seek(tp, offset)

    async def distance(self) -> int:
        """Return how many offsets the live table is ahead."""
        live = await self._live()
        self._report(sum(self._next.values()) - self._first, sum(live.values()) - self._first)
        return sum(max(0, live[place] - self._next[tp]) for tp, place in self._places.items())

    async def fill(self) -> None:
        """Write what the next fetch brings. It may pass the live table: see ``fill_to``."""
        live = await self._live()
        batch = await self._read(live)
        async with self._connection.transaction():
            await self._write(batch)

    async def fill_to(self, live: dict[CheckpointKey, int]) -> None:
        """Write exactly what is missing, in the caller's transaction."""
        batch = self._new_batch()
        while any(self._next[tp] < live[place] for tp, place in self._places.items()):
            await self._read(live, batch)
        await self._write(batch)
        done = sum(self._next.values()) - self._first
        self._report(done, done)

    def _new_batch(self) -> Batch:
        return Batch({self._projection.table: self._projection})

    async def _read(self, live: dict[CheckpointKey, int], batch: Batch | None = None) -> Batch:
        """Take the next records, but none that the live table has not."""
        batch = self._new_batch() if batch is None else batch
        before = dict(self._next)
        deadline = time.monotonic() + SILENCE_S
        while before == self._next:
            if time.monotonic() > deadline:
                raise RebuildFailed(f"Kafka has sent nothing for {SILENCE_S:.0f} s")
            wanted = [tp for tp, place in self._places.items() if self._next[tp] < live[place]]
            fetched = await self._reader.getmany(
                *wanted, timeout_ms=200, max_records=self._records_to_take
            )
            if fetched:
                self._records_to_take = records_to_take(fetched.values())
            for tp in wanted:
                place, offset = self._places[tp], self._next[tp]
                end = min(int(await self._reader.position(tp)), live[place])
                records = [r for r in fetched.get(tp, ()) if r.offset < end]
                batch.take(place.topic, place.partition, records, {place.table: offset}, end)
                self._next[tp] = max(offset, end)
                if end < await self._reader.position(tp):
                    self._reader.seek(tp, end)  # what was read too much is for the next time
        return batch

    async def _write(self, batch: Batch) -> None:
        for changes in batch.changes.values():
            await self._writer.write(self._connection, changes)
