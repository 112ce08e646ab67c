"""What stands in for aiokafka's producer and its consumer without a group.

Only what production code calls is here, with the meaning that aiokafka 0.14 gives it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.broker import Busy, Entry, Headers, Sent
from tests.simulation.wire import RETRY_SECONDS, WIRE, Wire

HAND_OUT = (None, None, None, 1, 2, 5)
"""How many offsets a fetch may pass; None: all there are."""


class Batch:
    """Records that go to the broker together; what stands in for aiokafka's ``BatchBuilder``."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.sent: list[Sent] = []

    def append(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None,
        headers: Headers = (),
    ) -> object:
        """Add a record; there is always room."""
        assert timestamp is None
        self.sent.append(Sent(key, value, tuple(headers)))
        return self

    def record_count(self) -> int:
        """How many records it holds."""
        return len(self.sent)


class Producer:
    """A producer; transactional where it has a ``transactional_id``."""

    def __init__(
        self,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = 60_000,
        **_: Any,
    ) -> None:
        self._wire = WIRE.get()
        self._id = transactional_id or ""
        self._timeout = transaction_timeout_ms / 1000
        self._epoch = -1
        self._opened = False
        # As in aiokafka: production code guards the request that fences.
        self._sender = SimpleNamespace(_do_init_pid=self._init, sender_task=None)

    async def start(self) -> None:
        """Fence earlier producers of the same id."""
        if self._id:
            taken = False
            while not taken:
                await asyncio.sleep(RETRY_SECONDS)
                taken = await self._sender._do_init_pid(0)

    async def _init(self, _: int) -> bool:
        """Ask for an epoch once; False where it is to be asked for again."""
        try:
            self._epoch = await self._wire.ask(lambda: self._cluster.init(self._id))
        except Busy:
            return False
        return True

    async def stop(self) -> None:
        """Say nothing to the broker, as aiokafka: what is open stays so until it is fenced."""
        await self._wire.alive()

    @property
    def _cluster(self) -> Any:
        return self._wire.cluster

    async def begin_transaction(self) -> None:
        """Only remember it; the broker is told with the first request."""
        await self._wire.alive()
        self._opened = False

    async def _open(self) -> None:
        if not self._opened:
            await self._wire.call(lambda: self._cluster.begin(self._id, self._epoch, self._timeout))
            self._opened = True

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Send a batch; the future ends when the broker has it."""
        return asyncio.ensure_future(self._deliver(batch, TopicPartition(topic, partition)))

    async def _deliver(self, batch: Batch, place: TopicPartition) -> Any:
        await self._open()
        first = await self._wire.call(
            lambda: self._cluster.add(self._id, self._epoch, place, batch.sent),
        )
        return SimpleNamespace(offset=first)

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, int], group: str
    ) -> None:
        """Commit a group's offsets with the transaction."""
        await self._open()
        await self._wire.call(
            lambda: self._cluster.add_offsets(self._id, self._epoch, group, dict(offsets))
        )

    async def commit_transaction(self) -> None:
        """Commit; the markers may be written later."""
        await self._finish(committed=True)

    async def abort_transaction(self) -> None:
        """Abort."""
        await self._finish(committed=False)

    async def _finish(self, *, committed: bool) -> None:
        if self._opened:
            self._opened = False
            await self._wire.call(
                lambda: self._cluster.finish(self._id, self._epoch, committed=committed)
            )


class Consumer:
    """A consumer of assigned partitions, without a group."""

    def __init__(self, *_: Any, isolation_level: str = "read_uncommitted", **__: Any) -> None:
        self._wire = WIRE.get()
        self._stable = isolation_level == "read_committed"
        self._positions: dict[TopicPartition, int] = {}
        # What is looked at for a fault: nothing here runs in the background.
        self._coordinator = self._fetcher = None
        self._client = SimpleNamespace(_sync_task=None)

    async def start(self) -> None:
        """Connect."""
        await self._wire.alive()

    async def stop(self) -> None:
        """Disconnect."""

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Read these from their beginning, until it is sought elsewhere."""
        self._positions = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from an offset."""
        self._positions[partition] = offset

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Read on from the beginning."""
        self._positions.update(dict.fromkeys(partitions, 0))

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset that is read next."""
        await self._wire.alive()
        return self._positions[partition]

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int = 0,
        max_records: int | None = None,
    ) -> Mapping[TopicPartition, Sequence[Entry]]:
        """Return what is there, or nothing after the time-out."""
        wanted = partitions or tuple(self._positions)
        found = await self._wire.call(lambda: self._hand_out(wanted, max_records))
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
        return found

    def _hand_out(
        self, wanted: Collection[TopicPartition], most: int | None
    ) -> dict[TopicPartition, Sequence[Entry]]:
        found: dict[TopicPartition, Sequence[Entry]] = {}
        for place in wanted:
            records, self._positions[place] = hand_out(
                self._wire, place, self._positions[place], most
            )
            if records:
                found[place] = records
        return found

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return where partitions end, as this consumer sees it."""
        logs = self._wire.cluster.logs

        def ends() -> dict[TopicPartition, int]:
            return {p: logs[p].stable if self._stable else logs[p].end for p in partitions}

        return await self._wire.call(ends)

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return where partitions begin: nothing is ever removed."""
        return await self._wire.call(lambda: dict.fromkeys(partitions, 0))

    async def offsets_for_times(
        self, times: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Any]:
        """Return where each partition has its first record that is not older."""
        logs = self._wire.cluster.logs

        def found() -> dict[TopicPartition, Any]:
            return {
                place: next((e for e in logs[place].entries if e.timestamp >= millis), None)
                for place, millis in times.items()
            }

        return await self._wire.call(found)


def hand_out(
    wire: Wire, place: TopicPartition, position: int, most: int | None
) -> tuple[list[Entry], int]:
    """Read committed records of a partition from a position on; return also the next position.

    A position passes markers and aborted records, for which nothing is given.
    """
    log = wire.cluster.logs[place]
    end = log.stable
    if position >= end:
        return [], position
    chosen = wire.choices.one_of(HAND_OUT)
    limits = [end, *(position + n for n in (chosen, most) if n is not None)]
    reached = min(limits)
    return log.committed(position, reached), reached
