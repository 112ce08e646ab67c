"""Folding a chunk and writing it, piece by piece, whatever happens to a piece.

What a piece may meet: its transaction is fenced, because it outlived its time or because another
worker has the partition; it cannot be folded, or not be written, because of what is in it; the
broker or the disk fails. The first two are tried again in smaller pieces; the last stops the
worker, and is never a reason to give up a record.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from processor import metrics
from processor.chunking import Chunk
from processor.context import WorkerContext
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects, Output
from processor.domain.fold import Part, fold_chunk
from processor.domain.inputs import Place
from processor.domain.state_kinds import member_key
from processor.journal import Journal
from processor.move_pace import MovePace
from processor.open_transactions import OpenTransactions
from processor.pieces import Pace, Pieces, Rest, size
from processor.reading import Reading, keys_on_disk
from processor.store import PartitionStore, StoreError, erased
from processor.transactions import Fenced, PartitionProducer, RecordTooLarge, Superseded
from schemas.topics import MEMBER_KEYS
from schemas.tracing import traced

logger = logging.getLogger(__name__)

MAX_TAKEN_BACK = 12
"""How often in a row a partition may be taken back without anything of it written: a piece of
12,000 records comes down to one in seven steps."""

OF_RECORDS = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLarge,
    UnicodeError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What writing raises because of what is to be written. All else may be the broker's, the network's
or the client's fault."""


class TakeBack(Protocol):
    """`recovery.take_back`: fence a partition again, and restore its store."""

    def __call__(
        self, context: WorkerContext, partition: int, is_current: Callable[[], bool], /
    ) -> Awaitable[None]: ...


