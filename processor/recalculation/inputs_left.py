"""Whether all that was ever folded is there still."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from aiokafka import TopicPartition

from processor.domain.fold import ChunkLogged
from processor.recorded import Cursor, committed_reader
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS, INPUT_TOPICS

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class InputsGone(Exception):
    """Inputs that were folded are not there any more.

    ``since`` would be the moment from which on periods can be recalculated. There is none: without
    the first inputs nobody knows who was live, and which identifiers were used.
    """

    def __init__(self, message: str, since: datetime | None = None) -> None:
        super().__init__(message)
        self.since = since


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
    """Check that all inputs that were folded are there.

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
    for place, begin in cut.items():
        if place.topic in (settings.topic(CHUNK_LOG), settings.topic(DEFINITIONS)):
            raise _gone(place, begin)
    for number in {place.partition for place in cut}:
        await _require(settings, number, cut)


async def _require(settings: Settings, partition: int, cut: Mapping[TopicPartition, int]) -> None:
    """Check the inputs of one partition whose beginnings were ``cut`` off: what was cut off may
    never have been folded."""
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
                    raise _gone(place, cut[place])


def _gone(place: TopicPartition, begin: int) -> InputsGone:
    return InputsGone(f"{place.topic}, partition {place.partition}: nothing is left before {begin}")


def _place(settings: Settings, topic: str, partition: int) -> TopicPartition:
    return TopicPartition(settings.topic(topic), partition)
