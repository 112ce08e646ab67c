"""A Kafka cluster in memory: partitions with offsets, transactions, and what a group committed.

Everything here happens at once, at the moment when a request arrives; `tests.simulation.wire` says
when that is. The markers of a transaction are written some time after its commit was answered, as
a real coordinator does.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from tests.simulation.clock import Choices

BEGINNING_MILLIS = 1_795_000_000_000
"""When the virtual time is 0: in November 2026."""
MARKER_SECONDS = (0.0, 0.0, 0.002, 0.05, 0.3)
"""How long after the commit the marker of one partition may be written."""

Headers = Sequence[tuple[str, bytes | None]]


class Sent(NamedTuple):
    """A record before it has a place."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction of one producer."""

    committed: bool | None = None
    """None while it is open."""
    logs: list["Log"] = field(default_factory=list)
    unmarked: int = 0
    """How many partitions still wait for its marker."""


@dataclass(slots=True)
class Entry:
    """A record with its place, as the Kafka client gives it, or a marker."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transaction: Transaction | None = None
    marker: bool = False

    @property
    def counts(self) -> bool:
        """Whether a read_committed reader that may pass it is given it."""
        if self.marker:
            return False
        return self.transaction is None or self.transaction.committed is True


class Log:
    """One partition of a topic."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._open: dict[Transaction, int] = {}
        """Transactions without a marker here, and where they began."""

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return len(self.entries)

    @property
    def stable(self) -> int:
        """The last stable offset: where the first transaction begins that is not over."""
        return min(self._open.values(), default=self.end)

    def append(
        self, sent: Sequence[Sent], millis: int, transaction: Transaction | None = None
    ) -> int:
        """Append records; return the offset of the first."""
        first = self.end
        for number, (key, value, headers) in enumerate(sent):
            self.entries.append(Entry(first + number, millis, key, value, headers, transaction))
        if transaction is not None and transaction not in self._open:
            self._open[transaction] = first
            transaction.logs.append(self)
        return first

    def mark(self, transaction: Transaction, millis: int) -> None:
        """Write the marker of a transaction that is over."""
        self.entries.append(Entry(self.end, millis, None, None, (), transaction, marker=True))
        del self._open[transaction]

    def committed(self, first: int, end: int) -> list[Entry]:
        """Return the records that a read_committed reader is given of [first, end)."""
        return [entry for entry in self.entries[first : min(end, self.stable)] if entry.counts]


@dataclass(slots=True)
class _Producer:
    epoch: int = -1
    transaction: Transaction | None = None
    unmarked: Transaction | None = None
    """The transaction before, while its markers are not all written."""
    committed_epoch: int = -1
    """The epoch in which its last transaction was committed, by itself."""
    written: dict[TopicPartition, tuple[int, int, int, int]] = field(default_factory=dict)
    """By partition: epoch, number and count of the last batch, and its offset."""


class Busy(Exception):
    """The markers of the producer's last transaction are not written yet: ask again."""


class OutOfOrder(Exception):
    """A batch's number does not follow the one before it."""


