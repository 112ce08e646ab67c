"""``milestream verify``: fold the inputs again, as the chunk log tells, and compare the outputs.

Each partition is replayed by itself, from its first chunk, into an empty store: under the
definitions of the offset that the chunk was folded under, in the order in which it was folded, by
the version of the fold that the chunk log names. What comes out must be, byte by byte and in order,
what stands on the output topics, but for what privacy takes away (``processor.comparison``).
Replies and forwarded records are left out: they lie on other partitions, among those of other
chunks.
"""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from processor.comparison import Comparison, Difference
from processor.domain.fold import fold_chunk
from processor.domain.inputs import Place
from processor.forgotten import forgotten_members
from processor.recorded import (
    Cursor,
    RecordedPartition,
    RecordMissing,
    recorded_partition,
    require_known,
)
from processor.store import StateStore
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, MEMBER_EVENTS, OUTPUT_TOPICS

__all__ = ("Difference", "Verified", "verify")

SIDE_BY_SIDE = 4
"""Partitions that are replayed at once: while one waits for the broker, another folds."""

Progress = Callable[[int, int], None]
"""Is told how far ``chunk-log`` was read, and how far it goes, in records of all partitions."""


@dataclass(frozen=True)
class Verified:
    """What was compared."""

    inputs: int
    outputs: int
    forgotten: int = 0
    """Members of whose outputs nothing was compared."""


async def verify(settings: Settings, progress: Progress) -> Verified:
    """Replay every partition; the first difference ends them all.

    Raises:
        Difference: outputs and inputs do not fit each other.
        FoldedByNewer: some were folded by a later version of the fold.
        KeysUnreadable: there are members' keys that cannot be used.
    """
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    reached = await _Reached.of(settings, progress)
    replays = [
        asyncio.create_task(_partition(settings, partition, reached.of_partition(partition), room))
        for partition in range(settings.partitions)
    ]
    try:
        found = await asyncio.gather(*replays)
    finally:
        for replay in replays:
            replay.cancel()
        await asyncio.gather(*replays, return_exceptions=True)
    return Verified(
        sum(each.inputs for each in found),
        sum(each.outputs for each in found),
        sum(each.forgotten for each in found),
    )


class _Reached:
    """How far the replays have come, all together."""

    def __init__(self, ends: Sequence[int], progress: Progress) -> None:
        self._ends = ends
        self._progress = progress
        self._read = [0] * len(ends)

    @classmethod
    async def of(cls, settings: Settings, progress: Progress) -> "_Reached":
        """Return it for replays that begin now."""
        name = settings.topic(CHUNK_LOG)
        places = [TopicPartition(name, partition) for partition in range(settings.partitions)]
        async with EndOffsets(settings) as asking:
            ends = await asking.of(places)
        return cls([ends[place] for place in places], progress)

    def of_partition(self, partition: int) -> Callable[[int], None]:
        """Return who is to be told how many records of a partition's ``chunk-log`` are read."""

        def read(records: int) -> None:
            # More may have been written since; what a transaction's marker takes is no record.
            self._read[partition] = min(records, self._ends[partition])
            self._progress(sum(self._read), sum(self._ends))

        return read


async def _partition(
    settings: Settings, partition: int, read: Callable[[int], None], room: asyncio.Semaphore
) -> Verified:
    replay = _Replay(settings, partition, read)
    async with room, recorded_partition(settings, partition, OUTPUT_TOPICS) as recorded:
        with tempfile.TemporaryDirectory(prefix="milestream-verify-") as directory:
            forgotten = await forgotten_members(settings, partition)
            try:
                return await replay.run(recorded, Path(directory), forgotten)
            except RecordMissing as missing:
                raise Difference(str(missing)) from missing


class _Replay:
    """The replay of one partition."""

    def __init__(self, settings: Settings, partition: int, read: Callable[[int], None]) -> None:
        """``read`` is told how many records of the chunk log are folded again."""
        self._settings = settings
        self._partition = partition
        self._read = read

    async def run(
        self,
        recorded: RecordedPartition,
        directory: Path,
        forgotten: AbstractSet[str] = frozenset(),
    ) -> Verified:
        """Fold every chunk again; say what was compared: nothing of the members ``forgotten``."""
        states = StateStore(directory)
        store = states.open(self._partition)
        place = Place(self._partition, self._settings.partitions, {})
        comparison = Comparison(recorded.cursors, forgotten)
        inputs = changelog = 0
        folded: set[str] = set()
        async for each in recorded.chunks():
            require_known(each)
            record, chunk, parts = each
            await recorded.define(chunk.definitions)
            effects = fold_chunk(
                place,
                parts,
                recorded.definitions,
                store.load,
                store.scan,
                poisoned=chunk.errors(),
                whole=True,
                version=chunk.fold,
                keys=recorded.keys,
            )
            changelog += 1
            store.apply(effects.writes, changelog)
            folded.update(effects.forgotten)
            self._same_chunk(record, effects.outputs.pop(CHUNK_LOG)[0].value)
            await comparison.chunk(chunk, parts, effects.outputs)
            inputs += chunk.count
            self._read(record.offset + 1)
        await comparison.end(
            lambda: self._goes_on(recorded.cursors[CHUNK_LOG]),
            lambda: self._go_on(recorded.cursors[MEMBER_EVENTS]),
        )
        await self._all_forgotten(forgotten - folded, recorded.cursors[CHUNK_LOG])
        states.close_all_but(())
        return Verified(inputs, comparison.compared, len(forgotten))

    async def _goes_on(self, chunks: Cursor) -> bool:
        """Tell whether a worker wrote more chunks meanwhile, which surplus outputs are of."""
        async with EndOffsets(self._settings) as asking:
            return (await asking.of([chunks.place]))[chunks.place] > chunks.end

    async def _go_on(self, cursor: Cursor) -> None:
        """Have a cursor read on to where its topic ends now."""
        async with EndOffsets(self._settings) as asking:
            cursor.end = (await asking.of([cursor.place]))[cursor.place]

    async def _all_forgotten(self, others: AbstractSet[str], chunks: Cursor) -> None:
        """Check that inputs had the members forgotten of whom nothing was compared.

        Raises:
            Difference: outputs alone say that these ``others`` were.
        """
        if others and not await self._goes_on(chunks):
            raise Difference(
                f"points-events, partition {self._partition}: {min(others)} is said to be "
                "forgotten, and no input gives this"
            )

    def _same_chunk(self, record: Any, value: bytes) -> None:
        if record.value != value:
            raise Difference(
                f"chunk-log, partition {self._partition}, offset {record.offset}: "
                f"{record.value.decode()} was written, folding again gives {value.decode()}"
            )
