"""The reading side: a consumer that starts at the checkpoints, and says how far it has come.

The consumer group only shares the partitions out: no offset is ever committed to it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from projections import checkpoints
from projections.batch import Batch, CheckpointKey
from projections.checkpoints import Connection
from projections.projection import Projection
from projections.source_binding import TopicMadeAnew, topic_ids
from schemas.kafka import asking, consumers, fetch_sessions
from schemas.kafka.health import check
from schemas.kafka.removal import Removals, watch
from schemas.settings import Settings
from schemas.tracing import traced

POLL_MS = 50
"""How long to wait for records before the position is looked at again, for it also moves past
transaction markers."""

FETCH_WAIT_MS = 250
"""How long the broker may hold an empty fetch of all partitions; it ends as soon as there is
something to read."""

PARTITION_BYTES = 2 * 1024 * 1024
FETCH_BYTES = 8 * 1024 * 1024

ASSIGNMENT_S = 120.0
"""How long the group may take to share the partitions out. A round of it takes 30 s at most."""

BATCH_BYTES = 32 * 1024 * 1024
"""What a batch may have of records, before they are decoded: the next is as many records as had so
many bytes in the last one."""
BATCH_RECORDS = 50_000
FIRST_RECORDS = 1_000

SLICE_RECORDS = 200
"""Records that are decoded in one go: about 2 ms."""


class MissingTopics(Exception):
    """The broker has not got the topics (yet)."""


class NoAssignment(Exception):
    """The group does not share the partitions out."""


class CheckpointOutOfRange(Exception):
    """The topic does not reach to the checkpoint: it was made anew. The read model must be
    rebuilt."""


def consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer of committed records that keeps no offsets in Kafka."""
    return consumers.consumer(
        settings,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=PARTITION_BYTES,
        fetch_max_bytes=FETCH_BYTES,
        **options,
    )


