"""``milestream verify``: fold the inputs again, as the chunk log tells, and compare the outputs.

Each partition is replayed by itself, from its first chunk, into an empty store: under the
definitions of the offset that the chunk was folded under, in the order in which it was folded. What
comes out must be, byte by byte and in order, what stands on the output topics. Replies and
forwarded records are left out: they lie on other partitions, among those of other chunks.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from processor.domain.definitions import Definitions
from processor.domain.fold import ChunkLogged, Part, fold_chunk
from processor.domain.inputs import Place
from processor.store import StateStore
from schemas.definitions import DefinitionError
from schemas.kafka import consumers
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS, INPUT_TOPICS, OUTPUT_TOPICS

MARKERS_SECONDS = 1
SILENCE_SECONDS = 60

Progress = Callable[[int], None]
"""Is told how many more input records were folded again."""

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class Difference(Exception):
    """The outputs are not what the inputs give; the message says where they first differ."""


@dataclass(frozen=True)
class Verified:
    """What was compared."""

    inputs: int
    outputs: int


class Cursor:
    """Reads one partition of a topic forward, committed records only."""

    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> None:
        self.place = place
        self._consumer = consumer
        self.end = end
        self._buffer: list[Any] = []
        self._next = 0

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
                raise KafkaTimeoutError(
                    f"{_name(self.place)}: nothing came for {SILENCE_SECONDS} s"
                )
            batches = await self._consumer.getmany(self.place, timeout_ms=200)
            self._buffer, self._next = batches.get(self.place, []), 0
        record = self._buffer[self._next]
        if record.offset >= self.end:
            return None
        self._next += 1
        return record

    async def up_to(self, last: int) -> list[Any]:
        """Return the records from here to offset ``last``, inclusive."""
        records: list[Any] = []
        while not records or records[-1].offset < last:
            record = await self.next()
            if record is None:
                raise Difference(f"{_name(self.place)}: there is no record {last}")
            records.append(record)
        return records


async def verify(settings: Settings, progress: Progress) -> Verified:
    """Replay every partition.

    Raises:
        Difference: outputs and inputs do not fit each other.
    """
    inputs = outputs = 0
    for partition in range(settings.partitions):
        replay = _Replay(settings, partition, progress)
        async with _cursors(settings, replay.topics()) as cursors:
            with tempfile.TemporaryDirectory(prefix="milestream-verify-") as directory:
                folded, compared = await replay.run(cursors, Path(directory))
        inputs, outputs = inputs + folded, outputs + compared
    return Verified(inputs, outputs)


class _Replay:
    """The replay of one partition."""

    def __init__(self, settings: Settings, partition: int, progress: Progress) -> None:
        self._settings = settings
        self._partition = partition
        self._progress = progress
        self._definitions = Definitions()
        self._ahead: Any | None = None

    def topics(self) -> Mapping[str, TopicPartition]:
        """Name the partitions to read: all inputs and outputs of this one, and definitions."""
        names = (CHUNK_LOG, *INPUT_TOPICS, *OUTPUT_TOPICS)
        topic = self._settings.topic
        places = {name: TopicPartition(topic(name), self._partition) for name in names}
        return places | {DEFINITIONS: TopicPartition(topic(DEFINITIONS), 0)}

    async def run(self, cursors: Mapping[str, Cursor], directory: Path) -> tuple[int, int]:
        """Fold every chunk again; return how many inputs and outputs were compared."""
        states = StateStore(directory)
        store = states.open(self._partition)
        place = Place(self._partition, self._settings.partitions, {})
        inputs = outputs = changelog = 0
        while (record := await cursors[CHUNK_LOG].next()) is not None:
            chunk = _CHUNK.decode(record.value)
            await self._define(cursors[DEFINITIONS], chunk.definitions)
            parts = [
                Part(span.topic, await cursors[span.topic].up_to(span.last))
                for span in chunk.inputs
            ]
            effects = fold_chunk(
                place,
                parts,
                self._definitions,
                store.load,
                store.scan,
                poisoned=chunk.errors(),
                whole=True,
            )
            changelog += 1
            store.apply(effects.writes, changelog)
            self._same_chunk(record, effects.outputs.pop(CHUNK_LOG)[0].value)
            for name, expected in effects.outputs.items():
                for output in expected:
                    await _same(cursors[name], output.key, output.value, chunk.sequence)
                outputs += len(expected)
            inputs += chunk.count
            self._progress(chunk.count)
        for name in OUTPUT_TOPICS:
            surplus = await cursors[name].next()
            if surplus is not None and not await self._goes_on(cursors[CHUNK_LOG]):
                raise Difference(
                    f"{_name(cursors[name].place)}, offset {surplus.offset}: no input gives this"
                )
        states.close_all_but(())
        return inputs, outputs

    async def _goes_on(self, chunks: Cursor) -> bool:
        """Tell whether a worker wrote more chunks meanwhile, which surplus outputs are of."""
        async with EndOffsets(self._settings) as asking:
            return (await asking.of([chunks.place]))[chunks.place] > chunks.end

    async def _define(self, cursor: Cursor, end: int) -> None:
        """Bring the definitions to where they were: all records before offset ``end``."""
        while self._definitions.next_offset < end:
            record = self._ahead or await cursor.next()
            self._ahead = None
            if record is None or record.offset >= end:
                self._ahead = record
                self._definitions.next_offset = end
                return
            try:
                self._definitions.apply(record.key, record.value, record.offset, record.timestamp)
            except DefinitionError:
                continue  # the worker passed over it as well

    def _same_chunk(self, record: Any, value: bytes) -> None:
        if record.value != value:
            raise Difference(
                f"chunk-log, partition {self._partition}, offset {record.offset}: "
                f"{record.value.decode()} was written, folding again gives {value.decode()}"
            )


async def _same(cursor: Cursor, key: bytes | None, value: bytes, sequence: int) -> None:
    record = await cursor.next()
    where = f"{_name(cursor.place)}, chunk of sequence {sequence}"
    if record is None:
        raise Difference(f"{where}: an output is missing: {value.decode()[:500]}")
    if record.key != key or record.value != value:
        raise Difference(
            f"{where}, offset {record.offset}: {record.value.decode()[:500]} was written, "
            f"folding again gives {value.decode()[:500]}"
        )


@asynccontextmanager
async def _cursors(
    settings: Settings, places: Mapping[str, TopicPartition]
) -> AsyncIterator[Mapping[str, Cursor]]:
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        async with EndOffsets(settings) as asking:
            # The markers of one commit reach its partitions one after the other: what the chunk
            # log has now, the outputs have a moment later.
            ends = dict(await asking.of([places[CHUNK_LOG]]))
            await asyncio.sleep(MARKERS_SECONDS)
            rest = [place for name, place in places.items() if name != CHUNK_LOG]
            ends |= await asking.of(rest)
        consumer.assign(list(places.values()))
        await consumer.seek_to_beginning(*places.values())
        yield {name: Cursor(consumer, place, ends[place]) for name, place in places.items()}
    finally:
        await consumer.stop()


def _name(place: TopicPartition) -> str:
    return f"{place.topic}, partition {place.partition}"
