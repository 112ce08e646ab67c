"""Bringing state stores to the end of their changelogs, in bulk, within a bound on memory.

When a store may go on from where it stands: Kafka compacts a deletion (a tombstone) away some time
after it was written, ``delete.retention.ms``. So every store knows a moment, ``as_of``: whatever
deletes one of its entries and is not in it yet was written, or first looked at by the compaction,
after that. A store that was level with its changelog was so as of then; one that is being restored
stays at the moment at which its reading began, for an entry that was read then may be deleted by
what is still to be read. While less than the retention has passed since, nothing can be missing.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from processor.context import WorkerContext
from processor.erasing import forgotten_in
from processor.store import PartitionStore, StoreError, erased
from schemas.kafka import consumers
from schemas.settings import Settings

logger = logging.getLogger(__name__)

FETCH_BYTES = 1024 * 1024
"""As they are on the changelog, compressed. aiokafka unpacks them batch by batch."""
RECORDS_A_READ = 5_000
"""At most, and fewer where the records before were large."""
READERS = 4
"""Partitions that are restored at once."""
RESTORE_BYTES = 64 * 1024 * 1024
"""What all readers together keep of entries before they write them out."""
ENTRY_BYTES = 200
"""What an entry takes in memory besides the bytes of its key and value."""
FEW_ENTRIES = 1_000
"""Below this, a normal batch is written: every ingested SST file adds compaction work."""

TOMBSTONES_SECONDS = 12 * 3600
"""For so long a deletion surely stays on the changelog: Kafka compacts it away a day after."""
SILENCE_SECONDS = 60
"""A changelog of which nothing came for so long is given up: the worker stops, and its next start
goes on from there."""


async def renew_outdated(context: WorkerContext, ends: Mapping[TopicPartition, int]) -> None:
    """Empty the stores that may have missed deletions.

    An entry that was deleted meanwhile, and its deletion compacted away, would stay in such a store
    for ever. What is emptied is restored from the beginning of the changelog, whose ``ends`` these
    are.

    Raises:
        StoreError: the broker does not send the changelog, or files cannot be deleted.
    """
    for place in await _overdue(context, ends):
        store = context.store[place.partition]
        if await _misses_nothing(context.settings, place, store.next_offset, ends[place]):
            continue
        logger.warning("%s is outdated and restored from nothing", store.path)
        context.store.renew(place.partition).belongs_to(context.origin)


async def _overdue(
    context: WorkerContext, ends: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """Name the changelogs whose stores are behind, and were so for too long."""
    now = time.time()
    overdue, unknown = [], []
    for place, end in ends.items():
        store = context.store[place.partition]
        if not 0 < store.next_offset < end:
            continue
        as_of = store.as_of
        # Written by a version that kept no time, or by a clock that was ahead.
        if as_of is None or as_of > now:
            unknown.append(place)
        elif now - as_of > TOMBSTONES_SECONDS:
            overdue.append(place)
    if unknown:
        kept = await context.ends.at(unknown, int((now - TOMBSTONES_SECONDS) * 1000))
        for place in unknown:
            surely_kept = kept[place]
            if surely_kept is None or context.store[place.partition].next_offset < surely_kept:
                overdue.append(place)
    return overdue


async def _misses_nothing(settings: Settings, place: TopicPartition, begin: int, end: int) -> bool:
    """Tell whether nothing was committed between two offsets: markers and aborted records only.

    Every chunk writes the partition's position, and compaction keeps the last one of them. So
    where no record is, none was.
    """
    async with changelog_reader(settings, place, begin) as consumer:
        silence = Silence(place)
        while await consumer.position(place) < end:
            fetched = await consumer.getmany(timeout_ms=50, max_records=1)
            if fetched:
                return bool(fetched[place][0].offset >= end)
            silence.check(await consumer.position(place))
    return True


async def restore(context: WorkerContext, ends: Mapping[TopicPartition, int], asked: float) -> int:
    """Read each changelog from where its store is up to its end; return how many records.

    ``asked`` is the moment (seconds since the epoch) at which the ends were asked for.

    Raises:
        StoreError: a store is ahead of its changelog, or the broker does not send it.
    """
    behind = []
    for place, end in ends.items():
        store = context.store[place.partition]
        if store.next_offset > end:
            raise StoreError(
                f"{store.path} is ahead of {place.topic}: the changelog was made anew; "
                "delete the worker's state to restore it"
            )
        if store.next_offset < end:
            behind.append(place)
    readers = asyncio.Semaphore(READERS)
    reads = [
        asyncio.create_task(_read(context, readers, place, ends[place], asked)) for place in behind
    ]
    try:
        return sum(await asyncio.gather(*reads))
    finally:
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


async def _read(
    context: WorkerContext,
    readers: asyncio.Semaphore,
    place: TopicPartition,
    end: int,
    asked: float,
) -> int:
    """Bring one store to the end of its changelog; return how many records were read."""
    restored = 0
    store = context.store[place.partition]
    async with readers, changelog_reader(context.settings, place, store.next_offset) as consumer:
        as_of = _as_of(store)
        pending = Pending(RESTORE_BYTES // READERS)
        silence = Silence(place)
        position = store.next_offset
        while position < end:
            fetched = await consumer.getmany(timeout_ms=50, max_records=pending.records_to_read)
            for records in fetched.values():
                pending.add([(record.key, record.value) for record in records])
                restored += len(records)
            # Commit markers and aborted records take offsets as well: the position passes them,
            # the last record's offset does not.
            reached = min(await consumer.position(place), end)
            if reached > position:  # a chunk waits where the partition is taken back
                context.outstanding.step()
            position = reached
            silence.check(position)
            if position == end or pending.full():
                entries = pending.take()
                entries |= erased(forgotten_in(entries))
                write = store.apply if len(entries) < FEW_ENTRIES else store.fill
                write(entries, position, as_of=asked if position == end else as_of)
    return restored


def _as_of(store: PartitionStore) -> float:
    """Return the moment that holds for a store until it is level with its changelog."""
    now = time.time()
    if store.next_offset == 0:
        return now
    known = store.as_of
    return now - TOMBSTONES_SECONDS if known is None or known > now else known


class Pending:
    """The entries that were read and are not in the store yet, within a bound in bytes."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: dict[bytes, bytes | None] = {}
        self._bytes = 0
        """At least what the entries take: one that is replaced is counted until it is looked at
        again."""
        self.records_to_read = min(RECORDS_A_READ, 64)
        """How many to read next: of the size of those before, so many fit in."""

    def add(self, records: list[tuple[bytes, bytes | None]]) -> None:
        """Take records, the last of a key counts."""
        size = sum(_size(key, value) for key, value in records)
        self._entries.update(records)
        self._bytes += size
        if records:
            # A quarter of the bound a read, and no more than four times as many as before.
            fitting = self._bound // 4 * len(records) // size
            self.records_to_read = max(1, min(fitting, 4 * len(records), RECORDS_A_READ))

    def full(self) -> bool:
        """Tell whether it is time to write them out."""
        if self._bytes < self._bound:
            return False
        self._bytes = sum(_size(key, value) for key, value in self._entries.items())
        return self._bytes >= self._bound // 2

    def take(self) -> dict[bytes, bytes | None]:
        """Give the entries away."""
        entries, self._entries, self._bytes = self._entries, {}, 0
        return entries