class _Failed(Exception):
    """A piece could not be folded or written because of what is in it; see its cause."""

    def __init__(self, cause: BaseException, *, writing: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.writing = writing
        """Whether a transaction is left open."""


class Folding:
    """Folds the chunks of all partitions that this worker has."""

    def __init__(
        self, context: WorkerContext, take_back: TakeBack, is_member: Callable[[], Awaitable[bool]]
    ) -> None:
        """``is_member`` asks the group whether this worker has its partitions still."""
        self._context = context
        self._take_back = take_back
        self._is_member = is_member
        self._open = OpenTransactions()
        self._pace = Pace()
        self._move_pace = MovePace(time.monotonic)
        self._pieces: dict[int, Pieces] = {}
        self._taken_back: dict[int, int] = {}

    async def fold(self, chunk: Chunk, is_current: Callable[[], bool]) -> bool:
        """Fold and write a chunk; False where its partition moved, and the rest is read again.

        Raises:
            Fenced: another worker has the partition, or nothing can be written of it.
            Exception: the broker or the disk failed, or a record cannot even be a dead letter.
        """
        partition = chunk.partition
        pieces = self._pieces_of(partition)
        rest = Rest([Part(stretch.topic, stretch.records) for stretch in chunk.stretches])
        while piece := rest.first(min(pieces.limit, self._pace.limit)):
            if not is_current():
                return False
            try:
                effects = await self._fold_and_write(partition, pieces, piece, is_current)
            except _Failed as failed:
                if not pieces.failed(piece, failed.cause):
                    raise failed.cause from None
                if failed.writing and not await self._again(partition, is_current):
                    return False
                continue
            except Fenced as fenced:
                if not is_current():
                    return False
                if not await self._is_ours_still(partition):
                    raise
                logger.warning("%s, but the group gave it to nobody else", fenced)
                pieces.took_too_long(piece)
                if not await self._again(partition, is_current):
                    return False
                continue
            if effects is None:
                return False
            self._taken_back[partition] = 0
            self._context.outstanding.step()
            if effects.complete:
                rest.pass_over(size(piece))
                pieces.done(piece, roomy=effects.size * 2 < MAX_OUTPUT_BYTES)
            else:
                pieces.cut(effects.counts["folded"])
                rest.pass_folded(self._context.store[partition].position().offsets)
        return True

    def _pieces_of(self, partition: int) -> Pieces:
        pieces = self._pieces.get(partition)
        if pieces is None:
            store = self._context.store
            journal = Journal(store.directory, partition)
            pieces = Pieces(journal, store[partition].position().offsets)
            self._pieces[partition] = pieces
        return pieces

    async def _fold_and_write(
        self,
        partition: int,
        pieces: Pieces,
        piece: Sequence[Part],
        is_current: Callable[[], bool],
    ) -> Effects | None:
        """Fold and write one piece; None where the partition moved or was taken over meanwhile."""
        context = self._context
        async with self._open.turn():
            if not is_current():  # a turn may take long to come
                return None
            store = context.store[partition]
            started = time.perf_counter()
            effects = self._fold(partition, store, pieces, piece)
            folded = time.perf_counter()
            self._pace.folded(size(piece), folded - started)
            if effects.writes:
                producer = context.producers[partition]
                removed = self._removed_keys(partition, effects)
                async with self._open.writing(effects.size):
                    end = await self._write(producer, effects, partition, piece)
                if not self._has(partition, producer):
                    return None  # recovery reads it from the changelog
                effects.writes.update(erased(map(member_key, effects.forgotten)))
                store.apply(effects.writes, end)
                if effects.forgotten:
                    context.member_keys.remove(partition, removed)
                    context.erasing.soon(store)
            for fault in effects.take_faults():
                logger.error(
                    "partition %d: what waited or was due could not be folded, and is given up",
                    partition,
                    exc_info=fault,
                )
            ended = time.perf_counter()
            self._go_on(partition, piece, effects, ended - started)
            _count(effects, folded - started, ended - folded)
            return effects

    async def _write(
        self, producer: PartitionProducer, effects: Effects, partition: int, piece: Sequence[Part]
    ) -> int:
        tracing = self._context.tracing
        if tracing is None:
            return await _written(producer.write(effects))
        places = (place for part in piece for place in traced(part.topic, partition, part.records))
        with tracing.working_at("fold", places) as spans:
            return await _written(producer.write(effects, spans.by_key))

    def _removed_keys(self, partition: int, effects: Effects) -> Sequence[bytes]:
        """Have the keys of members who are forgotten removed in the same transaction; return what
        their records are named on the topic."""
        keys = self._context.member_keys
        forgotten = effects.forgotten.items()
        removed = [p for who, end in forgotten for p in keys.places_of(partition, who, end)]
        if removed:
            effects.outputs[MEMBER_KEYS] = [Output(place, b"") for place in removed]
        return removed

    def _go_on(
        self, partition: int, piece: Sequence[Part], effects: Effects, seconds: float
    ) -> None:
        """Have a tick come for what a piece left to be done; it took so many seconds."""
        self._move_pace.done(piece, effects.counts["clock_dues"], seconds)
        if effects.more_due:
            self._context.ticker.soon([partition])
        elif effects.more_moves:
            self._context.ticker.soon([partition], self._move_pace.pause())

    def _fold(
        self, partition: int, store: PartitionStore, pieces: Pieces, piece: Sequence[Part]
    ) -> Effects:
        context = self._context
        place = Place(partition, context.settings.partitions, context.reply_partitions)
        reading = Reading(store)
        pieces.begin(piece)
        try:
            return fold_chunk(
                place,
                piece,
                context.definitions.definitions,
                reading.load,
                reading.scan,
                poisoned=pieces.poisoned(piece),
                keys=keys_on_disk(context.member_keys.of(partition)),
            )
        except StoreError:
            raise
        except Exception as error:
            raise _Failed(error, writing=False) from error
        finally:
            pieces.folded()

    async def _is_ours_still(self, partition: int) -> bool:
        """Tell whether a partition may be taken back that was fenced.

        The group is asked: only who has missed nothing of it may fence others.
        """
        return self._taken_back.get(partition, 0) < MAX_TAKEN_BACK and await self._is_member()

    async def _again(self, partition: int, is_current: Callable[[], bool]) -> bool:
        """Take a partition back and abort what is open of it; False where it moved meanwhile."""
        self._taken_back[partition] = self._taken_back.get(partition, 0) + 1
        metrics.TAKEN_BACK.inc()
        try:
            await self._take_back(self._context, partition, is_current)
        except Superseded as superseded:
            logger.info("partition %d is not taken back: %s", partition, superseded)
            return False
        return is_current()

    def _has(self, partition: int, producer: PartitionProducer) -> bool:
        producers = self._context.producers
        return partition in producers.partitions and producers[partition] is producer


async def _written(writing: Awaitable[int]) -> int:
    try:
        return await writing
    except OF_RECORDS as error:
        raise _Failed(error, writing=True) from error


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
