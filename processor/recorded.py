"""What is recorded of a partition: its chunks with their inputs, in the order in which they were
folded, and the definitions that each was folded under.

Whoever folds recorded inputs again reads them here: in that order alone do they mean what they
meant.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from processor.domain.definitions import Definitions
from processor.domain.fold import FOLD_VERSION, ChunkLogged, Part
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.reading import keys_on_disk
from schemas.definitions import DefinitionError
from schemas.kafka import consumers
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.member_keys import MemberKeysReader
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS, INPUT_TOPICS

MARKERS_SECONDS = 1
SILENCE_SECONDS = 60

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class RecordMissing(Exception):
    """A topic has not, or no longer, what the chunk log says was there."""


class FoldedByNewer(Exception):
    """A chunk was folded by rules that this version does not have; nothing is said of it."""


class Cursor:
    """Reads one partition of a topic forward, committed records only."""

    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> None:
        self.place = place
        self._consumer = consumer
        self.end = end
        self._buffer: list[Any] = []
        self._next = 0

    def __str__(self) -> str:
        """Name the partition for messages."""
        return f"{self.place.topic}, partition {self.place.partition}"

    async def next(self) -> Any | None:
        """Return the next record, None at the end: what a fetch brings may go beyond it.

        Raises:
            KafkaTimeoutError: nothing comes, and it is not the end.
        """
        reached, deadline = -1, 0.0
        while self._next >= len(self._buffer):
            position = await self._consumer.position(self.place)
            if position >= self.end:
                return None
            if position > reached:
                reached, deadline = position, time.monotonic() + SILENCE_SECONDS
            if time.monotonic() > deadline:
                raise KafkaTimeoutError(f"{self}: nothing came for {SILENCE_SECONDS} s")
            batches = await self._consumer.getmany(self.place, timeout_ms=200)
            self._buffer, self._next = batches.get(self.place, []), 0
        record = self._buffer[self._next]
        if record.offset >= self.end:
            return None
        self._next += 1
        return record

    async def peek(self) -> Any | None:
        """Return what ``next`` will; it stays the next."""
        record = await self.next()
        if record is not None:
            self._next -= 1
        return record

    async def span(self, first: int, last: int) -> list[Any]:
        """Return the records from here to offset ``last``, inclusive.

        Raises:
            RecordMissing: the record ``first`` or ``last`` is not there, or not any more.
            KafkaTimeoutError: as ``next``.
        """
        records: list[Any] = []
        while not records or records[-1].offset < last:
            record = await self.next()
            wanted = last if records else first
            if record is None or record.offset > wanted:
                raise RecordMissing(f"{self}: there is no record {wanted}")
            records.append(record)
        return records


class RecordedChunk(NamedTuple):
    """A chunk: its record on ``chunk-log``, what that says, and its inputs."""

    record: Any
    logged: ChunkLogged
    parts: Sequence[Part]


def require_known(chunk: RecordedChunk) -> None:
    """Check that a chunk can be folded as it was.

    Raises:
        FoldedByNewer: it was folded by a later version of the fold.
    """
    partition, fold = chunk.logged.partition, chunk.logged.fold
    if fold > FOLD_VERSION:
        raise FoldedByNewer(
            f"chunk-log, partition {partition}, offset {chunk.record.offset}: folded by version "
            f"{fold} of the fold, and this one knows {FOLD_VERSION} and those before: use the "
            "version of Milestream that folded it"
        )


class RecordedPartition:
    """One partition: read once, from its first chunk to the last that there was when it began."""

    def __init__(self, cursors: Mapping[str, Cursor], keys: MemberKeys = NO_KEYS) -> None:
        """``keys`` open what is sealed in the inputs, of members who were not forgotten since."""
        self.keys = keys
        self.cursors = cursors
        """By name without prefix: ``chunk-log``, ``definitions``, the inputs, and what else was
        asked for."""
        self.definitions = Definitions()
        """Those that the last chunk was folded under, once ``define`` was called for it."""
        self._ahead: Any | None = None

    async def chunks(self) -> AsyncIterator[RecordedChunk]:
        """Iterate over the chunks in their order.

        Raises:
            RecordMissing: inputs are not there any more.
            KafkaTimeoutError: the broker gives nothing.
        """
        while (record := await self.cursors[CHUNK_LOG].next()) is not None:
            logged = _CHUNK.decode(record.value)
            parts = [
                Part(each.topic, await self.cursors[each.topic].span(each.first, each.last))
                for each in logged.inputs
            ]
            yield RecordedChunk(record, logged, parts)

    async def define(self, end: int) -> None:
        """Bring the definitions to where they were: all records before offset ``end``."""
        definitions = self.definitions
        while definitions.next_offset < end:
            record = self._ahead or await self.cursors[DEFINITIONS].next()
            self._ahead = None
            if record is None or record.offset >= end:
                self._ahead = record
                definitions.next_offset = end
                return
            try:
                definitions.apply(record.key, record.value, record.offset, record.timestamp)
            except DefinitionError:
                continue  # the worker passed over it as well


@asynccontextmanager
async def recorded_partition(
    settings: Settings, partition: int, outputs: Sequence[str] = ()
) -> AsyncIterator[RecordedPartition]:
    """Give what is recorded of a partition, with cursors of the topics ``outputs`` (without prefix)
    as well.

    Raises:
        KeysUnreadable: members' keys are there, and there is no master key, or another.
    """
    places = {
        name: TopicPartition(settings.topic(name), 0 if name == DEFINITIONS else partition)
        for name in (CHUNK_LOG, DEFINITIONS, *INPUT_TOPICS, *outputs)
    }
    async with committed_reader(settings) as consumer:
        async with EndOffsets(settings) as asking:
            # What a chunk took is there before it; what it led to comes after: the markers of one
            # commit reach its partitions one after the other.
            ends = dict(await asking.of([places[CHUNK_LOG]]))
            if outputs:
                await asyncio.sleep(MARKERS_SECONDS)
            rest = [place for name, place in places.items() if name != CHUNK_LOG]
            ends |= await asking.of(rest)
        consumer.assign(list(places.values()))
        await consumer.seek_to_beginning(*places.values())
        async with MemberKeysReader(settings) as keys:
            await keys.read({partition})  # after the ends: a key is there before what it opens
            yield RecordedPartition(
                {name: Cursor(consumer, place, ends[place]) for name, place in places.items()},
                keys_on_disk(keys.of(partition)),
            )


@asynccontextmanager
async def committed_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of committed records that belongs to no group; who takes it assigns it."""
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
