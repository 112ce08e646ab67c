"""How far workers have folded the corrections that were sent to them."""

from collections.abc import AsyncGenerator, Iterable, Mapping

import msgspec
from aiokafka import TopicPartition

from processor.domain.fold import ChunkLogged, Range
from processor.recorded import committed_reader
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, MEMBER_COMMANDS

POLL_MS = 500

_CHUNK = msgspec.json.Decoder(ChunkLogged)


class Folded:
    """How far the commands of some partitions are folded, by what their chunks say of them."""

    def __init__(self, sent: Mapping[int, int]) -> None:
        """``sent`` is by partition the offset of ``member-commands`` after the last one."""
        self._sent = sent
        self._first: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def take(self, partition: int, inputs: Iterable[Range]) -> None:
        """Take the inputs of a partition's next chunk."""
        for each in inputs:
            if each.topic == MEMBER_COMMANDS:
                self._first.setdefault(partition, each.first)
                self._next[partition] = each.last + 1

    @property
    def left(self) -> set[int]:
        """The partitions that have some to fold."""
        return {each for each, end in self._sent.items() if self._next.get(each, 0) < end}

    @property
    def done(self) -> int:
        """How many offsets of commands were folded, since the first chunk that was taken."""
        return sum(
            max(0, min(self._next[each], self._sent[each]) - first)
            for each, first in self._first.items()
        )

    @property
    def total(self) -> int:
        """How many there are to fold; 0 until each partition has folded some."""
        if self._first.keys() != self._sent.keys():
            return 0
        return sum(max(0, self._sent[each] - first) for each, first in self._first.items())


async def folding(
    settings: Settings, after: Mapping[int, int], sent: Mapping[int, int]
) -> AsyncGenerator[Folded]:
    """Iterate over how far workers have come, at least twice a second, until all is folded: what
    they folded is committed with what came of it.

    Args:
        after: by partition an offset of ``chunk-log``, at most that of the first chunk with one of
            the commands.
        sent: by partition the offset of ``member-commands`` after the last one.

    Raises:
        KafkaError: the broker does not answer.
    """
    folded = Folded(sent)
    if not folded.left:  # a consumer that is stopped before it began to work is cancelled by that
        return
    topic = settings.topic(CHUNK_LOG)
    async with committed_reader(settings) as consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in sorted(sent)])
        for partition in sorted(sent):
            consumer.seek(TopicPartition(topic, partition), after[partition])
        while folded.left:
            places = [TopicPartition(topic, partition) for partition in sorted(folded.left)]
            fetched = await consumer.getmany(*places, timeout_ms=POLL_MS)
            for place, records in fetched.items():
                for record in records:
                    folded.take(place.partition, _CHUNK.decode(record.value).inputs)
            yield folded
