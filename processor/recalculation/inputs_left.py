"""Whether all that was ever folded is there still."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from aiokafka import TopicPartition

from processor.domain.fold import ChunkLogged
from processor.recorded import Cursor, committed_reader
from schemas.instants import from_millis
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS, INPUT_TOPICS

_Begins = Mapping[TopicPartition, int]
"""Offsets of the first records that are left."""

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class InputsGone(Exception):
    """Inputs that were folded are not there any more.

    ``earliest`` is the time of the earliest record from which on all are there, by the records'
    own times; None: that is not known, or nothing is left. No period can be recalculated from there
    on, though: without the first inputs nobody knows who was live, and which identifiers were used.
    """

    def __init__(self, message: str, earliest: datetime | None = None) -> None:
        super().__init__(message)
        self.earliest = earliest


async def present_ends(settings: Settings) -> dict[int, int]:
    """Return where each partition's ``chunk-log`` ends now.

    Raises:
        KafkaError: the broker does not answer.
    """
    places = [_place(settings, CHUNK_LOG, number) for number in range(settings.partitions)]
    async with EndOffsets(settings) as asking:
        ends = await asking.of(places)
    return {place.partition: ends[place] for place in places}


async def require_inputs(settings: Settings) -> None:
    """Check that all inputs that were folded are there. Whose beginning was removed unfolded is not
    missed.

    Raises:
        InputsGone: retention, or somebody, has removed some.
        KafkaError: the broker does not answer.
    """
    places = [
        _place(settings, topic, number)
        for topic in (CHUNK_LOG, *INPUT_TOPICS)
        for number in range(settings.partitions)
    ]
    places.append(_place(settings, DEFINITIONS, 0))
    async with EndOffsets(settings) as asking:
        begins = await asking.begins(places)
    cut = {place: begin for place, begin in begins.items() if begin > 0}
    gone = await _gone(settings, cut)
    if gone:
        earliest = await _earliest(settings, gone)
        place, begin = next(iter(gone.items()))
        message = f"{place.topic}, partition {place.partition}: nothing is left before {begin}"
        raise InputsGone(message, earliest)


async def _gone(settings: Settings, cut: _Begins) -> _Begins:
    """Return of the partitions whose beginnings were cut off those of which something is missed."""
    always = (settings.topic(CHUNK_LOG), settings.topic(DEFINITIONS))
    gone = {place: begin for place, begin in cut.items() if place.topic in always}
    if gone:
        return gone  # without these nobody knows what was folded of the others, and under what
    for number in sorted({place.partition for place in cut}):
        gone |= await _gone_of(settings, number, cut)
    return gone


async def _gone_of(settings: Settings, partition: int, cut: _Begins) -> _Begins:
    """Return of one partition's inputs those of which something is missed: what was cut off may
    never have been folded."""
    gone = {}
    left = {
        topic: place
        for topic in INPUT_TOPICS
        if (place := _place(settings, topic, partition)) in cut
    }
    log = _place(settings, CHUNK_LOG, partition)
    async with EndOffsets(settings) as asking, committed_reader(settings) as consumer:
        cursor = Cursor(consumer, log, (await asking.of([log]))[log])
        consumer.assign([log])
        await consumer.seek_to_beginning(log)
        while left and (record := await cursor.next()) is not None:
            for each in _CHUNK.decode(record.value).inputs:
                place = left.pop(each.topic, None)
                if place is not None and each.first < cut[place]:
                    gone[place] = cut[place]
    return gone


async def _earliest(settings: Settings, begins: _Begins) -> datetime | None:
    """Return the latest of the times of these partitions' first records, None where one has none:
    from there on they are whole."""
    async with EndOffsets(settings) as asking, committed_reader(settings) as consumer:
        ends = await asking.of(list(begins))
        consumer.assign(list(begins))
        times = []
        for place, begin in begins.items():
            consumer.seek(place, begin)
            record = await Cursor(consumer, place, ends[place]).next()
            if record is None:
                return None
            times.append(record.timestamp)
    return from_millis(max(times))


def _place(settings: Settings, topic: str, partition: int) -> TopicPartition:
    return TopicPartition(settings.topic(topic), partition)
