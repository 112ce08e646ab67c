"""The agent: fold a chunk, write it in one transaction, then bring the store up to it."""

import asyncio
import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError

from processor import metrics
from processor.chunk_pace import ChunkPace
from processor.chunking import Chunk
from processor.context import WorkerContext
from processor.folding import Folding
from processor.transactions import Fenced

logger = logging.getLogger(__name__)

FENCED_SECONDS = 16
"""How long a fenced partition may wait for the rebalance that took it away: twice a session."""

JOINED_RECORDS = 12_000
JOINED_BYTES = 16 * 1024 * 1024
"""What is made one chunk of chunks; one alone may be larger."""


AnswerDryRuns = Callable[[Chunk, Callable[[], bool], asyncio.Lock], None]
"""Has the dry runs of a chunk answered that was folded, as long as its partition is current, in the
turns that the lock gives."""


def _nobody(_chunk: Chunk, _is_current: Callable[[], bool], _turn: asyncio.Lock) -> None:
    """Answer none."""


class GapError(RuntimeError):
    """Records were delivered, but not those before them."""


class ChunkAgent:
    """Takes chunks: those of a partition one after the other, those of several side by side.

    While one waits for the broker, another partition's is folded. What comes for a partition
    meanwhile is then taken as one chunk: the slower the broker, the fewer transactions. What nobody
    waits for is let grow besides (``processor.chunk_pace``).
    """

    def __init__(
        self, context: WorkerContext, folding: Folding, answer_dry_runs: AnswerDryRuns = _nobody
    ) -> None:
        self._context = context
        self._folding = folding
        self._answer_dry_runs = answer_dry_runs
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By partition, held while its store may change."""
        self._fenced_at: dict[int, int] = {}
        """By partition, the epoch in which it was found to be another worker's."""
        self._waiting: dict[int, list[Any]] = {}
        """By partition, the events of chunks that are not begun."""
        self._working: dict[int, asyncio.Task[None]] = {}
        """By partition, who takes its chunks; one that failed stays, and nobody follows it."""
        self._pace = ChunkPace()

    async def run(self, stream: Any) -> None:
        """Consume the stream. Any failure but a fenced partition stops the worker."""
        try:
            async for event in stream.noack().events():
                chunk: Chunk = event.value
                self._context.outstanding.arrived(chunk)
                self._waiting.setdefault(chunk.partition, []).append(event)
                self._pace.arrived(chunk)
                if chunk.partition not in self._working:
                    working = asyncio.create_task(self._work(chunk.partition))
                    self._working[chunk.partition] = working
        except Exception as error:
            logger.exception("chunks can no longer be taken")
            self._context.fail(error)
        finally:
            working_on = list(self._working.values())
            for task in working_on:
                task.cancel()
            await asyncio.gather(*working_on, return_exceptions=True)

    async def _work(self, partition: int) -> None:
        """Take a partition's chunks and acknowledge them, until none waits."""
        try:
            while partition in self._waiting:
                await self._pace.pause(partition)
                await self._deal_with(self._waiting.pop(partition))
        except Exception as error:
            logger.exception("partition %d: the chunk could not be folded", partition)
            self._context.fail(error)  # not acknowledged: the next start takes it again
        else:
            del self._working[partition]

    async def _deal_with(self, came: Sequence[Any]) -> None:
        for chunk in joined([event.value for event in came]):
            try:
                folded = await self._take(chunk)
            except Fenced as fenced:
                await self._give_up(chunk, fenced)
            else:
                if not folded:
                    _dropped(chunk)
        for event in came:
            self._context.outstanding.done(event.value)
            event.ack()

    def _is_current(self, chunk: Chunk) -> bool:
        """Tell whether a chunk may be folded: its partition has not moved, nor been fenced."""
        return (
            self._context.outstanding.is_current(chunk)
            and self._fenced_at.get(chunk.partition) != chunk.epoch
        )

    async def _take(self, chunk: Chunk) -> bool:
        """Fold and write a chunk; False where it is another's, or is read again."""
        if not await self._know_definitions(chunk) or not await self._know_keys(chunk):
            return False
        store = self._context.store[chunk.partition]
        check_nothing_left_out(chunk, store.position().offsets)
        turn = self._turns[chunk.partition]
        async with turn:
            folded = await self._fold(chunk)
        if folded and chunk.dry_runs:
            self._answer_dry_runs(chunk, lambda: self._is_current(chunk), turn)
        return folded

    async def _fold(self, chunk: Chunk) -> bool:
        return await self._folding.fold(chunk, lambda: self._is_current(chunk))

    async def _know_definitions(self, chunk: Chunk) -> bool:
        """Read the definitions on to where they ended when the chunk was fetched.

        They may stand behind a transaction that is open for minutes, so it is looked in between
        whether the chunk is still wanted: a rebalance waits for it. False where it is not.
        """
        reader = self._context.definitions
        while self._is_current(chunk):
            if reader.definitions.next_offset >= chunk.definitions:
                return True
            await reader.follow()
            self._context.outstanding.step()
            metrics.DEFINITIONS_REFUSED.set(reader.refused)
        return False

    async def _know_keys(self, chunk: Chunk) -> bool:
        """Read the keys of the partition's members on to where they ended when the chunk was
        fetched; see ``_know_definitions``.

        Raises:
            KeysUnreadable: there are keys that this worker cannot use.
        """
        reader, partition = self._context.member_keys, chunk.partition
        while self._is_current(chunk):
            if reader.reached(partition) >= chunk.keys:
                return True
            await reader.follow({partition}, partition, chunk.keys)
            self._context.outstanding.step()
        return False

    async def _give_up(self, chunk: Chunk, fenced: Fenced) -> None:
        """Drop a partition whose producer is fenced; a rebalance is to say who has it."""
        logger.warning("%s; its chunk of %d records is dropped", fenced, chunk.size)
        metrics.FENCED.inc()
        self._fenced_at[chunk.partition] = chunk.epoch
        asyncio.get_running_loop().call_later(FENCED_SECONDS, self._must_have_moved, chunk.epoch)
        try:
            await self._context.producers.discard(chunk.partition)
        except KafkaError as error:  # a producer that is fenced may say so once more as it closes
            logger.warning("partition %d: its producer was fenced: %s", chunk.partition, error)

    def _must_have_moved(self, epoch: int) -> None:
        if self._context.outstanding.epoch == epoch:
            self._context.fail(
                RuntimeError(
                    "fenced, and no rebalance came: the group does not answer, transactions take "
                    "longer than their time limit however small they are, or another worker runs "
                    "with the same application id outside of the group"
                )
            )


