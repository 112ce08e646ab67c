"""Dead letters, read from their topic."""

import heapq
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from api.dead_letters.redriven import Filter, Found, Redriven
from schemas.dead_letter import DeadLetter
from schemas.kafka.positions import read_positions
from schemas.kafka.single_use import partitions_of_topic, reader
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS

_LETTER = msgspec.json.Decoder(DeadLetter)


Progress = Callable[[int, int], None]
"""Is told how many offsets of `dead-letters` were gone through, and how many there are to go."""


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
            async for found in _read_partition(consumer, partition, begin, end):
                progress(before + min(found.offset + 1, end) - begin, total)
                yield found
            before += end - begin


async def _read_partition(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
) -> AsyncGenerator[Found]:
    if start >= end:
        return
    consumer.assign([partition])
    consumer.seek(partition, start)
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                yield found_in(record)


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


async def list_letters(settings: Settings, wanted: Filter, limit: int | None) -> Listing:
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
        if limit is not None and len(newest) > limit:
            heapq.heappop(newest)
    return Listing([entry[3] for entry in sorted(newest)], redriven, total)
