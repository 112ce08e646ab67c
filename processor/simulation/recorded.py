"""What the topics have, folded again: under the definitions that are tried, and as it was."""

from collections.abc import Callable

from aiokafka import TopicPartition

from processor.domain.definitions import Definitions
from processor.domain.inputs import Place
from processor.recorded import RecordedPartition, recorded_partition, require_known
from processor.simulation.figures import Calendar, Figures
from processor.simulation.gathering import (
    LEFT_OUT,
    Gathered,
    Piece,
    corrections_of,
    ends_piece,
    has_ticks,
)
from processor.simulation.world import World, scratch_stores
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG

Progress = Callable[[int, int], None]
"""Is told how far ``chunk-log`` was read, and how far it goes, in records of all partitions."""


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
    gathered = Gathered(project)
    async for chunk in recorded.chunks():
        require_known(chunk)
        if ends_piece(gathered, chunk, recorded.definitions.next_offset):
            _fold(worlds, gathered.give())
            await recorded.define(chunk.logged.definitions)
            worlds[0].begin_clock(project, recorded.definitions.clocks.get(project))
        gathered.take(chunk)
        if has_ticks(chunk):
            _fold(worlds, gathered.give())
        read(chunk.record.offset)
    _fold(worlds, gathered.give())


def _fold(worlds: tuple[World, World], piece: Piece | None) -> None:
    """Fold a piece: what is tried by today's fold and without what recalculations corrected, what
    was by the fold of then."""
    if piece is not None:
        corrections = dict.fromkeys(corrections_of(piece.parts), LEFT_OUT)
        worlds[0].fold(piece.parts, {**piece.poisoned, **corrections})
        worlds[1].fold(piece.parts, piece.poisoned, version=piece.version)
