"""Asking the broker where topics end, on a connection of its own.

A broker answers the requests of one connection in order, so behind a long poll for records the
question would wait for as long as that poll does.
"""

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Self

from aiokafka import TopicPartition

from schemas.kafka import consumers
from schemas.kafka.health import consumer_fault
from schemas.settings import Settings


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
        """Return the offset after the last record of each partition: one request."""
        ends: Mapping[TopicPartition, int] = await self._client.end_offsets(list(partitions))
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
