"""The agent: fold a chunk, write it in one transaction, then bring the store up to it."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiokafka.errors import KafkaError

from processor import metrics
from processor.domain.effects import Effects
from processor.domain.fold import Part, fold_chunk
from processor.domain.inputs import Place
from processor.gathering import Chunk
from processor.shell import Shell
from processor.transactions import Fenced

logger = logging.getLogger(__name__)

FENCED_SECONDS = 16
"""How long a fenced partition may wait for the rebalance that took it away: twice a session."""


class ChunkAgent:
    """Takes chunks: those of a partition one after the other, those of several side by side.

    While one waits for the broker, another partition's is folded. What comes for a partition
    meanwhile is then taken as one chunk: the slower the broker, the fewer transactions.
    """

    def __init__(self, app: Any, shell: Shell) -> None:
        self._app = app
        self._shell = shell
        self._fenced_at: dict[int, int] = {}
        self._waiting: dict[int, list[tuple[int, Any]]] = {}
        """By partition, the events of chunks that are not begun, and how often all were given up
        before they came."""
        self._working: dict[int, asyncio.Task[None]] = {}
        """By partition, who takes its chunks; one that failed stays, and nobody follows it."""

    async def run(self, stream: Any) -> None:
        """Consume the stream. Any failure but a fenced partition stops the worker."""
        try:
            async for event in stream.noack().events():
                chunk: Chunk = event.value
                await self._follow_definitions(chunk)
                came = self._shell.outstanding.emptied, event
                self._waiting.setdefault(chunk.partition, []).append(came)
                if chunk.partition not in self._working:
                    working = asyncio.create_task(self._work(chunk.partition))
                    self._working[chunk.partition] = working
        except Exception as error:
            logger.exception("chunks can no longer be taken")
            self._shell.fail(error)
        finally:
            working_on = list(self._working.values())
            for task in working_on:
                task.cancel()
            await asyncio.gather(*working_on, return_exceptions=True)

    async def _follow_definitions(self, chunk: Chunk) -> None:
        """Read the definitions on to where they ended when the chunk was fetched."""
        reader = self._shell.definitions
        if reader.definitions.next_offset < chunk.definitions:
            await reader.catch_up(chunk.definitions)
            metrics.DEFINITIONS_REFUSED.set(reader.refused)

    async def _work(self, partition: int) -> None:
        """Take a partition's chunks and acknowledge them, until none waits."""
        try:
            while came := self._waiting.pop(partition, None):
                await self._deal_with(came)
        except Exception as error:
            logger.exception("partition %d: the chunk could not be folded", partition)
            self._shell.fail(error)  # not acknowledged: the next start takes it again
        else:
            del self._working[partition]

    async def _deal_with(self, came: Sequence[tuple[int, Any]]) -> None:
        outstanding = self._shell.outstanding
        kept = [event for emptied, event in came if emptied == outstanding.emptied]
        for chunk in joined([event.value for event in kept]):
            try:
                await self._take(chunk)
            except Fenced as fenced:
                await self._give_up(chunk, fenced)
        for emptied, event in came:
            if emptied == outstanding.emptied:
                outstanding.done(event.value.size)
            event.ack()

    async def _take(self, chunk: Chunk) -> None:
        generation = self._app.consumer_generation_id
        if chunk.generation != generation or self._fenced_at.get(chunk.partition) == generation:
            return  # of an assignment that is over; its next owner reads it again
        shell = self._shell
        store = shell.store[chunk.partition]
        place = Place(chunk.partition, shell.settings.partitions, shell.reply_partitions)
        parts = chunk.parts
        while parts:
            started = time.perf_counter()
            effects = fold_chunk(
                place, parts, shell.definitions.definitions, store.load, store.scan
            )
            folded = time.perf_counter()
            if effects.writes:
                end = await shell.producers[chunk.partition].write(effects)
                store.apply(effects.writes, end)
            if effects.more_due:
                shell.ticker.soon([chunk.partition])
            _count(effects, folded - started, time.perf_counter() - folded)
            parts = [] if effects.complete else [_rest(part, effects.offsets) for part in parts]

    async def _give_up(self, chunk: Chunk, fenced: Fenced) -> None:
        """Drop a partition that has another owner, and expect the rebalance that says so."""
        logger.warning("%s; its chunk of %d records is dropped", fenced, chunk.size)
        metrics.FENCED.inc()
        generation = self._app.consumer_generation_id
        self._fenced_at[chunk.partition] = generation
        asyncio.get_running_loop().call_later(FENCED_SECONDS, self._must_have_moved, generation)
        try:
            await self._shell.producers.discard(chunk.partition)
        except KafkaError as error:  # a producer that is fenced may say so once more as it closes
            logger.warning("partition %d: its producer was fenced: %s", chunk.partition, error)

    def _must_have_moved(self, generation: int) -> None:
        if self._app.consumer_generation_id == generation:
            self._shell.fail(
                RuntimeError(
                    "fenced, and no rebalance came: a transaction took longer than its time limit, "
                    "or another worker runs with the same application id outside of the group"
                )
            )


def joined(chunks: Sequence[Chunk]) -> Iterable[Chunk]:
    """Make one of all chunks of a partition that one assignment brought, in their order."""
    for generation, alike in groupby(chunks, key=lambda chunk: chunk.generation):
        together = list(alike)
        yield Chunk(
            together[0].partition,
            [part for chunk in together for part in chunk.parts],
            generation,
            max(chunk.definitions for chunk in together),
        )


def _rest(part: Part, folded: Mapping[str, int]) -> Part:
    """Return what is left of a part after ``folded`` of its topic."""
    after = folded.get(part.topic, 0)
    return Part(part.topic, [record for record in part.records if record.offset >= after])


def _count(effects: Effects, fold_seconds: float, commit_seconds: float) -> None:
    metrics.CHUNK_RECORDS.observe(effects.counts["folded"])
    metrics.FOLD_SECONDS.observe(fold_seconds)
    metrics.COMMIT_SECONDS.observe(commit_seconds)
    for name, number in effects.counts.items():
        if name == "folded":
            metrics.FOLDED.inc(number)
        elif name.startswith("dead_letter:"):
            metrics.DEAD_LETTERS.labels(name.partition(":")[2]).inc(number)
        else:
            metrics.OUTCOMES.labels(name).inc(number)
