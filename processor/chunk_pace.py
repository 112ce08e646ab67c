"""When a partition's next chunk begins: small ones that nobody waits for are let grow.

A chunk is a transaction, and costs broker, worker and projector some milliseconds together, however
little is in it. At a thousand records a second that was most of what two cores did, and who waited
for an answer queued behind it. So a chunk begins a while after the one before, unless somebody
waits for an answer, time is to move, or it has grown enough.
"""

import asyncio
from collections import defaultdict

from processor.chunking import Chunk
from schemas.replies import REPLY_TOPIC
from schemas.topics import TICKS

APART_SECONDS = 0.05
"""How long after a partition's last chunk the next one begins that nobody waits for."""
GROWN_RECORDS = 100
"""So many are enough: most of what they cost is their fold."""


class ChunkPace:
    """The pace of a worker's partitions."""

    def __init__(self) -> None:
        self._begun_at: dict[int, float] = {}
        """By partition, when its last chunk began."""
        self._records: dict[int, int] = defaultdict(int)
        """By partition, how many records wait."""
        self._due: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        """By partition, that what waits is to begin."""

    def arrived(self, chunk: Chunk) -> None:
        """Learn of a chunk that waits from now on."""
        self._records[chunk.partition] += chunk.size
        if self._records[chunk.partition] >= GROWN_RECORDS or _is_awaited(chunk):
            self._due[chunk.partition].set()

    async def pause(self, partition: int) -> None:
        """Wait until all that waits of a partition is to begin; it does at the return."""
        now = asyncio.get_running_loop().time
        last = self._begun_at.get(partition)
        if last is not None and now() < last + APART_SECONDS:
            try:
                async with asyncio.timeout_at(last + APART_SECONDS):
                    await self._due[partition].wait()
            except TimeoutError:
                pass  # it had time enough to grow
        self._begun_at[partition] = now()
        self._records[partition] = 0
        self._due[partition].clear()


def _is_awaited(chunk: Chunk) -> bool:
    """Tell whether somebody waits for what comes of a chunk, or for time."""
    return bool(chunk.dry_runs) or any(
        stretch.topic == TICKS
        or any(name == REPLY_TOPIC for record in stretch.records for name, _ in record.headers)
        for stretch in chunk.stretches
    )
