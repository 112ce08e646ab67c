"""Chunk delivery inside Faust: one event for what a fetch brought of one partition.

Faust's own consumer runs four asyncio tasks for each message (0.6 ms); here they run once a chunk.
This is the one module that reaches into Faust 0.15.3's consumer. Each private name is said with
why; ``tests/unit/processor/test_faust_contract.py`` fails when a pinned Faust changes under it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Set
from typing import Any, cast

import aiokafka
import faust
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from typing_extensions import override

from processor import fetching, metrics
from processor.chunking import Asked, Chunk, ChunkAssembler
from processor.context import WorkerContext
from processor.fetching import Fetch, HandedOut, Records
from schemas.kafka import consumers, removal
from schemas.topics import DRY_RUNS, TICKS

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
IDLE_SECONDS = 0.02
FETCH_WAIT_MS = 250
"""How long the broker may hold an empty fetch of all inputs; a record ends it at once."""
HEARTBEAT_SECONDS = 10
TELL_SECONDS = 2
"""How long a commit of the group's offsets may hold up a hand-over."""


class ChunkSchema(faust.Schema[Any, Any]):
    """Hands a chunk through as it is: the fold decodes records itself."""

    @override
    def compile(self, app: Any, **_: Any) -> Any:
        create_event = app.create_event

        async def decode(message: Any, **_: Any) -> Any:
            return create_event(None, message.value, message.headers, message)

        return decode


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread with the group's consumer: our own settings, and seeking by our own store."""

    turns = 0
    """How often its event loop came round to tell that the worker lives."""
    heartbeats = 0
    """How many heartbeats the group's coordinator took."""

    @override
    async def on_start(self) -> None:
        """Start the consumer, and count the heartbeats that the group's coordinator takes."""
        await super().on_start()
        removal.watch(self._ensure_consumer(), self._moved)
        coordinator = self._ensure_consumer()._coordinator
        beat = coordinator._do_heartbeat

        async def counted() -> bool:
            taken: bool = await beat()
            self.heartbeats += taken
            return taken

        coordinator._do_heartbeat = counted

    def _moved(self, place: TopicPartition, begin: int) -> None:
        """Say what was removed in front of the records that come next."""
        wanted = self._handed_out.wanted(place)
        if wanted is not None:  # it was not sought yet, and will be
            cast("ChunkConsumer", self.consumer).context.removals.look(place, wanted, begin)

    def tell_alive(self) -> None:
        """Tell aiokafka that the worker lives, also where it has nothing to fetch; on this
        thread's event loop."""
        self.turns += 1
        with self._ensure_consumer()._subscription.fetch_context():
            pass

    @override
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        # Replaces Faust's: it hard-codes a fetch wait of 1500 ms, reads uncommitted records, and
        # knows nothing of our Kafka login.
        conf = self.app.conf
        self._assignor = self.app.assignor
        return consumers.consumer(
            cast("ChunkConsumer", self.consumer).context.settings,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = cast("ChunkConsumer", self.consumer).context.settings
        self._handed_out = HandedOut(settings.topic(DRY_RUNS))

    @override
    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek the inputs to where the state store says they were folded."""
        consumer = cast("ChunkConsumer", self.consumer)
        targets = consumer.context.input_positions()
        epoch = consumer.begin_epoch()
        consumer.tell_group_from_now_on()
        return cast("Mapping[TP, int]", await self.call_thread(self._seek_inputs, targets, epoch))

    async def _seek_inputs(
        self, targets: Mapping[TopicPartition, int], epoch: int
    ) -> Mapping[TP, int]:
        if epoch <= self._handed_out.epoch:
            return {}  # one that a rebalance came upon, and that was overtaken by the next
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        sought = {tp: offset for tp, offset in targets.items() if tp in assigned}
        for partition, offset in sought.items():
            consumer.seek(partition, offset)
        self._handed_out.sought(self._assignment(consumer), sought, epoch)
        return {TP(*partition): offset for partition, offset in sought.items()}

    async def fetch(self, active: Set[TP], seconds: float) -> Fetch:
        """Fetch once, for at most ``seconds``: bounded in records and in bytes."""
        fetched: Fetch = await self.call_thread(self._fetch, active, seconds)
        return fetched

    async def _fetch(self, active: Set[TP], seconds: float) -> Fetch:
        # Replaces Faust's `_fetch_records`, which knows neither seeks nor bytes.
        if not cast("ChunkConsumer", self.consumer).flow_active:
            return Fetch()
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        try:
            with fetcher._subscriptions.fetch_context():
                first = await fetcher.fetched_records(active, timeout=seconds, max_records=1)
            assignment = self._assignment(consumer)
            records, weights = fetching.drain(fetcher, active, first)
            positions = {} if assignment is None else fetching.positions(assignment)
            return self._handed_out.take(assignment, records, positions, weights)
        except BaseException:
            self._handed_out.forget()  # of what else was handed out with it, nothing is known
            raise

    async def tell_group(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Commit the group's offsets, in this generation; tell whether the group took them."""
        try:
            async with asyncio.timeout(TELL_SECONDS):
                await self.call_thread(self._tell_group, positions)
        except (KafkaError, ConsumerStoppedError, ConsumerNotStarted, TimeoutError) as error:
            logger.warning("the group's offsets are not committed: %r", error)
            return False
        return True

    async def _tell_group(self, positions: Mapping[TopicPartition, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        async with asyncio.timeout(TELL_SECONDS):  # the caller's ends nothing on this thread
            await consumer.commit({tp: n for tp, n in positions.items() if tp in assigned})

    async def is_member(self) -> bool:
        """Ask the group whether it knows this worker with the partitions that it has."""
        asked: bool = await self.call_thread(self._ask_group)
        return asked

    async def _ask_group(self) -> bool:
        coordinator = self._ensure_consumer()._coordinator
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                # Makes it join anew where the group says no.
                alive = await coordinator._do_heartbeat()
        except (KafkaError, TimeoutError) as error:
            logger.warning("the group does not say whether this worker is of it: %r", error)
            return False
        return bool(alive) and not coordinator._rejoin_needed_fut.done()

    def _assignment(self, consumer: aiokafka.AIOKafkaConsumer) -> Any:
        """Return the object that aiokafka makes anew for each assignment, None without one."""
        subscription = consumer._subscription.subscription
        return None if subscription is None else subscription.assignment


class ChunkConsumer(driver.Consumer):
    """Yields chunks instead of messages.

    What was folded is in the state, and inputs are sought by it. The group's offsets are for
    people's lag tools only: they follow once a second, and where partitions are handed over.
    """

    _thread: "ChunkConsumerThread"

    polls = 0
    """How often more records were asked for."""

    @property
    def context(self) -> WorkerContext:
        """The parts of this worker."""
        return cast("WorkerContext", cast("Any", self.app).context)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assembler = ChunkAssembler(self.context.settings)
        self._told: Mapping[TopicPartition, int] | None = None
        """What the group was told of the partitions that were sought; None before they are."""
        self._telling = asyncio.Lock()

    @override
    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def is_member(self) -> bool:
        """Ask the group whether it knows this worker with the partitions that it has."""
        return await self._thread.is_member()

    async def pass_dry_runs(self, next_offsets: Mapping[TopicPartition, int]) -> bool:
        """Have the group remember from where on dry runs are to be answered; tell whether it does.

        It is told before they are answered, so that none is answered twice.
        """
        return await self._thread.tell_group(next_offsets)

    def begin_epoch(self) -> int:
        """Give up all that was fetched: the partitions move, or are sought. Return the new epoch.

        Faust drops what waits in its queues without a word, so it is counted here.
        """
        dropped = self._assembler.reset() + self.context.outstanding.clear()
        self._dropped(dropped)
        return self.context.outstanding.epoch

    def _dropped(self, records: int) -> None:
        if records:
            metrics.DROPPED.inc(records)
            logger.info("%d records are given up as partitions move, and fetched again", records)

    @override
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drop what is held and what waits for the fold: it is fetched again by its new owner."""
        self.begin_epoch()
        await super().on_partitions_revoked(revoked)  # which waits for the fold, and commits
        self._told = None

    @override
    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch once; yield one message for each chunk that may be folded."""
        self.polls += 1
        try:
            if not await self.context.outstanding.has_room(POLL_SECONDS):
                return
            fetch, _ = await self._wait_next_records(POLL_SECONDS)
            chunks = [] if self.should_stop else await self._gather(fetch)
        except ConsumerStoppedError:
            raise  # Faust is stopping
        except Exception as error:
            self.context.fail(error)  # what was handed out before it failed is lost
            raise
        for chunk in chunks:
            if self.context.outstanding.is_current(chunk):
                yield self._message(chunk)
            else:
                self._dropped(chunk.size)

    async def _gather(self, fetch: Fetch) -> list[Chunk]:
        assembler = self._assembler
        if not fetch.records or fetch.epoch == self.context.outstanding.epoch:
            self._tell_lag(fetch.records)  # of other fetches, partitions may be another's by now
        if not fetch.records and not assembler.holding:
            return []
        definitions = self.context.definitions_partition
        ends = await self.context.log_ends.of([*assembler.to_ask(fetch.records), definitions])
        if fetch.epoch != self.context.outstanding.epoch:
            self._dropped(fetch.size)  # a seek came after them, or is still to come
            return []
        chunks = list(assembler.add(fetch, Asked(ends, ends[definitions])))
        metrics.TICKS_HELD.set(assembler.ticks_held)
        return chunks

    def _tell_lag(self, fetched: Records) -> None:
        """Say how far behind each partition is; nothing fetched means: none is.

        A tick is none of the records that somebody waits for, and may be held; a dry run is no
        input.
        """
        if not fetched:
            metrics.LAG.clear()
        uncounted = {self.context.settings.topic(name) for name in (TICKS, DRY_RUNS)}
        for tp, records in fetched.items():
            if tp.topic not in uncounted:
                behind = (self.highwater(TP(*tp)) or 0) - records[-1].offset - 1
                metrics.LAG.labels(tp.topic, tp.partition).set(max(behind, 0))

    def _message(self, chunk: Chunk) -> tuple[TP, ConsumerMessage]:
        """Wrap a chunk into a message of its last part's topic and last offset."""
        name, records = DRY_RUNS, chunk.dry_runs
        if chunk.stretches:
            name, records = chunk.stretches[-1].topic, chunk.stretches[-1].records
        topic, last = self.context.settings.topic(name), records[-1]
        tp = TP(topic, chunk.partition)
        self.context.outstanding.add(chunk)
        self._read_offset.pop(tp, None)  # Faust drops, silently, what it takes for read already
        message = ConsumerMessage(
            topic,
            chunk.partition,
            last.offset,
            last.timestamp / 1000,
            0,
            headers=[],
            key=None,
            value=cast("Any", chunk),
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        return tp, message

    @override
    async def _wait_next_records(self, timeout: float) -> Any:
        # Replaces Faust's: it sleeps for a second where no partition is active, which would be a
        # second's pause after each rebalance.
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
        active = self._assembler.wanted(self._get_active_partitions())
        if not active:
            await self.sleep(IDLE_SECONDS)
            return Fetch(), active
        return await self._thread.fetch(active, timeout), active

    @override
    def _new_offset(self, tp: TP) -> int | None:
        # Faust looks for gaps between acknowledged offsets; chunks are acknowledged in order.
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return last + 1

    @override
    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Faust would note every offset between two messages: here, a chunk's records."""

    def tell_group_from_now_on(self) -> None:
        """Take the state's positions for those of the partitions that this worker has."""
        self._told = {}

    @override
    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Take acknowledged chunks off the book, and tell the group how far the inputs are folded.

        Faust calls it once a second, before partitions are handed over, and as it stops.
        """
        done: bool = await super().commit(topics, start_new_transaction)
        async with self._telling:
            await self._tell_group()
        return done

    async def _tell_group(self) -> None:
        told = self._told
        if told is None:
            return
        positions = self.context.input_positions()
        news = {tp: offset for tp, offset in positions.items() if told.get(tp) != offset}
        if news and await self._thread.tell_group(news) and self._told is told:
            self._told = positions

    @override
    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        # Book-keeping only: these are the last parts of chunks, and say nothing of other topics.
        self._committed_offset.update(offsets)
        return True

    @override
    def on_buffer_full(self, tp: TP) -> None:
        """Faust would stop fetching the partition; the bound on outstanding records does that."""

    @override
    def on_buffer_drop(self, tp: TP) -> None:
        """See ``on_buffer_full``."""

    @override
    def verify_event_path(self, now: float, tp: TP) -> None:
        # Faust warns of commits it did not make itself.
        """Nothing: our own metrics tell lag and age."""


class ChunkTransport(driver.Transport):
    """Faust's aiokafka transport with chunks."""

    Consumer = ChunkConsumer
