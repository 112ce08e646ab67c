"""A chunk is found by the place of any of its inputs, in few requests."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from api.kafka.chunk_finder import ChunkFinder
from api.kafka.chunk_log import Chunk, Range
from api.kafka.record_reader import Fetched, RecordReader, Removed

ALIKE = 200
"""Bytes of a chunk's record in the log."""


class Log:
    """A partition of ``chunk-log`` in memory: records, each followed by its commit marker."""

    def __init__(self, counts: Sequence[int], *, first_sequence: int = 0, begin: int = 0) -> None:
        self.requests = 0
        self.begin = begin
        self.records: dict[int, Chunk] = {}
        sequence = first_sequence
        for number, count in enumerate(counts):
            taken = Range("events", sequence, sequence + count - 1)
            self.records[begin + 2 * number] = Chunk(sequence, count, [taken], 0)
            sequence += count
        self.end_offset = begin + 2 * len(counts)
        self.places = range(first_sequence, sequence)

    def place(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(topic, partition)

    async def begins(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.begin)

    async def end(self, _place: TopicPartition) -> int:
        return self.end_offset

    async def fetch(self, _place: TopicPartition, offset: int, most_bytes: int) -> Fetched:
        self.requests += 1
        assert offset >= self.begin
        found: list[Any] = []
        while offset < self.end_offset and (not found or len(found) * ALIKE < most_bytes):
            if offset in self.records:
                value = msgspec.json.encode(self.records[offset])
                found.append(SimpleNamespace(offset=offset, value=value))
            offset += 1
        return Fetched(found, offset)


def find(log: Log, *sequences: int) -> dict[int, Chunk]:
    """Look these places up."""
    finder = ChunkFinder(cast("RecordReader", cast("Any", log)))
    return dict(asyncio.run(finder.chunks_of(0, set(sequences))))


counts = st.lists(st.one_of(st.integers(1, 3), st.sampled_from([1, 400, 12_000])), min_size=1)


@given(counts, st.integers(0, 50), st.integers(0, 9), st.data())
def test_every_place_is_found(
    sizes: list[int], first: int, begin: int, data: st.DataObject
) -> None:
    log = Log(sizes, first_sequence=first, begin=begin)
    wanted = data.draw(st.sets(st.sampled_from(log.places), max_size=8))
    found = find(log, *wanted)
    assert found.keys() == wanted
    for sequence, chunk in found.items():
        assert chunk.locate(sequence) == ("events", sequence, 0)


@pytest.mark.parametrize(
    "sizes", [[1] * 40_000, [1, 12_000] * 20_000, [9_000] * 100 + [1] * 39_900]
)
def test_a_place_takes_few_requests(sizes: list[int]) -> None:
    log = Log(sizes)
    wanted = {len(log.places) * part // 50 for part in range(50)}
    find(log, *wanted)
    assert log.requests < 4 * len(wanted)


@pytest.mark.parametrize("sequence", [6, 13])
def test_what_the_topic_has_no_more_or_not_yet_is_told(sequence: int) -> None:
    with pytest.raises(Removed):
        find(Log([3, 3], first_sequence=7), sequence)


def test_what_the_topic_has_no_more_hides_nothing_that_it_has() -> None:
    log = Log([3] * 300, first_sequence=7)
    finder = ChunkFinder(cast("RecordReader", cast("Any", log)))
    wanted = {0, 6, 7, 500, 906, 907, 9_000}
    assert asyncio.run(finder.chunks_left_of(0, wanted)).keys() == {7, 500, 906}


def test_what_was_found_is_remembered() -> None:
    log = Log([5] * 100)
    finder = ChunkFinder(cast("RecordReader", cast("Any", log)))
    first = asyncio.run(finder.chunks_of(0, {17}))
    before = log.requests
    assert asyncio.run(finder.chunks_of(0, {17})) == first
    assert log.requests == before


def test_a_chunk_whose_offsets_have_gaps_says_how_many_inputs_come_before() -> None:
    chunk = Chunk(10, 4, [Range("member-commands", 0, 1), Range("events", 5, 7)], 0)
    assert chunk.locate(13) == (None, 0, 3)


def test_inputs_of_several_topics_lie_in_the_order_of_the_chunk() -> None:
    chunk = Chunk(10, 4, [Range("member-commands", 7, 7), Range("events", 5, 7)], 0)
    assert [chunk.locate(n)[:2] for n in range(10, 14)] == [
        ("member-commands", 7),
        ("events", 5),
        ("events", 6),
        ("events", 7),
    ]