def check_nothing_left_out(chunk: Chunk, folded: Mapping[str, int]) -> None:
    """See that a chunk goes on where its partition was folded up to (by topic, exclusive).

    Raises:
        GapError: records between were never folded, and would lie below the position from now on.
    """
    reached = dict(folded)
    for topic, records, start, _ in chunk.stretches:
        if start > reached.get(topic, 0):
            raise GapError(
                f"{topic}, partition {chunk.partition}: records came from offset {start} on, but "
                f"were folded up to {reached.get(topic, 0)} only; stopping, so that recovery reads "
                "what lies between"
            )
        reached[topic] = records[-1].offset + 1


def joined(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Make one of the chunks of a partition that follow one seek, in their order, within bounds."""
    made: list[Chunk] = []
    records = weight = 0
    for chunk in chunks:
        records, weight = records + chunk.size, weight + chunk.bytes
        last = made[-1] if made else None
        if (
            last is not None
            and last.epoch == chunk.epoch
            and records <= JOINED_RECORDS
            and weight <= JOINED_BYTES
        ):
            last.stretches.extend(chunk.stretches)
            last.dry_runs = [*last.dry_runs, *chunk.dry_runs]
            last.definitions = max(last.definitions, chunk.definitions)
            last.keys = max(last.keys, chunk.keys)
        else:
            made.append(dataclasses.replace(chunk, stretches=[*chunk.stretches]))
            records, weight = chunk.size, chunk.bytes
    return made


def _dropped(chunk: Chunk) -> None:
    metrics.DROPPED.inc(chunk.size)
    logger.info(
        "partition %d: %d records are given up as it moved, and fetched again",
        chunk.partition,
        chunk.size,
    )