class Cluster:
    """All topics, made at their first use, and the coordinators of groups and transactions.

    With ``kip_890``, each transaction of a producer has an epoch of its own.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, choices: Choices, *, kip_890: bool = True
    ) -> None:
        self.kip_890 = kip_890
        self._loop = loop
        self._choices = choices
        self.logs: dict[TopicPartition, Log] = defaultdict(Log)
        self.group_offsets: dict[tuple[str, TopicPartition], int] = {}
        self._producers: dict[str, _Producer] = defaultdict(_Producer)
        self._watching: list[asyncio.Event] = []

    def changes(self) -> asyncio.Event:
        """Return an event that is set whenever a reader may find more."""
        self._watching.append(event := asyncio.Event())
        return event

    def _changed(self) -> None:
        for event in self._watching:
            event.set()

    @property
    def millis(self) -> int:
        """What a broker's clock says."""
        return BEGINNING_MILLIS + round(self._loop.time() * 1000)

    def append(self, place: TopicPartition, sent: Sequence[Sent]) -> int:
        """Write records outside of any transaction; return the offset of the first."""
        self._changed()
        return self.logs[place].append(sent, self.millis)

    # What a transactional producer asks for; ``epoch`` is what ``init`` gave it.

    def init(self, transactional_id: str) -> int:
        """Fence earlier producers of this id, and abort what they have open.

        Raises:
            Busy: markers of the last transaction are still to be written.
        """
        producer = self._producers[transactional_id]
        if producer.transaction is not None:
            producer.epoch += 1  # whoever had it open is fenced from here on
            self._finish(producer, committed=False)
        if producer.unmarked is not None:
            raise Busy
        producer.epoch += 1
        producer.committed_epoch = -1
        return producer.epoch

    def begin(self, transactional_id: str, epoch: int, timeout: float) -> None:
        """Open a transaction; it is aborted, and its producer fenced, after its time limit."""
        producer = self._of(transactional_id, epoch)
        if producer.transaction is None:
            producer.transaction = opened = Transaction()
            self._loop.call_later(timeout, self._expire, producer, opened)

    def add(
        self, transactional_id: str, epoch: int, place: TopicPartition, sent: Sequence[Sent]
    ) -> int:
        """Append records in the open transaction; return the offset of the first."""
        transaction = self._of(transactional_id, epoch).transaction
        assert transaction is not None, "no transaction is open"
        return self.logs[place].append(sent, self.millis, transaction)

    def add_numbered(
        self,
        transactional_id: str,
        epoch: int,
        number: int,
        place: TopicPartition,
        sent: Sequence[Sent],
    ) -> int:
        """Append a batch, once however often it comes; return the offset of its first record.

        Raises:
            OutOfOrder: ``number``, its first record's, does not follow.
        """
        producer = self._of(transactional_id, epoch)
        last_epoch, last, count, offset = producer.written.get(place, (-1, 0, 0, 0))
        if (epoch, number) == (last_epoch, last):
            return offset
        if number != (last + count if epoch == last_epoch else 0):
            raise OutOfOrder
        offset = self.add(transactional_id, epoch, place, sent)
        producer.written[place] = epoch, number, len(sent), offset
        return offset

    def finish(self, transactional_id: str, epoch: int, *, committed: bool) -> int:
        """Commit or abort the open transaction, once however often it is asked for; return the
        epoch of the next one."""
        producer = self._producers[transactional_id]
        if committed and producer.transaction is None and producer.committed_epoch == epoch:
            if producer.unmarked is not None:
                raise Busy
            return producer.epoch
        self._of(transactional_id, epoch)
        assert producer.transaction is not None, "no transaction is open"
        if committed:
            producer.committed_epoch = epoch
        producer.epoch += self.kip_890
        self._finish(producer, committed=committed)
        return producer.epoch

    def _of(self, transactional_id: str, epoch: int) -> _Producer:
        producer = self._producers[transactional_id]
        if producer.epoch != epoch:
            raise ProducerFenced
        if producer.unmarked is not None:
            raise Busy
        return producer

    def _expire(self, producer: _Producer, opened: Transaction) -> None:
        if producer.transaction is opened:
            producer.epoch += 1
            self._finish(producer, committed=False)

    def _finish(self, producer: _Producer, *, committed: bool) -> None:
        transaction, producer.transaction = producer.transaction, None
        assert transaction is not None
        transaction.committed = committed
        transaction.unmarked = len(transaction.logs)
        producer.unmarked = transaction if transaction.logs else None
        for log in transaction.logs:
            self._soon(self._mark, producer, transaction, log)

    def _soon(self, mark: object, *args: object) -> None:
        seconds = self._choices.one_of(MARKER_SECONDS)
        if seconds:
            self._loop.call_later(seconds, mark, *args)  # type: ignore[arg-type]
        else:
            self._mark(*args)  # type: ignore[arg-type]

    def _mark(self, producer: _Producer, transaction: Transaction, log: Log) -> None:
        log.mark(transaction, self.millis)
        self._changed()
        transaction.unmarked -= 1
        if not transaction.unmarked:
            producer.unmarked = None
