"""Recovery: take the partitions, then bring their stores to the end of the changelog, in bulk.

The order is what keeps two owners apart: the partition's producer is opened first, which aborts
and fences the earlier owner, and only then is the changelog's end asked for. Stock Faust reads
4,000 records a second here, and hangs for ever on the commit marker at the end of a transactional
changelog; this takes 3.5 µs of processor time a record and is done by position.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP
from typing_extensions import override

from processor import metrics
from processor.shell import Shell
from processor.store import PartitionStore, StoreError
from schemas.kafka import consumers
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, changelog_topic

logger = logging.getLogger(__name__)

FETCH_BYTES = 1024 * 1024
"""As they are on the changelog, compressed: some ten times as much in memory."""
RECORDS_A_BATCH = 5_000
READERS = 4
"""Partitions that are restored at once."""
ENTRIES_A_FILE = 65_536
"""Of some 300 bytes in memory: 20 MB a reader."""
FEW_ENTRIES = 1_000
"""So few are written as a chunk's are; each file that is taken over is one more to compact."""

TOMBSTONES_SECONDS = 12 * 3600
"""For so long a deletion surely stays on the changelog: Kafka compacts it away a day after."""


class FencedRecovery(Recovery):
    """Faust's recovery with its reading replaced; its life cycle stays."""

    @property
    def shell(self) -> Shell:
        """The parts of this worker."""
        shell: Shell = cast("Any", self.app).shell
        return shell

    @override
    async def _build_highwaters(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        # The first thing that Faust's recovery does with the active partitions, and so the place
        # to fence and to restore. Equal offsets and highwaters then leave Faust nothing to do.
        if title != "active":
            destination.clear()
            return
        try:
            ends = await take_over(self.shell, {tp.partition for tp in self.active_tps})
        except Exception as error:
            logger.exception("recovery failed")
            self.shell.fail(error)
            raise
        reached = {tp: ends[tp.partition] - 1 for tp in self.active_tps}
        for counter in (destination, self.active_offsets):
            counter.clear()
            counter.update(reached)

    @override
    async def _build_offsets(self, *_: Any) -> None:
        """Done by ``_build_highwaters``."""

    @override
    async def _seek_offsets(self, *_: Any) -> None:
        """Nothing of the changelog is read through the group's consumer."""

    @override
    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        # Faust's takes a time-out for a stop of the service, ends the recovery task silently and
        # leaves the worker hanging. A restore may take as long as it needs.
        rebalance: Any = self.signal_recovery_start
        result = await self.wait_first(coro, rebalance)
        if result.stopped:
            raise ServiceStopped
        if rebalance in result.done:
            raise RebalanceAgain


class FencedTableManager(TableManager):
    """Gives the application our recovery."""

    @property
    def recovery(self) -> FencedRecovery:
        """The recovery service, made at first use."""
        if self._recovery is None:
            self._recovery = FencedRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("FencedRecovery", self._recovery)


async def take_over(shell: Shell, partitions: set[int]) -> Mapping[int, int]:
    """Fence the earlier owners of ``partitions``, then restore their stores.

    Returns the changelog offset that each was brought to.

    Raises:
        StoreError: a store cannot be opened, or does not fit the changelog or the inputs.
    """
    started = time.monotonic()
    shell.store.close_all_but(partitions)
    await shell.producers.fence(partitions)
    fenced = time.monotonic()
    stores = {p: shell.store.open(p) for p in sorted(partitions)}
    for store in stores.values():
        store.belongs_to(shell.origin)
    topic = shell.settings.topic(changelog_topic(shell.settings.application_id).name)
    ends = await shell.ends.of([TopicPartition(topic, p) for p in stores])
    await _renew_outdated(shell, ends)
    stores = dict(shell.store.items())
    places = {TopicPartition(topic, p): store for p, store in stores.items()}
    restored = await _restore(shell, places, ends)
    await _check_inputs(shell, stores)
    seconds = time.monotonic() - started
    metrics.RECOVERED_RECORDS.inc(restored)
    metrics.RECOVERY_SECONDS.observe(seconds)
    shell.ticker.soon(partitions)  # what ended in the meantime is found at once
    logger.info(
        "took over partitions %s: %d changelog records in %.2f s, of which fencing took %.2f s",
        sorted(partitions), restored, seconds, fenced - started,
    )  # fmt: skip
    return {place.partition: ends[place] for place in places}


async def _renew_outdated(shell: Shell, ends: Mapping[TopicPartition, int]) -> None:
    """Empty the stores that stood still for so long that they may have missed deletions.

    An entry that was deleted meanwhile, and its deletion compacted away, would stay in such a store
    for ever. What is emptied is restored from the beginning of the changelog, whose ``ends`` these
    are.
    """
    behind = {
        place: shell.store[place.partition]
        for place, end in ends.items()
        if 0 < shell.store[place.partition].next_offset < end
    }
    if not behind:
        return
    kept = await shell.ends.at(behind, int((time.time() - TOMBSTONES_SECONDS) * 1000))
    for place, store in behind.items():
        surely_kept = kept[place]
        if surely_kept is None or store.next_offset < surely_kept:
            logger.info("%s is outdated and restored from nothing", store.path)
            shell.store.renew(place.partition).belongs_to(shell.origin)


async def _restore(
    shell: Shell,
    stores: Mapping[TopicPartition, PartitionStore],
    ends: Mapping[TopicPartition, int],
) -> int:
    """Read each changelog from where its store is up to its end; return how many records."""
    behind = {place: store for place, store in stores.items() if store.next_offset < ends[place]}
    for place, store in stores.items():
        if store.next_offset > ends[place]:
            raise StoreError(
                f"{store.path} is ahead of {place.topic}: the changelog was made anew; "
                "delete the worker's state to restore it"
            )
    readers = asyncio.Semaphore(READERS)
    reads = [
        asyncio.create_task(_read(shell.settings, readers, place, store, ends[place]))
        for place, store in behind.items()
    ]
    try:
        return sum(await asyncio.gather(*reads))
    finally:
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


async def _read(
    settings: Settings,
    readers: asyncio.Semaphore,
    place: TopicPartition,
    store: PartitionStore,
    end: int,
) -> int:
    """Bring one store to the end of its changelog; return how many records were read."""
    restored = 0
    entries: dict[bytes, bytes | None] = {}
    async with readers, changelog_reader(settings, place, store.next_offset) as consumer:
        position = store.next_offset
        while position < end:
            fetched = await consumer.getmany(timeout_ms=50, max_records=RECORDS_A_BATCH)
            for records in fetched.values():
                entries.update([(record.key, record.value) for record in records])
                restored += len(records)
            # Commit markers and aborted records take offsets as well: the position passes them,
            # the last record's offset does not.
            position = min(await consumer.position(place), end)
            if position == end or len(entries) >= ENTRIES_A_FILE:
                write = store.apply if len(entries) < FEW_ENTRIES else store.fill
                write(entries, position)
                entries.clear()
    return restored


@asynccontextmanager
async def changelog_reader(
    settings: Settings, place: TopicPartition, offset: int
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of one partition, from an offset on. With one each, the next fetch of a
    partition is under way while the entries of another are written."""
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign([place])
        consumer.seek(place, offset)
        yield consumer
    finally:
        await consumer.stop()


async def _check_inputs(shell: Shell, stores: Mapping[int, PartitionStore]) -> None:
    """Refuse to go on where state and inputs do not belong together.

    The state knows how far each input was folded. An input that ends before that was made anew;
    folding it from its beginning would take its records for repeated ones, and lose them.
    """
    topic = shell.settings.topic
    places = {(p, n): TopicPartition(topic(n), p) for p in stores for n in INPUT_TOPICS}
    ends = await shell.ends.of(set(places.values()))
    for (partition, name), place in places.items():
        folded = stores[partition].position().offsets.get(name, 0)
        if folded > ends[place]:
            raise StoreError(
                f"{place.topic}, partition {partition} ends at {ends[place]}, but was folded up to "
                f"{folded}: the topic was made anew under a state that is older; use another "
                "MILESTREAM_APPLICATION_ID or MILESTREAM_TOPIC_PREFIX"
            )
