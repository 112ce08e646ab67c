"""Finds the chunks in which inputs were folded, by their places in the order: ``chunk-log`` is
searched as a dictionary is, for its chunks rise."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from aiokafka import TopicPartition

from api.kafka import chunk_log
from api.kafka.chunk_log import Chunk
from api.kafka.record_reader import Fetched, RecordReader, Removed
from schemas.topics import CHUNK_LOG

BLOCK_BYTES = 32 * 1024
"""What is read at once: about a hundred chunks of a quiet time."""

BEFORE = 16
"""So many offsets before the guess are read as well, for a guess is often a little too far."""

MOST_KEPT = 8_192
"""Chunks that are remembered: what took too long goes on from there when it is asked for again."""


class _Bound(NamedTuple):
    """From an offset on, chunks begin at a place in the order or behind it."""

    offset: int
    sequence: int


class ChunkFinder:
    """Searches ``chunk-log``. A search takes about three requests."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._kept: OrderedDict[tuple[int, int], Chunk] = OrderedDict()

    async def chunks_of(self, partition: int, sequences: Collection[int]) -> Mapping[int, Chunk]:
        """Return the chunk of each place in a partition's order.

        Raises:
            Removed: ``chunk-log`` has it no more.
            KafkaError: the broker does not answer.
        """
        found = await self.chunks_left_of(partition, sequences)
        for sequence in sequences:
            if sequence not in found:
                raise Removed(f"chunk-log {partition}: no chunk has {sequence}")
        return found

    async def chunks_left_of(
        self, partition: int, sequences: Collection[int]
    ) -> Mapping[int, Chunk]:
        """Return the chunk of each place of which ``chunk-log`` still has it; see ``chunks_of``."""
        found = {n: self._kept[partition, n] for n in sequences if (partition, n) in self._kept}
        missing = sorted(set(sequences) - found.keys())
        if missing:
            found |= await self._search(partition, missing)
        return found

    async def _search(self, partition: int, sequences: Sequence[int]) -> Mapping[int, Chunk]:
        place = self._reader.place(CHUNK_LOG, partition)
        search = _Search(self._reader, place)
        await search.begin()
        found = {}
        for sequence in sequences:
            try:
                chunk = await search.find(sequence)
            except Removed:
                continue
            found[sequence] = self._kept[partition, sequence] = chunk
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found


class _Search:
    """One search for rising places in one partition."""

    def __init__(self, reader: RecordReader, place: TopicPartition) -> None:
        self._reader = reader
        self._place = place
        self._low = self._high = _Bound(0, 0)
        self._block: Sequence[Chunk] = ()

    async def begin(self) -> None:
        """Look where the topic begins, and how far it goes."""
        first = (await self._reader.begins([self._place]))[self._place]
        end = await self._reader.end(self._place)
        head = _chunks(await self._reader.fetch(self._place, first, 1)) if end > first else ()
        self._low = _Bound(first, head[0].sequence if head else 0)
        last: Sequence[Chunk] = ()
        back = BEFORE
        while not last and end > first:
            start = max(first, end - back)
            last = _chunks(await self._reader.fetch(self._place, start, BLOCK_BYTES))
            if start == first:
                break
            back *= 4
        self._high = _Bound(end, last[-1].end if last else self._low.sequence)

    async def find(self, sequence: int) -> Chunk:
        """Return the chunk of a place, which is behind those that were asked for before."""
        found = _in(self._block, sequence)
        low, high, tries = self._low, self._high, 0
        if found is None and not low.sequence <= sequence < high.sequence:
            raise Removed(f"{self._place}: no chunk has {sequence}")
        while found is None:
            if low.offset >= high.offset:
                raise Removed(f"{self._place}: no chunk has {sequence}")
            guess = _guess(low, high, sequence, tries)
            tries += 1
            fetched = await self._reader.fetch(self._place, guess, BLOCK_BYTES)
            block = _chunks(fetched)
            if not block or sequence < block[0].sequence:
                high = _Bound(guess, block[0].sequence if block else high.sequence)
            elif sequence >= block[-1].end:
                low = self._low = _Bound(fetched.next_offset, block[-1].end)
            else:
                self._block = block
                found = _in(block, sequence)
                self._low = _Bound(guess, block[0].sequence)
                if found is None:
                    raise Removed(f"{self._place}: no chunk has {sequence}")
        return found


def _guess(low: _Bound, high: _Bound, sequence: int, tries: int) -> int:
    """Return where to look next: where the place would be if chunks were alike; each third time in
    the middle, for they may not be."""
    width = high.offset - low.offset
    if tries % 3 == 2:
        return low.offset + width // 2
    share = width * (sequence - low.sequence) // max(high.sequence - low.sequence, 1)
    return max(low.offset, min(low.offset + share - BEFORE, high.offset - 1))


def _chunks(fetched: Fetched) -> Sequence[Chunk]:
    try:
        return [chunk_log.decode(record.value) for record in fetched.records]
    except msgspec.MsgspecError as error:
        raise Removed("what is on chunk-log is no chunk") from error


def _in(block: Sequence[Chunk], sequence: int) -> Chunk | None:
    place = bisect_right(block, sequence, key=lambda chunk: chunk.sequence) - 1
    found = block[place] if place >= 0 else None
    return found if found is not None and sequence < found.end else None
