"""Where inputs lie, and what is said of those that retention took."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition

from api.explaining.places import Places, Wanted
from api.kafka.chunk_finder import ChunkFinder
from api.kafka.chunk_log import Chunk, Range
from api.kafka.record_reader import Removed

CHUNKS = [
    Chunk(0, 2, [Range("events", 0, 1)], 0),
    Chunk(2, 2, [Range("challenge-logs", 0, 0), Range("events", 2, 2)], 0),
    Chunk(4, 2, [Range("challenge-logs", 1, 1), Range("events", 3, 3)], 0),
]


class Log:
    """Topics that begin somewhere, and the chunks that ``chunk-log`` still has."""

    def __init__(self, chunks: list[Chunk], **begins: int) -> None:
        self._chunks = chunks
        self._begins = {name.replace("_", "-"): begin for name, begin in begins.items()}

    def place(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(topic, partition)

    async def begins(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {place: self._begins.get(place.topic, 0) for place in places}

    async def chunks_left_of(self, _partition: int, places: Collection[int]) -> dict[int, Chunk]:
        return {n: each for n in places for each in self._chunks if each.sequence <= n < each.end}

    async def chunks_of(self, partition: int, places: Collection[int]) -> dict[int, Chunk]:
        found: Any = ChunkFinder.chunks_of
        chunks: dict[int, Chunk] = await found(self, partition, places)
        return chunks


WANTED = [Wanted(sequence) for sequence in range(6)]


def places(*chunks: Chunk, **begins: int) -> Places:
    """Return what finds inputs of partition 0."""
    log: Any = Log(list(chunks), **begins)
    return Places(log, log, 0)


async def test_what_retention_took_is_left_out_where_the_others_will_do() -> None:
    found = await places(*CHUNKS[1:], events=3, challenge_logs=1).find_left(WANTED)
    lie = [None if each is None else (each.topic, each.offset) for each in found]
    assert lie == [None, None, None, None, ("challenge-logs", 1), ("events", 3)]


@pytest.mark.parametrize(
    ("chunks", "begins"), [(CHUNKS[1:], {}), (CHUNKS, {"events": 1}), ([], {})]
)
async def test_what_is_explained_by_all_is_not_explained_by_some(
    chunks: list[Chunk], begins: dict[str, int]
) -> None:
    with pytest.raises(Removed):
        await places(*chunks, **begins).find(WANTED)


async def test_inputs_of_one_chunk_lie_on_several_topics() -> None:
    found = await places(*CHUNKS).find(WANTED)
    assert [each.topic for each in found if each.topic != "events"] == ["challenge-logs"] * 2
    assert found == await places(*CHUNKS).find_left(WANTED)
