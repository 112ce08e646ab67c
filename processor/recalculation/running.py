"""What is to be corrected of one partition, from the topics: read, folded in two worlds, compared.

The state of both worlds is on disk, and what is read goes through bounded buffers: a long history
takes time, not memory. Folding and comparing run in a thread, so that whoever waits for them can do
other things meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

from aiokafka import TopicPartition

from processor.definitions import DefinitionsReader
from processor.domain.definitions import Definitions
from processor.domain.inputs import Place
from processor.recalculation.comparison import Both
from processor.recalculation.comparison import corrections as compared
from processor.recalculation.correction import Correction
from processor.recalculation.history import ForHistory
from processor.recalculation.inputs_left import InputsGone
from processor.recalculation.replay import Replay
from processor.recalculation.wanted import Wanted, put_on_top
from processor.recalculation.worlds import Worlds
from processor.recorded import (
    Cursor,
    RecordedPartition,
    RecordMissing,
    committed_reader,
    recorded_partition,
)
from processor.simulation.gathering import Piece
from processor.simulation.world import scratch_stores
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS

Progress = Callable[[int, int], None]
"""Is told how far the partition's ``chunk-log`` was replayed, and how far that goes, in offsets."""

T = TypeVar("T")


async def corrections(
    settings: Settings,
    wanted: Wanted,
    partition: int,
    end: int,
    progress: Progress,
    *,
    cut: str | None = None,
) -> AsyncGenerator[list[Correction]]:
    """Iterate over what is to be corrected of one partition, some at once.

    It is the same in the same order however often it is asked for. Nothing is written to Kafka.

    Args:
        wanted: what is recalculated.
        partition: that of the members.
        end: the offset of its ``chunk-log`` up to which (exclusive) it is replayed.
        progress: is told how far it is.
        cut: the recalculation whose first cut ends it, where it comes before ``end``.

    Raises:
        NotRecalculable, UnknownChallenge, DefinitionError: see ``put_on_top``.
        InputsGone: they are not there any more.
        FoldedByNewer: some were folded by a later version of the fold.
        KeysUnreadable: there are members' keys that cannot be used.
        KafkaError: the broker does not answer, or refuses.
    """
    now = await definitions_at(settings, wanted.definitions_end)
    challenges = put_on_top(wanted, now)
    history = ForHistory(wanted.project, challenges, now)
    with scratch_stores(partition) as (recomputed, recorded):
        try:
            async with recorded_partition(settings, partition) as read:
                worlds = Worlds(
                    Place(partition, settings.partitions, {}),
                    wanted.project,
                    history,
                    recorded=recorded,
                    recomputed=recomputed,
                    keys=read.keys,
                )
                await _replay(read, Replay(wanted.project, worlds, cut), worlds, end, progress)
        except RecordMissing as missing:
            raise InputsGone(str(missing)) from missing
        found = compared(wanted, challenges, Both(recorded, recomputed), now)
        while (some := await _in_thread(lambda: _next(found))) is not None:
            if some:
                yield some


async def _replay(
    read: RecordedPartition, replay: Replay, worlds: Worlds, end: int, progress: Progress
) -> None:
    """Have both worlds fold what is recorded before an offset of ``chunk-log``, and before the
    cut."""

    async def fold(piece: Piece | None) -> None:
        if piece is not None:
            await _in_thread(lambda: worlds.fold(piece))

    read.definitions = worlds.definitions
    log = read.cursors[CHUNK_LOG]
    log.end = min(log.end, end)
    progress(0, end)
    async for chunk in read.chunks():
        await fold(replay.before(chunk))
        await read.define(chunk.logged.definitions)
        await fold(replay.take(chunk))
        progress(chunk.record.offset, end)
        if replay.is_over:
            break
    await fold(replay.rest())
    progress(end, end)


async def definitions_at(settings: Settings, end: int) -> Definitions:
    """Return the definitions of all projects as they were before an offset of their topic.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    place = TopicPartition(settings.topic(DEFINITIONS), 0)
    async with EndOffsets(settings) as asking, committed_reader(settings) as consumer:
        last = (await asking.of([place]))[place]
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        recorded = RecordedPartition({DEFINITIONS: Cursor(consumer, place, last)})
        await recorded.define(end)
    return recorded.definitions


async def definitions_end(settings: Settings) -> int:
    """Return the offset after the last definition that is in force now.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    async with DefinitionsReader(settings) as reader:
        return await reader.committed_end()


async def checked(settings: Settings, wanted: Wanted) -> list[str]:
    """Return the ids of the challenges that would be recalculated.

    Raises:
        NotRecalculable, UnknownChallenge, DefinitionError: see ``put_on_top``.
        KafkaError: the broker does not answer, or refuses.
    """
    return put_on_top(wanted, await definitions_at(settings, wanted.definitions_end))


def _next(found: Iterator[list[Correction]]) -> list[Correction] | None:
    return next(found, None)


async def _in_thread(call: Callable[[], T]) -> T:
    """Return what a call gives, made in a thread. Whoever is cancelled meanwhile waits for it: it
    uses stores that are closed and deleted next."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
