"""Chunk delivery inside Faust: one event for what a fetch brought of one partition.

Faust's own consumer runs four asyncio tasks for each message (0.6 ms); here they run once a chunk.
This is the one module that reaches into Faust 0.15.3's consumer. Each private name is said with
why; ``tests/unit/processor/test_faust_contract.py`` fails when a pinned Faust changes under it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

import aiokafka
import faust
from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from typing_extensions import override

from processor import metrics
from processor.gathering import Asked, Chunk, Gathering, Offsets
from processor.shell import Shell
from schemas.kafka import consumers
from schemas.topics import TICKS

POLL_SECONDS = 0.1
IDLE_SECONDS = 0.02
FETCH_WAIT_MS = 50
MAX_OUTSTANDING = 4_000
"""No fetch while so many records wait for the fold or are on their way: chunks grow by themselves
under load, and the oldest record of a chunk does not wait behind many small ones."""


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

    @override
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        # Replaces Faust's: it hard-codes a fetch wait of 1500 ms, reads uncommitted records, and
        # knows nothing of our Kafka login.
        conf = self.app.conf
        self._assignor = self.app.assignor
        return consumers.consumer(
            cast("ChunkConsumer", self.consumer).shell.settings,
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

    @override
    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek the inputs to where the state store says they were folded."""
        targets = cast("ChunkConsumer", self.consumer).shell.input_positions()
        return cast("Mapping[TP, int]", await self.call_thread(self._seek_inputs, targets))

    async def _seek_inputs(self, targets: Mapping[TopicPartition, int]) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        sought: dict[TP, int] = {}
        for partition, offset in targets.items():
            if partition in assigned:
                consumer.seek(partition, offset)
                sought[TP(*partition)] = offset
        return sought

    async def positions(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """Return the offsets up to which records of these were handed out."""
        found: Offsets = await self.call_thread(self._positions, set(partitions))
        return found

    async def _positions(self, partitions: set[TopicPartition]) -> Offsets:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment() & partitions
        return {tp: await consumer.position(tp) for tp in assigned}


class ChunkConsumer(driver.Consumer):
    """Yields chunks instead of messages; the offsets are committed by the transaction."""

    _thread: "ChunkConsumerThread"

    @property
    def shell(self) -> Shell:
        """The parts of this worker."""
        return cast("Shell", cast("Any", self.app).shell)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gathering = Gathering(self.shell.settings)

    @override
    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @override
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drop what is held and what waits for the fold: it is fetched again by its new owner."""
        self._gathering.reset()
        self.shell.outstanding.clear()
        await super().on_partitions_revoked(revoked)

    @override
    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch once; yield one message for each chunk that may be folded."""
        generation = self.app.consumer_generation_id
        if not await self.shell.outstanding.below(MAX_OUTSTANDING, POLL_SECONDS):
            return
        fetched, _ = await self._wait_next_records(POLL_SECONDS)
        if self.should_stop:
            return
        if self._moved(generation):
            self._gathering.reset()  # a rebalance began; recovery seeks when it is over
            return
        for chunk in await self._gather(fetched, generation):
            if self._moved(generation):
                self._gathering.reset()
                return
            yield self._message(chunk)

    def _moved(self, generation: int) -> bool:
        """Tell whether a rebalance began since ``generation``."""
        return not self.flow_active or generation != self.app.consumer_generation_id

    async def _gather(self, fetched: Any, generation: int) -> list[Chunk]:
        gathering = self._gathering
        commands = gathering.commands_to_ask(fetched)
        logs = gathering.logs_to_ask(fetched)
        definitions = self.shell.definitions_partition
        self._tell_lag(fetched)
        if not fetched and not gathering.holding:
            return []
        ends = await self.shell.ends.of([*commands, definitions])
        log_ends = await self.shell.log_ends.of(logs) if logs else {}
        positions = await self._thread.positions(commands | logs | gathering.holding)
        if self._moved(generation):
            return []
        asked = Asked(ends, log_ends, positions, ends[definitions])
        chunks = list(gathering.add(fetched, asked, generation))
        metrics.TICKS_HELD.set(gathering.ticks_held)
        return chunks

    def _tell_lag(self, fetched: Mapping[TP, Sequence[Any]]) -> None:
        """Say how far behind each partition is; nothing fetched means: none is.

        A tick is none of the records that somebody waits for, and may be held.
        """
        if not fetched:
            metrics.LAG.clear()
        ticks = self.shell.settings.topic(TICKS)
        for tp, records in fetched.items():
            if tp.topic != ticks:
                behind = (self.highwater(tp) or 0) - records[-1].offset - 1
                metrics.LAG.labels(tp.topic, tp.partition).set(max(behind, 0))

    def _message(self, chunk: Chunk) -> tuple[TP, ConsumerMessage]:
        """Wrap a chunk into a message of its last part's topic and last offset."""
        part = chunk.parts[-1]
        topic = self.shell.settings.topic(part.topic)
        last = part.records[-1]
        tp = TP(topic, chunk.partition)
        self.shell.outstanding.add(chunk.size)
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
            generation_id=chunk.generation,
        )
        return tp, message

    @override
    async def _wait_next_records(self, timeout: float) -> Any:
        # Replaces Faust's: it sleeps for a second where no partition is active, which would be a
        # second's pause after each rebalance.
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
        active = self._gathering.wanted(self._get_active_partitions())
        if not active:
            await self.sleep(IDLE_SECONDS)
            return {}, active
        return await self._getmany(active_partitions=active, timeout=timeout), active

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

    @override
    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        # Book-keeping only. A commit of Faust's own can overtake the transaction's and move the
        # group's offset back.
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
