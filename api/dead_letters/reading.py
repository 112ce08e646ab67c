"""Dead letters, read from their topic."""

import heapq
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from api.dead_letters.redriven import Filter, Found, Redriven
from schemas.dead_letter import DeadLetter
from schemas.kafka.positions import read_positions
from schemas.kafka.single_use import partitions_of_topic, reader
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, MIB

_LETTER = msgspec.json.Decoder(DeadLetter)

AT_ONCE = 200
"""Letters that are unpacked together: what is fetched is compressed."""

Progress = Callable[[int, int], None]
"""Is told how many offsets of `dead-letters` were gone through, and how many there are to go."""

Show = Callable[[Found, Redriven], None]
"""Is given a letter, and which went back."""


async def read_letters(
    settings: Settings,
    starts: Callable[[int], int] = lambda _partition: 0,
    progress: Progress = lambda _done, _total: None,
) -> AsyncGenerator[Found]:
    """Yield what stands on `dead-letters`, partition by partition, up to its end as of now.

    Args:
        settings: where the topic is.
        starts: the first offset to read, by partition.
        progress: is told of each letter before it is given.
    """
    partitions = await partitions_of_topic(settings, settings.topic(DEAD_LETTERS))
    async with reader(settings, "read_committed") as consumer:
        ends = await consumer.end_offsets(partitions)
        begins = {each: min(starts(each.partition), ends[each]) for each in partitions}
        total, before = sum(ends[each] - begins[each] for each in partitions), 0
        for partition in partitions:
            begin, end = begins[partition], ends[partition]
            if begin < end:
                consumer.assign([partition])
                consumer.seek(partition, begin)
                async for found in _read_partition(consumer, partition, end):
                    progress(before + min(found.offset + 1, end) - begin, total)
                    yield found
            before += end - begin


async def _read_partition(
    consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
) -> AsyncGenerator[Found]:
    while await consumer.position(partition) < end:
        some = await consumer.getmany(partition, timeout_ms=200, max_records=AT_ONCE)
        for record in some.get(partition, ()):
            yield found_in(record)
    consumer.pause(partition)  # what has been read is not fetched again for what comes later


async def read_in_order(settings: Settings) -> AsyncGenerator[Found]:
    """Yield what stands on `dead-letters`, up to its end as of now, in the order in which it was
    written. Of each partition some MiB are in memory at a time.

    Raises:
        KafkaConnectionError: no broker answers.
        NoSuchTopic: the topic is not there.
    """
    partitions = await partitions_of_topic(settings, settings.topic(DEAD_LETTERS))
    async with reader(settings, "read_committed", partition_bytes=MIB) as consumer:
        ends = await consumer.end_offsets(partitions)
        some = [each for each in partitions if ends[each]]
        consumer.assign(some)
        for each in some:
            consumer.seek(each, 0)
        sources = [_read_partition(consumer, each, ends[each]) for each in some]
        heads: list[_Head] = []
        for source in sources:
            await _push_next(heads, source)
        while heads:
            *_, found, source = heapq.heappop(heads)
            yield found
            await _push_next(heads, source)


_Head = tuple[int, int, int, Found, AsyncGenerator[Found]]
"""When and where a letter was written, by which it is in order, the letter, and what follows it."""


async def _push_next(heads: list[_Head], source: AsyncGenerator[Found]) -> None:
    """Take the next letter of a partition, if there is one."""
    found = await anext(source, None)
    if found is not None:
        heapq.heappush(heads, (found.timestamp, found.partition, found.offset, found, source))


def found_in(record: Any) -> Found:
    """Return the dead letter of a record of `dead-letters`."""
    raw = record.value or b""
    try:
        letter = _LETTER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        letter = None  # not a worker's
    return Found(record.partition, record.offset, record.timestamp, raw, letter)


@dataclass(frozen=True)
class Listing:
    """The newest letters of `total` that match, in the order in which they were written, so that
    what comes later is behind them; `redriven` says which went back.

    The records' own times say nothing of that: an import's may be years old, and a worker that has
    fallen behind refuses one partition's old records after another's new ones.
    """

    letters: Sequence[Found]
    redriven: Redriven
    total: int


async def show_letters(settings: Settings, wanted: Filter, show: Show) -> None:
    """Show all letters that match, one after the other.

    Raises:
        KafkaConnectionError: no broker answers.
        NoSuchTopic: the topics are not there.
    """
    redriven = Redriven(await read_positions(settings))
    async with aclosing(read_in_order(settings)) as letters:
        async for found in letters:
            if found.letter is not None and wanted.matches(found.letter):
                show(found, redriven)


async def list_letters(settings: Settings, wanted: Filter, limit: int) -> Listing:
    """Return the newest letters that match, at most `limit`.

    Raises:
        KafkaConnectionError: no broker answers.
        NoSuchTopic: the topics are not there.
    """
    redriven = Redriven(await read_positions(settings))
    newest: list[tuple[int, int, int, Found]] = []
    total = 0
    async for found in read_letters(settings):
        if found.letter is None or not wanted.matches(found.letter):
            continue
        total += 1
        heapq.heappush(newest, (found.timestamp, found.partition, found.offset, found))
        if len(newest) > limit:
            heapq.heappop(newest)
    return Listing([entry[3] for entry in sorted(newest)], redriven, total)
