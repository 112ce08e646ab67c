"""Typed output events as an async iterator; what was handled is committed, and nothing before."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from milestream_client import events, kafka
from milestream_client.errors import UndecodableEvent
from milestream_client.events import Event, Place

logger = logging.getLogger(__name__)

ALL_TOPICS = tuple(sorted(set(events.TOPICS.values())))
COMMIT_SECONDS = 1.0
MOST_AT_ONCE = 500


class Subscriber:
    """Reads output events in a consumer group, each at least once, in order within a member.

    An event counts as handled when the next one is asked for. What was handled is committed once a
    second, before partitions go to another member of the group, and at the end. So what a program
    was at when it ended is read again: `Event.id` tells a repeat.

    `async with Subscriber(…) as subscriber: async for event in subscriber: …`
    """

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        topics: Iterable[str] = ALL_TOPICS,
        *,
        topic_prefix: str = "",
        project: str | None = None,
        from_start: bool = True,
        **options: Any,
    ) -> None:
        """Take where the brokers are, who reads, and which topics (without prefix).

        Args:
            project: only this one's events are given; all projects' by default.
            from_start: a group that is new begins with the oldest event; else with what comes next.
            options: further ones of `aiokafka.AIOKafkaConsumer`.
        """
        self._topics = [topic_prefix + topic for topic in topics]
        self._project = project
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_start else "latest",
            **options,
        )
        self._read: deque[ConsumerRecord] = deque()
        self._at: ConsumerRecord | None = None
        self._handled: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._committed_at = time.monotonic()

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.subscribe(self._topics, listener=_Handover(self))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Commit what was handled, and leave the group."""
        try:
            await self.commit()
        finally:
            await self._consumer.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; the one before it counts as handled.

        Raises:
            UndecodableEvent: the record is none; to go on passes over it.
        """
        while True:
            self._handle()
            self._at = await self._next()
            event = self._decoded(self._at)
            if self._project is None or event.project == self._project:
                return event

    async def commit(self) -> None:
        """Commit now what was handled."""
        async with self._committing:
            mine = self._consumer.assignment()
            handled = {place: offset for place, offset in self._handled.items() if place in mine}
            self._handled.clear()
            self._committed_at = time.monotonic()
            if not handled:
                return
            try:
                await self._consumer.commit(handled)
            except (CommitFailedError, IllegalStateError) as error:
                # The group has given the partitions to others meanwhile: they read it again.
                logger.warning("what was handled could not be committed: %s", error)

    async def hand_over(self) -> None:
        """Commit what was handled, and forget what was only read: it is read again from there."""
        self._read.clear()
        await self.commit()

    def _handle(self) -> None:
        if self._at is not None:
            place = TopicPartition(self._at.topic, self._at.partition)
            self._handled[place] = self._at.offset + 1
            self._at = None

    async def _next(self) -> ConsumerRecord:
        while True:
            if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
                await self.commit()
            if self._read:
                return self._read.popleft()
            milliseconds = int(COMMIT_SECONDS * 1000)
            read = await self._consumer.getmany(timeout_ms=milliseconds, max_records=MOST_AT_ONCE)
            self._read.extend(record for records in read.values() for record in records)

    def _decoded(self, record: ConsumerRecord) -> Event:
        place = Place(record.topic, record.partition, record.offset)
        if record.value is None:
            project = kafka.header(record.headers, kafka.PROJECT) or b""
            return events.erased((record.key or b"").decode(), project.decode(), place)
        try:
            return events.decoded(record.value, place)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UndecodableEvent(*place_of(place), str(error)) from error


def place_of(place: Place) -> tuple[str, int, int]:
    """Return a place's parts."""
    return place.topic, place.partition, place.offset


class _Handover(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Commits before partitions go."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what was handled of them."""
        if revoked:
            await self._subscriber.hand_over()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Nothing is to be done: reading begins at what is committed."""
