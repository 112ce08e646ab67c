"""Reads single records out of the middle of a topic: where it is told to, and no further.

A consumer reads on from where it is, and ahead of what it is asked for. Here each request names an
offset and how many bytes may come, and the answer is all there is: nothing runs in between.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    KafkaError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

from schemas.kafka import consumers
from schemas.kafka.health import consumer_fault
from schemas.settings import Settings

_COMMITTED = 1
_WITH_REPLICA = 11
"""The version of an answer that says which replica is nearer."""
_TRIES = 3


class Removed(Exception):
    """The topic has these records no more."""


class Fetched(NamedTuple):
    """Some committed records in order, and the offset that comes after what was looked at."""

    records: Sequence[Any]
    next_offset: int


class _Once(FetchRequest):  # type: ignore[misc]  # aiokafka has no types
    """A fetch that belongs to no session; ``schemas.kafka.fetch_sessions`` lets it pass."""


class RecordReader:
    """Fetches from any partition; belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = consumers.consumer(
            settings, group_id=None, isolation_level="read_committed"
        )

    async def start(self) -> None:
        """Connect to the broker."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    def fault(self) -> str | None:
        """Return why the client has failed; None where it works."""
        return consumer_fault(self._consumer)

    def place(self, topic: str, partition: int) -> TopicPartition:
        """Return a partition of a topic (name without prefix)."""
        return TopicPartition(self._settings.topic(topic), partition)

    async def begins(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the offset of the first record that each partition still has.

        Raises:
            KafkaError: the broker does not answer.
        """
        found: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(list(places))
        return found

    async def end(self, place: TopicPartition) -> int:
        """Return the offset after the last record that can be read; see ``begins``."""
        return int((await self._consumer.end_offsets([place]))[place])

    async def since(self, place: TopicPartition, millis: int) -> int | None:
        """Return the offset of the first record that is not older than a time in milliseconds, None
        where all are; see ``begins``."""
        found = (await self._consumer.offsets_for_times({place: millis}))[place]
        return None if found is None else int(found.offset)

    async def fetch(self, place: TopicPartition, offset: int, most_bytes: int) -> Fetched:
        """Return the records from an offset on: at least one, where there are some, and what fits
        into so many bytes of the log.

        Raises:
            Removed: they were removed.
            KafkaError: the broker does not answer, or does not let us read.
        """
        for _ in range(_TRIES):
            try:
                return await self._fetch(place, offset, most_bytes)
            except NotLeaderForPartitionError:
                await self._consumer._client.force_metadata_update()
        raise NotLeaderForPartitionError(str(place))

    async def _fetch(self, place: TopicPartition, offset: int, most_bytes: int) -> Fetched:
        client = self._consumer._client
        leader = client.cluster.leader_for_partition(place)
        if leader is None or leader < 0:
            await client._wait_on_metadata(place.topic)
            leader = client.cluster.leader_for_partition(place)
            if leader is None or leader < 0:
                raise NotLeaderForPartitionError(str(place))
        topics = [(place.topic, [(place.partition, offset, most_bytes)])]
        answer = await client.send(leader, _Once(0, 0, most_bytes, _COMMITTED, topics))
        ((_, ((_, error, _, *rest),)),) = answer.topics
        if error:
            raised: type[KafkaError] = for_code(error)
            if raised is OffsetOutOfRangeError:
                return await self._beyond(place, offset)
            raise raised(str(place))
        aborted = rest[2] if answer.API_VERSION >= _WITH_REPLICA else rest[-2]
        found = fetcher.PartitionRecords(
            place,
            fetcher.MemoryRecords(rest[-1]),
            aborted,
            offset,
            None,
            None,
            False,
            _COMMITTED,
        )
        records = list(found)
        return Fetched(records, found.next_fetch_offset)

    async def _beyond(self, place: TopicPartition, offset: int) -> Fetched:
        """Return nothing behind the end.

        Raises:
            Removed: it is before the beginning.
        """
        if offset < (await self.begins([place]))[place]:
            raise Removed(f"{place}: {offset}")
        return Fetched((), offset)

    async def at(self, place: TopicPartition, offset: int) -> Any:
        """Return the record at an offset.

        Raises:
            Removed: it was removed.
            KafkaError: see ``fetch``.
        """
        fetched = await self.fetch(place, offset, _ONE_BYTES)
        for record in fetched.records:
            if record.offset == offset:
                return record
        raise Removed(f"{place}: {offset}")


_ONE_BYTES = 16 * 1024
"""How much may come where one record is wanted: a batch comes whole, however large it is."""
