"""Asking the broker where topics end, on a connection of its own.

A broker answers the requests of one connection in order, so behind a long poll for records the
question would wait for as long as that poll does.

It is asked with every chunk and for most reads, so it has a way of its own, a quarter of the
processor time of aiokafka's. Where anything is out of the ordinary, aiokafka's is gone: it learns
who leads, and tries again.
"""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Collection, Mapping
from io import BytesIO
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, StaleMetadata, UnsupportedVersionError, for_code
from aiokafka.protocol.offset import OffsetRequest, OffsetRequest_v3, OffsetResponse_v3
from typing_extensions import override

from schemas.kafka import consumers
from schemas.kafka.health import consumer_fault
from schemas.settings import Settings

_LATEST = -1
_SAME_AS_V3 = (2, 3)
"""Versions with the layout that is written and read here."""
_HEAD = struct.Struct(">ibi")
_ASKED_PARTITION = struct.Struct(">iq")
_SHORT = struct.Struct(">h")
_INT = struct.Struct(">i")
_END = struct.Struct(">ihqq")


class _Answer(OffsetResponse_v3):  # type: ignore[misc]  # aiokafka has no types
    """Of each topic its partitions: number, error, timestamp, offset."""

    @classmethod
    @override
    def decode(cls, data: BytesIO | bytes) -> Any:
        received = data if isinstance(data, bytes) else data.read()
        (count,) = _INT.unpack_from(received, 4)
        at, topics = 8, []
        for _ in range(count):
            (length,) = _SHORT.unpack_from(received, at)
            name = received[at + 2 : at + 2 + length].decode()
            (partitions,) = _INT.unpack_from(received, at + 2 + length)
            at += 6 + length
            end = at + partitions * _END.size
            topics.append((name, list(_END.iter_unpack(received[at:end]))))
            at = end
        return cls(0, topics)


class _Asked(OffsetRequest_v3):  # type: ignore[misc]
    """A request as it goes over the wire."""

    RESPONSE_TYPE = _Answer

    @override
    def encode(self) -> bytes:
        pieces = [_HEAD.pack(self.replica_id, self.isolation_level, len(self.topics))]
        for topic, partitions in self.topics:
            name = topic.encode()
            pieces += [_SHORT.pack(len(name)), name, _INT.pack(len(partitions))]
            pieces += [_ASKED_PARTITION.pack(*each) for each in partitions]
        return b"".join(pieces)


class _Question(OffsetRequest):  # type: ignore[misc]
    """Where some partitions end."""

    def __init__(self, isolation: int, partitions: Collection[TopicPartition]) -> None:
        topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in partitions:
            topics[topic].append((number, _LATEST))
        super().__init__(-1, isolation, list(topics.items()))

    @override
    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION not in _SAME_AS_V3:
            raise UnsupportedVersionError
        asked = _Asked(self._replica_id, self._isolation_level, self._topics)
        asked.API_VERSION = request_struct_class.API_VERSION
        return asked


class EndOffsets:
    """Asks for the end of partitions: as a read_committed reader sees it (last stable offset), or
    with ``read_uncommitted`` that of the log, what transactions have open included."""

    def __init__(self, settings: Settings, isolation: str = "read_committed") -> None:
        self._client = consumers.consumer(settings, group_id=None, isolation_level=isolation)

    async def __aenter__(self) -> Self:
        await self._client.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.stop()

    def fault(self) -> str | None:
        """Return why it works no more; None where it does."""
        return consumer_fault(self._client)

    async def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the offset after the last record of each partition: one request to each leader.

        Raises:
            KafkaError: a leader does not answer within 40 s.
        """
        try:
            return await self._ask(partitions)
        except KafkaError:
            pass  # aiokafka knows what to do
        ends: Mapping[TopicPartition, int] = await self._client.end_offsets(list(partitions))
        return ends

    async def _ask(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        client = self._client._client
        by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in partitions:
            leader = client.cluster.leader_for_partition(place)
            if leader is None or leader < 0:
                raise StaleMetadata
            by_leader[leader].append(place)
        isolation = self._client._fetcher._isolation_level
        answers = await asyncio.gather(
            *(client.send(n, _Question(isolation, asked)) for n, asked in by_leader.items())
        )
        ends = {}
        for answer in answers:
            for topic, found in answer.topics:
                for number, error, _, offset in found:
                    if error:
                        raise for_code(error)
                    ends[TopicPartition(topic, number)] = offset
        return ends

    async def begins(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the offset of the first record that each partition still has: one request."""
        begins: Mapping[TopicPartition, int] = await self._client.beginning_offsets(
            list(partitions)
        )
        return begins

    async def at(
        self, partitions: Collection[TopicPartition], millis: int
    ) -> Mapping[TopicPartition, int | None]:
        """Return the offset of each partition's first record that is not older than ``millis``
        (since the epoch); None where all are."""
        found = await self._client.offsets_for_times(dict.fromkeys(partitions, millis))
        return {place: None if hit is None else hit.offset for place, hit in found.items()}