def records_to_take(fetched: Iterable[Sequence[Any]]) -> int:
    """Return how many records the next batch may have, by the size of those of the last one."""
    batches = list(fetched)
    count = sum(len(records) for records in batches)
    size = sum(len(record.value or b"") for records in batches for record in records)
    return max(1, min(BATCH_BYTES * count // max(size, 1), BATCH_RECORDS))


async def partitions_of(settings: Settings, topics: Collection[str]) -> list[tuple[str, int]]:
    """Return every partition of some topics (names without prefix), in order.

    Raises:
        KafkaError: the broker does not answer.
        MissingTopics: there are not all of them.
    """
    admin = asking.admin(settings)
    await admin.start()
    try:
        # All are asked for, and none by name: asking for a missing one may create it.
        described = {entry["topic"]: entry for entry in await admin.describe_topics()}
    finally:
        await admin.close()
    missing = {settings.topic(topic) for topic in topics} - described.keys()
    if missing:
        raise _missing(missing)
    return sorted(
        (topic, int(partition["partition"]))
        for topic in topics
        for partition in described[settings.topic(topic)]["partitions"]
    )


def _missing(topics: Collection[str]) -> MissingTopics:
    names = ", ".join(sorted(topics))
    return MissingTopics(f"topics are missing: {names}; `milestream topics create` makes them")


class Feed(ConsumerRebalanceListener):  # type: ignore[misc]
    """Batches of records, each beginning where the checkpoints say.

    With ``partitions`` (topics without prefix) it reads those and no others, and joins no group.
    """

    def __init__(
        self,
        settings: Settings,
        projections: Mapping[str, Projection],
        partitions: Collection[tuple[str, int]] | None = None,
        removals: Removals | None = None,
        *,
        traced: bool = False,
    ) -> None:
        """With ``traced``, batches tell which of their records are traced."""
        self._traced = traced
        self._removals = Removals(lambda _, __: None) if removals is None else removals
        self._settings = settings
        self._projections = projections
        self._tables: dict[str, list[str]] = defaultdict(list)
        for projection in projections.values():
            for topic in projection.topics:
                self._tables[topic].append(projection.table)
        self._topics = {settings.topic(name): name for name in self._tables}
        self._partitions = partitions and [
            TopicPartition(settings.topic(topic), number) for topic, number in partitions
        ]
        # With the prefix: members that want other topics would stall the group of these.
        group = None if partitions else settings.topic(f"{settings.application_id}-projector")
        self._consumer = consumer(
            settings,
            group_id=group,
            client_id="milestream-projector",
            # How long the partitions of a projector that was killed lie idle.
            # On a starved machine a shorter one expires between two heartbeats, again and again.
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_500,
        )
        self._offsets: dict[TopicPartition, dict[str, int]] = {}
        """The next offset that each read model wants, of partitions that were placed."""
        self._records_to_take = FIRST_RECORDS
        self._heard = time.monotonic()

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            KafkaConnectionError: there is no broker.
            MissingTopics: there are not all topics.
        """
        try:
            await self._consumer.start()
            watch(self._consumer, self._moved)
            await self._check_topics()
            if self._partitions:
                self._consumer.assign(self._partitions)
            else:
                self._consumer.subscribe(list(self._topics), listener=self)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()

    async def _check_topics(self) -> None:
        # Asked for all, and before any is subscribed to: asking for one may create it.
        missing = self._topics.keys() - await self._consumer.topics()
        if missing:
            raise _missing(missing)

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002
        """Another assignment is coming: positions will be lost."""
        self.forget()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002
        """Positions are not at the checkpoints."""
        self.forget()

    def _moved(self, tp: TopicPartition, begin: int) -> None:
        """Say what was removed in front of the records that come next."""
        if tp in self._offsets:  # else it is placed anew, and looked at then
            self._removals.look(tp, min(self._offsets[tp].values()), begin)

    def forget(self) -> None:
        """Place every partition at its checkpoints again before anything more is taken."""
        self._offsets = {}

    def unplaced(self) -> list[TopicPartition]:
        """Return the partitions that ``place`` is needed for."""
        return [tp for tp in self._consumer.assignment() if tp not in self._offsets]

    async def place(self, connection: Connection) -> None:
        """Read the checkpoints of partitions that are new, and go there. What was removed before
        it was projected is said, and passed over: nothing brings it back.

        Raises:
            TopicMadeAnew: the checkpoints are of a topic that was deleted.
            CheckpointOutOfRange: the topic ends before the record that would be next.
            KafkaError: the broker does not answer.
        """
        new = self.unplaced()
        wanted = {
            tp: [CheckpointKey(t, *self._name(tp)) for t in self._tables_of(tp)] for tp in new
        }
        everywhere = [place for places in wanted.values() for place in places]
        stored = await checkpoints.read(connection, everywhere)
        await self._check_ids(connection, everywhere)
        begins = await self._consumer.beginning_offsets(new)
        ends = await self._consumer.end_offsets(new)
        for tp, places in wanted.items():
            offsets = {place.table: stored[place] for place in places}
            for table, offset in offsets.items():
                if offset > ends[tp]:
                    raise CheckpointOutOfRange(
                        f"{table} has come to offset {offset} of {tp.topic}, partition "
                        f"{tp.partition}, which has {begins[tp]} to {ends[tp]}: if the topic was "
                        f"made anew, remove its rows from projection_checkpoints and rebuild"
                    )
            self._removals.look(tp, min(offsets.values()), begins[tp])
            try:
                # No await between this and the end: no change of assignment can come between.
                self._consumer.seek(tp, max(min(offsets.values()), begins[tp]))
            except IllegalStateError:
                continue  # taken away while the checkpoints were read
            self._offsets[tp] = offsets

    async def _check_ids(self, connection: Connection, places: Collection[CheckpointKey]) -> None:
        ids = await topic_ids(self._settings, places)
        others = await checkpoints.bind(connection, ids)
        if others:
            tables = " ".join(sorted({place.table for place in others}))
            topics = ", ".join(sorted({place.topic for place in others}))
            raise TopicMadeAnew(
                f"{topics}: deleted and made anew, and the read models have what was on the topic "
                f"before: run `milestream rebuild {tables}`"
            )

    async def next_batch(self) -> Batch:
        """Wait a moment for records, and return what they do; it may be nothing.

        Raises:
            ClientStopped: the consumer works no more.
            NoAssignment: the group has come to no assignment for long.
        """
        check(self._consumer)
        try:
            async with asyncio.timeout(ASSIGNMENT_S):  # getmany's own does not hold for that wait
                fetched = await self._consumer.getmany(
                    timeout_ms=POLL_MS, max_records=self._records_to_take
                )
        except TimeoutError as error:
            raise NoAssignment(f"no assignment came for {ASSIGNMENT_S:.0f} s") from error
        if fetched:
            self._heard = time.monotonic()
            self._records_to_take = records_to_take(fetched.values())
        batch = Batch(self._projections)
        placed = self._offsets
        # Before anything is waited for, for a fetch that is under way moves no position: only
        # ``getmany`` does.
        positions = {tp: await self._position(tp) for tp in list(placed)}
        for tp, position in positions.items():
            if position is None or position < min(placed[tp].values()):
                # Taken away; or a new assignment, or a topic that was truncated: look again.
                del placed[tp]
                continue
            await self._take(batch, tp, fetched.get(tp, []), placed[tp], position)
            if placed is not self._offsets:  # another assignment meanwhile: none of it counts
                return Batch(self._projections)
            placed[tp] = {table: max(offset, position) for table, offset in placed[tp].items()}
        return batch

    async def _take(
        self,
        batch: Batch,
        tp: TopicPartition,
        records: list[Any],
        offsets: Mapping[str, int],
        position: int,
    ) -> None:
        """Take records a few at a time, so that the transaction under way is not kept waiting."""
        name = self._name(tp)
        if self._traced:
            batch.traced.extend(traced(*name, records))
        while len(records) > SLICE_RECORDS:
            head, records = records[:SLICE_RECORDS], records[SLICE_RECORDS:]
            reached = head[-1].offset + 1
            batch.take(*name, head, offsets, reached)
            offsets = {table: max(offset, reached) for table, offset in offsets.items()}
            await asyncio.sleep(0)
        batch.take(*name, records, offsets, position)

    async def _position(self, tp: TopicPartition) -> int | None:
        try:
            return int(await self._consumer.position(tp))
        except IllegalStateError:
            return None

    def lags(self) -> dict[tuple[str, int], int]:
        """Return how many offsets of each partition are not yet taken."""
        lags = {}
        for tp, offsets in self._offsets.items():
            end = self._consumer.last_stable_offset(tp)
            if end is not None and end >= 0:
                lags[self._name(tp)] = max(0, end - min(offsets.values()))
        return lags

    def silence(self) -> float:
        """Return the seconds since the broker was last heard of; 0 where nothing is asked."""
        now = time.monotonic()
        if not self._offsets:
            self._heard = now
        return now - max(self._heard, fetch_sessions.heard(self._consumer))

    def _name(self, tp: TopicPartition) -> tuple[str, int]:
        return self._topics[tp.topic], tp.partition

    def _tables_of(self, tp: TopicPartition) -> list[str]:
        return self._tables[self._topics[tp.topic]]
