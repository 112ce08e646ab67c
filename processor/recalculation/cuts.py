"""Cuts: the place in each partition's fold that a recalculation is of.

Everything that a partition folds after its cut was folded under the definitions that were in force
when the cut was written. The first cut of a recalculation counts: whoever does not know whether it
was written writes it again.
"""

import asyncio
from collections.abc import Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from processor.domain.fold import ChunkLogged, Part, Range
from processor.recalculation.replay import cut_in
from processor.recalculation.sending import producer
from processor.recorded import Cursor, committed_reader
from schemas.kafka.end_offsets import EndOffsets
from schemas.records import Cut, Tick, encode
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, TICKS

_CHUNK = msgspec.json.Decoder(ChunkLogged)


async def write_cuts(settings: Settings, project: str, recalculation_id: str) -> None:
    """Write a cut onto every partition of ``ticks``; return when all replicas in sync have them.

    Raises:
        KafkaError: the broker does not take them, or does not say so; some may be there.
    """
    cut = encode(Tick(project=project, cut=Cut(recalculation_id=recalculation_id)))
    async with producer(settings) as client:
        sent = [
            await client.send(settings.topic(TICKS), cut, partition=partition)
            for partition in range(settings.partitions)
        ]
        await asyncio.gather(*sent)


async def cut_places(
    settings: Settings, recalculation_id: str, after: Mapping[int, int]
) -> dict[int, int] | None:
    """Return by partition the offset of ``chunk-log`` after the chunk that has the first cut; None
    where one was not folded yet.

    Args:
        recalculation_id: whose cuts.
        after: by partition an offset of ``chunk-log``, at most that of the chunk.

    Raises:
        RecordMissing: retention took ticks of these chunks.
        KafkaError: the broker does not answer.
    """
    found = {}
    async with EndOffsets(settings) as asking, committed_reader(settings) as consumer:
        for partition, first in sorted(after.items()):
            places = {
                topic: TopicPartition(settings.topic(topic), partition)
                for topic in (CHUNK_LOG, TICKS)
            }
            ends = await asking.of(list(places.values()))
            consumer.assign(list(places.values()))
            consumer.seek(places[CHUNK_LOG], first)
            log, ticks = (
                Cursor(consumer, places[topic], ends[places[topic]]) for topic in (CHUNK_LOG, TICKS)
            )
            place = await _find(consumer, log, ticks, recalculation_id)
            if place is None:
                return None
            found[partition] = place
    return found


async def _find(
    consumer: AIOKafkaConsumer, log: Cursor, ticks: Cursor, recalculation_id: str
) -> int | None:
    """Return the offset after the first chunk from here on that has a cut."""
    is_placed = False
    while (record := await log.next()) is not None:
        for span in _ticks_of(_CHUNK.decode(record.value)):
            if not is_placed:
                consumer.seek(ticks.place, span.first)
                is_placed = True
            found = Part(TICKS, await ticks.span(span.first, span.last))
            if cut_in(recalculation_id, found) is not None:
                return int(record.offset) + 1
    return None


def _ticks_of(chunk: ChunkLogged) -> list[Range]:
    return [each for each in chunk.inputs if each.topic == TICKS]
