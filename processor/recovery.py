"""Recovery: take the partitions, then bring their stores to the end of the changelog, in bulk.

The order is what keeps two owners apart: the partition's producer is opened first, which aborts
and fences the earlier owner, and only then is the changelog's end asked for. Stock Faust reads
4,000 records a second here, and hangs for ever on the commit marker at the end of a transactional
changelog; this takes 3.5 µs of processor time a record and is done by position.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from aiokafka import TopicPartition
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP
from typing_extensions import override

from processor import bound_topics, metrics
from processor.context import WorkerContext
from processor.restoring import renew_outdated, restore
from processor.store import PartitionStore, StoreError
from processor.transactions import Fenced, Superseded, always
from schemas.topics import INPUT_TOPICS, changelog_topic

logger = logging.getLogger(__name__)


class FencedRecovery(Recovery):
    """Faust's recovery with its reading replaced; its life cycle stays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._revocations = 0
        self._taking_over: asyncio.Task[Mapping[int, int]] | None = None

    @property
    def context(self) -> WorkerContext:
        """The parts of this worker."""
        context: WorkerContext = cast("Any", self.app).context
        return context

    @override
    async def _build_highwaters(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        # The first thing that Faust's recovery does with the active partitions, and so the place
        # to fence and to restore. Equal offsets and highwaters then leave Faust nothing to do.
        if title != "active":
            destination.clear()
            return
        await self._give_up_earlier()
        is_current = self._is_current()
        self._taking_over = asyncio.create_task(
            take_over(self.context, {tp.partition for tp in self.active_tps}, is_current)
        )
        try:
            ends = await self._taking_over
        except Superseded as superseded:
            logger.info("recovery is given up: %s", superseded)
            raise RebalanceAgain from superseded
        except Exception as error:
            if isinstance(error, Fenced) and not is_current():  # by whom the rebalance gave it to
                logger.info("recovery is given up: %s", error)
                raise RebalanceAgain from error
            logger.exception("recovery failed")
            self.context.fail(error)
            raise
        reached = {tp: ends[tp.partition] - 1 for tp in self.active_tps}
        for counter in (destination, self.active_offsets):
            counter.clear()
            counter.update(reached)

    @override
    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Whatever is being taken over may be another worker's from now on."""
        self._revocations += 1
        super().on_partitions_revoked(revoked)

    def _is_current(self) -> Callable[[], bool]:
        """Return what tells whether no rebalance began after this."""
        begun = self._revocations
        return lambda: self._revocations == begun

    async def _give_up_earlier(self) -> None:
        """End a recovery that a rebalance came upon. Faust cancels it, and does not wait."""
        if self._taking_over is not None:
            self._taking_over.cancel()
            await asyncio.gather(self._taking_over, return_exceptions=True)

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


async def take_over(
    context: WorkerContext, partitions: set[int], is_current: Callable[[], bool] = always
) -> Mapping[int, int]:
    """Fence the earlier owners of ``partitions``, then restore their stores.

    ``is_current`` tells whether no rebalance began since the partitions were assigned. Returns the
    changelog offset that each was brought to.

    Raises:
        Superseded: a rebalance began before all were fenced.
        Overdue: the broker did not answer in time.
        StoreError: a store cannot be opened, or does not fit the changelog or the inputs.
    """
    started = time.monotonic()
    context.store.close_all_but(partitions)
    await context.producers.fence(partitions, is_current)
    fenced = time.monotonic()
    for partition in sorted(partitions):
        context.store.open(partition).belongs_to(context.origin)
    ends, restored = await _bring_up(context, partitions)
    seconds = time.monotonic() - started
    metrics.RECOVERY_SECONDS.observe(seconds)
    context.ticker.soon(partitions)  # what ended in the meantime is found at once
    logger.info(
        "took over partitions %s: %d changelog records in %.2f s, of which fencing took %.2f s",
        sorted(partitions), restored, seconds, fenced - started,
    )  # fmt: skip
    return ends


async def take_back(context: WorkerContext, partition: int, is_current: Callable[[], bool]) -> None:
    """Take one partition again, of which this worker was fenced though the group gave it to nobody
    else: by a transaction that took too long, or by a recovery that a rebalance came upon.

    Afterwards its store has what was committed, and the next chunk is to go on from the store's
    position, wherever that is.

    Raises:
        Superseded: the partition is about to move; its owner was not fenced.
        Overdue, StoreError: see ``take_over``.
    """
    await context.producers.fence_again(partition, is_current)
    _, restored = await _bring_up(context, {partition})
    logger.info("took partition %d back: %d changelog records", partition, restored)


async def _bring_up(context: WorkerContext, partitions: set[int]) -> tuple[Mapping[int, int], int]:
    """Bring the stores of partitions that are fenced up to their changelogs; return the offsets
    where these end, and how many records were read."""
    topic = context.settings.topic(changelog_topic(context.settings.application_id).name)
    described = await bound_topics.describe(context)
    for partition in partitions:
        bound_topics.check_changelog(context, context.store[partition], described)
    asked = time.time()
    ends = await context.ends.of([TopicPartition(topic, p) for p in sorted(partitions)])
    await renew_outdated(context, ends)
    for partition in partitions:
        bound_topics.check_changelog(context, context.store[partition], described)
    restored = await restore(context, ends, asked)
    metrics.RECOVERED_RECORDS.inc(restored)
    await _check_inputs(context, {p: context.store[p] for p in partitions})
    for partition in partitions:
        await bound_topics.bind_inputs(context, partition, described)
        if context.store[partition].has_erased:
            context.erasing.soon(context.store[partition])
    return {place.partition: end for place, end in ends.items()}, restored


async def _check_inputs(context: WorkerContext, stores: Mapping[int, PartitionStore]) -> None:
    """Refuse to go on where state and inputs do not belong together.

    The state knows how far each input was folded. An input that ends before that was made anew;
    folding it from its beginning would take its records for repeated ones, and lose them. One that
    begins after that has lost records which nothing brings back: that is said, and passed over.
    """
    topic = context.settings.topic
    places = {(p, n): TopicPartition(topic(n), p) for p in stores for n in INPUT_TOPICS}
    ends = await context.ends.of(set(places.values()))
    begins = await context.ends.begins(set(places.values()))
    for (partition, name), place in places.items():
        folded = stores[partition].position().offsets.get(name, 0)
        if folded > ends[place]:
            raise StoreError(
                f"{place.topic}, partition {partition} ends at {ends[place]}, but was folded up to "
                f"{folded}: the topic was made anew under a state that is older; use another "
                "MILESTREAM_APPLICATION_ID or MILESTREAM_TOPIC_PREFIX"
            )
        context.removals.look(place, folded, begins[place])
