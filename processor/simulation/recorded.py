"""What the topics have, folded again: under the definitions that are tried, and as it was."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import TopicPartition

from processor.domain.definitions import Definitions
from processor.domain.fold import FOLD_VERSION, Part, Poison
from processor.domain.inputs import Place
from processor.recorded import RecordedChunk, RecordedPartition, recorded_partition, require_known
from processor.simulation.figures import Calendar, Figures
from processor.simulation.world import World, scratch_stores
from schemas.ids import DEFAULT_PROJECT
from schemas.json_limits import BOM
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, MIB, TICKS

MAX_RECORDS = 2_000
MAX_BYTES = 4 * MIB
"""So much is folded at once, where one set of definitions was in force: chunks may be of one record
each, and folding costs something a chunk."""

Progress = Callable[[int, int], None]
"""Is told how far ``chunk-log`` was read, and how far it goes, in records of all partitions."""


class _ProjectOnly(msgspec.Struct):
    project: str | None = None


_PROJECT = msgspec.json.Decoder(_ProjectOnly)


async def simulate_recorded(
    settings: Settings, project: str, tried: Definitions, progress: Progress
) -> tuple[Figures, Figures]:
    """Return the figures under ``tried``, and those of what was really given, of one project.

    Raises:
        RecordMissing: inputs are not there any more.
        FoldedByNewer: some were folded by a later version of the fold.
        KeysUnreadable: there are members' keys that cannot be used.
        KafkaError: the broker does not answer, or refuses.
    """
    chunk_logs = [
        TopicPartition(settings.topic(CHUNK_LOG), partition)
        for partition in range(settings.partitions)
    ]
    async with EndOffsets(settings) as asking:
        ends = await asking.of(chunk_logs)
    total, done = sum(ends.values()), 0
    there, here = Figures(), Figures()
    for place in chunk_logs:

        def read(offset: int, before: int = done) -> None:
            progress(min(before + offset, total), total)

        read(0)
        async with recorded_partition(settings, place.partition) as recorded:
            with scratch_stores(place.partition) as stores:
                at = Place(place.partition, settings.partitions, {})
                was, keys = recorded.definitions, recorded.keys
                worlds = (
                    World(at, stores[0], tried, here, Calendar(project, tried), keys=keys),
                    World(at, stores[1], was, there, Calendar(project, tried, was), keys=keys),
                )
                await _replay(recorded, project, worlds, read)
        done += ends[place]
    progress(total, total)
    return here, there


async def _replay(
    recorded: RecordedPartition,
    project: str,
    worlds: tuple[World, World],
    read: Callable[[int], None],
) -> None:
    """Fold the chunks of one partition in all worlds; ``read`` is told how far that is."""
    gathered = _Gathered(project, *worlds)
    async for chunk in recorded.chunks():
        require_known(chunk)
        defined = chunk.logged.definitions > recorded.definitions.next_offset
        ticks = any(part.topic == TICKS for part in chunk.parts)
        if ticks or defined or gathered.is_full or chunk.logged.fold != gathered.version:
            gathered.fold()
            await recorded.define(chunk.logged.definitions)
            worlds[0].begin_clock(project, recorded.definitions.clocks.get(project))
        gathered.take(chunk)
        if ticks:  # what is due has bounds of its own in each chunk
            gathered.fold()
        read(chunk.record.offset)
    gathered.fold()


@dataclass
class _Gathered:
    """Chunks that are folded at once: ``tried`` by today's fold, ``was`` by that of then."""

    project: str
    tried: World
    was: World
    version: int = FOLD_VERSION
    """That of the fold which its chunks were folded by."""
    parts: list[Part] = field(default_factory=list)
    poisoned: dict[tuple[str, int], str] = field(default_factory=dict)
    records: int = 0
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as much as is folded at once."""
        return self.records >= MAX_RECORDS or self.size >= MAX_BYTES

    def take(self, chunk: RecordedChunk) -> None:
        """Add what a chunk has of the project: its records, and time."""
        for topic, records in chunk.parts:
            own = [each for each in records if topic == TICKS or self._is_own(each.value)]
            if own:
                self.parts.append(Part(topic, own))
                self.records += len(own)
                self.size += _size(own)
        self.poisoned |= chunk.logged.errors()
        self.version = chunk.logged.fold

    def fold(self) -> None:
        """Fold all that was added, and begin anew."""
        if self.parts:
            poisoned: Poison = self.poisoned
            self.tried.fold(self.parts, poisoned)
            self.was.fold(self.parts, poisoned, version=self.version)
        self.parts, self.poisoned, self.records, self.size = [], {}, 0, 0

    def _is_own(self, value: bytes | None) -> bool:
        """Tell whether a record is of the project; one that cannot be read is of none."""
        try:
            read = _PROJECT.decode((value or b"").removeprefix(BOM))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return (read.project or DEFAULT_PROJECT) == self.project


def _size(records: Iterable[Any]) -> int:
    return sum(len(each.value or b"") for each in records)