def _size(key: bytes, value: bytes | None) -> int:
    return len(key) + (0 if value is None else len(value)) + ENTRY_BYTES


class Silence:
    """Watches that a position moves."""

    def __init__(self, place: TopicPartition) -> None:
        self._place = place
        self._position = -1
        self._since = time.monotonic()

    def check(self, position: int) -> None:
        """Say where the reading stands.

        Raises:
            StoreError: it has stood there for too long.
        """
        now = time.monotonic()
        if position != self._position:
            self._position, self._since = position, now
        elif now - self._since > SILENCE_SECONDS:
            raise StoreError(
                f"{self._place.topic}, partition {self._place.partition}: the broker has sent "
                f"nothing after offset {position} for {SILENCE_SECONDS} s"
            )


@asynccontextmanager
async def changelog_reader(
    settings: Settings, place: TopicPartition, offset: int
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of one partition, from an offset on. With one each, the next fetch of a
    partition is under way while the entries of another are written.

    Raises:
        KafkaConnectionError: the broker does not answer.
    """
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            await consumer.start()
    except TimeoutError as error:
        raise KafkaConnectionError(f"no answer for {SILENCE_SECONDS} s") from error
    try:
        consumer.assign([place])
        consumer.seek(place, offset)
        yield consumer
    finally:
        await consumer.stop()
