"""The reader of the ``definitions`` topic: all of it before anything else, and followed after."""

import asyncio
import logging
from types import TracebackType
from typing import Generic, Self, TypeVar

from aiokafka import TopicPartition

from schemas.definition_set import DefinitionSet
from schemas.definitions import DefinitionError
from schemas.kafka import consumers
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.health import check, consumer_fault
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

logger = logging.getLogger(__name__)

POLL_MS = 200

D = TypeVar("D", bound=DefinitionSet)


class DefinitionSetReader(Generic[D]):
    """Keeps ``definitions`` up to date from the topic.

    One reader belongs to one event loop. ``catch_up`` gives read-your-writes: what stood on the
    topic when it was called is in force when it returns. What was acknowledged behind another's
    open transaction is waited for as well, and nobody can read it before that is resolved.
    """

    def __init__(self, settings: Settings, definitions: D) -> None:
        self.definitions = definitions
        self._partition = TopicPartition(settings.topic(DEFINITIONS), 0)
        self._consumer = consumers.consumer(
            settings,
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=250,
        )
        self._log_ends = EndOffsets(settings, "read_uncommitted")
        self._committed_ends = EndOffsets(settings)
        self._lock = asyncio.Lock()
        self.refused = 0
        """How many records of the topic were no definitions."""

    async def __aenter__(self) -> Self:
        await self._log_ends.__aenter__()
        await self._committed_ends.__aenter__()
        await self._consumer.start()
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        await self.catch_up(await self.committed_end())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()
        await self._log_ends.__aexit__(exc_type, exc, traceback)
        await self._committed_ends.__aexit__(exc_type, exc, traceback)

    def fault(self) -> str | None:
        """Return why it works no more; None where it does."""
        faults = (
            consumer_fault(self._consumer),
            self._log_ends.fault(),
            self._committed_ends.fault(),
        )
        return next((fault for fault in faults if fault is not None), None)

    async def end_offset(self) -> int:
        """Ask the broker where the topic ends now, what transactions have open included."""
        return (await self._log_ends.of([self._partition]))[self._partition]

    async def committed_end(self) -> int:
        """Ask the broker up to where the topic can be read now: before what is open."""
        return (await self._committed_ends.of([self._partition]))[self._partition]

    async def catch_up(self, end: int | None = None) -> int:
        """Apply the topic up to ``end`` (default: where it ends now); return what was reached.

        Control records take offsets too, so ``end`` is reached by position, not by a last record.
        It may take as long as a transaction is open: whoever calls it has a deadline.

        Raises:
            ClientStopped: the consumer works no more.
        """
        if end is None:
            end = await self.end_offset()
        while self.definitions.next_offset < end:
            await self.follow()
        return self.definitions.next_offset

    async def follow(self) -> None:
        """Apply what comes within 0.2 s, as soon as something does.

        Raises:
            ClientStopped: the consumer works no more.
        """
        check(self._consumer)
        async with self._lock:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS)
            for records in batches.values():
                for record in records:
                    self._apply(record.key, record.value, record.offset, record.timestamp)
            reached = int(await self._consumer.position(self._partition))
            self.definitions.next_offset = max(self.definitions.next_offset, reached)

    def _apply(self, key: bytes | None, value: bytes | None, offset: int, millis: int) -> None:
        try:
            self.definitions.apply(key, value, offset, millis)
        except DefinitionError as error:
            self.refused += 1
            logger.warning("definitions, offset %d: refused: %s", offset, error)
