"""A transaction's requests, what their answers mean, and what may be sent again.

Where the cluster has KIP-890 (``transaction.version`` 2), a transaction is Produce and EndTxn: the
first adds its partitions itself, the second answers with the epoch of the next transaction. A late
write of an earlier transaction has an earlier epoch, and is refused. Elsewhere AddPartitionsToTxn
goes first, and records are numbered on and on.

What was not answered is sent again. That is safe for each request: a batch has numbers by which the
broker knows it, and adding partitions, committing and taking the id do nothing a second time.
Nothing here has a deadline of its own: whoever calls sets one.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest

from processor.transactions.batches import LARGE_BYTES, Batch
from processor.transactions.brokers import Brokers
from processor.transactions.errors import Fenced, RecordTooLarge
from processor.transactions.requests import (
    Commit,
    CommitAndRenew,
    InitProducerId,
    ProduceInTransaction,
)

TRANSACTION_TIMEOUT_MS = 10_000
"""A frozen worker's open transaction holds up every read_committed reader for so long."""
REQUEST_BYTES = 16 * 1024 * 1024
"""What one Produce carries; one batch alone may be larger. Brokers take 100 MB."""

MARKERS_SECONDS = 0.0015
"""When to ask again where the markers of the transaction before are still to be written."""
SOON_SECONDS = 0.05
"""When to ask again where a broker or a coordinator went away, or is about to come."""
PATIENCE = 8
"""Each further wait of a kind is twice as long as the last, up to so many times the first."""

_NUMBERS = 2**31
"""The records of one producer and partition are numbered modulo this."""

_CONCURRENT_TRANSACTIONS = 51
_AGAIN = frozenset({7, 19, 20})
"""REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS_AFTER_APPEND."""
_COORDINATOR_MOVED = frozenset({14, 15, 16})
"""COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR."""
_LEADER_MOVED = frozenset({3, 5, 6, 8, 9, 13, 56, 74, 75})
"""UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE,
REPLICA_NOT_AVAILABLE, NETWORK_EXCEPTION, KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH,
UNKNOWN_LEADER_EPOCH."""
_FENCED = frozenset({47, 48, 49, 90, 120})
"""INVALID_PRODUCER_EPOCH; INVALID_TXN_STATE, where the broker aborted a transaction that outlived
its time; INVALID_PRODUCER_ID_MAPPING, where the other owner used up the epochs; PRODUCER_FENCED;
TRANSACTION_ABORTABLE. Whatever became of the transaction: who takes the id again aborts what is
open, and reads what was committed."""
_TOO_LARGE = frozenset({10, 18})
"""MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE."""


class _Lane:
    """One partition's batches: they go one after the other, and the next is made meanwhile."""

    def __init__(
        self,
        place: TopicPartition,
        batches: Sequence[Batch],
        producer: tuple[int, int],
        number: int,
    ) -> None:
        """``producer`` is its id and epoch, ``number`` that of the first record."""
        self.place = place
        self.number = number
        """That of the first record which is in no batch that was made ready."""
        self.end = -1
        """The offset after the last record that was written."""
        self._producer = producer
        self._unready = deque(batches)
        self._ready: deque[tuple[bytes, int]] = deque()

    @property
    def first(self) -> bytes:
        """The batch that is sent next; there must be one that is ready."""
        return self._ready[0][0]

    @property
    def is_done(self) -> bool:
        """Whether all was written."""
        return not self._unready and not self._ready

    def lacks(self, ahead: int) -> bool:
        """Whether there is a batch to make, for so many to be ready."""
        return bool(self._unready) and len(self._ready) < ahead

    @property
    def is_large(self) -> bool:
        """Whether to make the next batch on a thread."""
        return self._unready[0].size >= LARGE_BYTES

    def make(self) -> None:
        """Make the next batch ready to be sent."""
        batch = self._unready.popleft()
        built = batch.build(*self._producer, self.number)
        self.number = (self.number + batch.count) % _NUMBERS
        self._ready.append((built, batch.count))

    def delivered(self, offset: int) -> None:
        """Take the first batch for written; ``offset`` is its first record's."""
        self.end = offset + self._ready.popleft()[1]


class TransactionWriter:
    """Writes the transactions of one transactional id, one after the other.

    After a failure nothing more can be written: the id is to be taken anew, by another writer.
    """

    def __init__(self, brokers: Brokers, transactional_id: str) -> None:
        self._brokers = brokers
        self._id = transactional_id
        self._producer_id = self._epoch = -1
        self._renews = False
        """Whether each transaction has its own epoch (KIP-890)."""
        self._numbers: dict[TopicPartition, int] = defaultdict(int)
        """By partition, the number of the next record."""
        self._pauses: dict[float, float] = {}
        """Seconds of the last wait of each kind in this transaction, by those of the first."""
        self._clean = False
        """Whether nothing is open, so that a transaction may begin."""

    async def fence(self, check: Callable[[], None]) -> None:
        """Take the transactional id: earlier owners are fenced, and what they have open is aborted.

        ``check`` is called directly before each request that does so, and may raise.

        Raises:
            KafkaError: the broker refuses.
        """
        await self._brokers.connect()
        self._renews = await self._has_kip_890()
        request = InitProducerId(self._id, TRANSACTION_TIMEOUT_MS)
        self._take(await self._coordinated(request, _of_request, check))
        self._clean = True

    async def _has_kip_890(self) -> bool:
        while True:
            try:
                return await self._brokers.have_kip_890()
            except KafkaError as error:
                if not error.retriable:
                    raise
                await self._rest(SOON_SECONDS)

    async def write(
        self, batches: Mapping[TopicPartition, Sequence[Batch]]
    ) -> Mapping[TopicPartition, int]:
        """Write batches in one transaction; return by partition the offset after the last record.

        Raises:
            Fenced: another has the id, or the broker ended the transaction.
            RecordTooLarge: a topic does not take a batch; nothing is committed.
            KafkaError: anything else; whether it was committed is unknown.
        """
        if not self._clean:
            raise RuntimeError(f"{self._id} has a transaction open that failed")
        self._clean = False
        self._pauses.clear()
        if not self._renews:
            await self.add_partitions(batches)
        ends = await self.produce(batches)
        await self.commit()
        self._clean = True
        return ends

    async def add_partitions(self, places: Iterable[TopicPartition]) -> None:
        """Say which partitions the transaction writes to, and so begin it: the older protocol."""
        topics: dict[str, list[int]] = defaultdict(list)
        for topic, partition in places:
            topics[topic].append(partition)
        request = AddPartitionsToTxnRequest(
            self._id, self._producer_id, self._epoch, list(topics.items())
        )
        await self._coordinated(request, _of_partitions)

    async def produce(
        self, batches: Mapping[TopicPartition, Sequence[Batch]]
    ) -> Mapping[TopicPartition, int]:
        """Write batches, all partitions side by side, acknowledged by all replicas."""
        if self._renews:
            self._numbers.clear()
        producer = self._producer_id, self._epoch
        lanes = [_Lane(p, some, producer, self._numbers[p]) for p, some in batches.items()]
        left = {lane.place: lane for lane in lanes if not lane.is_done}
        while left:
            await _make(lane for lane in left.values() if lane.lacks(1))
            led = await self._brokers.by_leader(left)
            sends = [
                self._send(leader, part)
                for leader, places in led.items()
                for part in _parts([left[place] for place in places])
            ]
            pauses = await _meanwhile(sends, [lane for lane in left.values() if lane.lacks(2)])
            if sum(map(len, led.values())) < len(left):  # some have no leader for the moment
                await self._brokers.look_for_leaders()
                pauses.append(SOON_SECONDS)
            left = {place: lane for place, lane in left.items() if not lane.is_done}
            if left and any(pauses):
                await self._rest(max(pauses))
        self._numbers.update((lane.place, lane.number) for lane in lanes)
        return {lane.place: lane.end for lane in lanes}

    async def commit(self) -> None:
        """Commit what was written. The answer comes before the markers are written."""
        kind = CommitAndRenew if self._renews else Commit
        request = kind(self._id, self._producer_id, self._epoch)
        answer = await self._coordinated(request, _of_request)
        if self._renews:
            self._take(answer)

    def _take(self, answer: Any) -> None:
        """Go on as the coordinator says: where the epochs are used up, with another id."""
        self._producer_id, self._epoch = int(answer.producer_id), int(answer.producer_epoch)

    async def _coordinated(
        self,
        request: Any,
        codes: Callable[[Any], Iterable[int]],
        check: Callable[[], None] | None = None,
    ) -> Any:
        """Ask the coordinator until it has done it; return its answer."""
        while True:
            try:
                coordinator = await self._brokers.coordinator()
                if check is not None:
                    check()
                answer = await self._brokers.ask(coordinator, request)
            except KafkaError as error:
                if not error.retriable:
                    raise
                self._brokers.forget_coordinator()
                await self._rest(SOON_SECONDS)
                continue
            refused = {code for code in codes(answer) if code}
            if not refused:
                return answer
            await self._rest(max(self._pause(code) for code in refused))

    async def _send(self, leader: int, lanes: Sequence[_Lane]) -> float:
        """Send the first batch of each lane to their leader; return for how many seconds to wait
        before those that were refused are sent again."""
        batches: dict[str, dict[int, bytes]] = defaultdict(dict)
        for lane in lanes:
            batches[lane.place.topic][lane.place.partition] = lane.first
        try:
            answer = await self._brokers.ask(leader, self._request(batches))
        except KafkaError as error:
            if not error.retriable:
                raise
            await self._brokers.look_for_leaders()
            return SOON_SECONDS
        by_place = {lane.place: lane for lane in lanes}
        pause, moved = 0.0, False
        for topic, partitions, *_tags in answer.topics:
            for partition, code, offset, *_ in partitions:
                lane = by_place[TopicPartition(topic, partition)]
                if code == 0:
                    lane.delivered(offset)
                else:
                    pause = max(pause, self._pause(code, topic))
                    moved = moved or code in _LEADER_MOVED
        if moved:
            await self._brokers.look_for_leaders()
        return pause

    def _request(self, batches: Mapping[str, Mapping[int, bytes]]) -> Any:
        if self._renews:
            return ProduceInTransaction(self._id, TRANSACTION_TIMEOUT_MS, batches)
        topics = [(topic, list(some.items())) for topic, some in batches.items()]
        return ProduceRequest(self._id, -1, TRANSACTION_TIMEOUT_MS, topics)

    async def _rest(self, seconds: float) -> None:
        """Wait for so long, and twice as long as the last time."""
        pause = min(2 * self._pauses.get(seconds, seconds / 2), PATIENCE * seconds)
        self._pauses[seconds] = pause
        await asyncio.sleep(pause)

    def _pause(self, code: int, topic: str = "") -> float:
        """Return after how many seconds what was refused may be sent again.

        Raises:
            Fenced, RecordTooLarge, KafkaError: it may not.
        """
        if code == _CONCURRENT_TRANSACTIONS:
            return MARKERS_SECONDS
        if code in _AGAIN or code in _LEADER_MOVED:
            return SOON_SECONDS
        if code in _COORDINATOR_MOVED:
            self._brokers.forget_coordinator()
            return SOON_SECONDS
        if code in _FENCED:
            raise Fenced(f"{self._id} is fenced, or its transaction was aborted (error {code})")
        if code in _TOO_LARGE:
            raise RecordTooLarge(
                f"{topic} does not take a record that it should: set its max.message.bytes to what "
                "`milestream topics` says"
            )
        raise for_code(code)(f"error {code} of {topic or 'the coordinator'} for {self._id}")


def _of_request(answer: Any) -> Iterable[int]:
    return (answer.error_code,)


_NOT_ATTEMPTED = 55
"""OPERATION_NOT_ATTEMPTED: another partition was refused."""


def _of_partitions(answer: Any) -> Iterable[int]:
    codes = {code for _, partitions in answer.errors for _, code in partitions}
    return codes - {_NOT_ATTEMPTED} or codes


async def _meanwhile(sends: Sequence[Any], lanes: Sequence[_Lane]) -> list[float]:
    """Await what is sent, and make the next batch of these lanes meanwhile."""
    if not lanes:
        return await side_by_side(sends)
    pauses, _ = await side_by_side([side_by_side(sends), _make(lanes)])
    return list(pauses)


async def _make(lanes: Iterable[_Lane]) -> None:
    """Make a batch of each lane ready: large ones side by side on threads, where compression leaves
    the event loop to other partitions' folds."""
    large = []
    for lane in lanes:
        if lane.is_large:
            large.append(asyncio.to_thread(lane.make))
        else:
            lane.make()
    if large:
        await side_by_side(large)


def _parts(lanes: Iterable[_Lane]) -> list[list[_Lane]]:
    """Divide lanes so that no request is too large."""
    parts: list[list[_Lane]] = []
    size = 0
    for lane in lanes:
        size += len(lane.first)
        if not parts or size > REQUEST_BYTES:
            parts.append([])
            size = len(lane.first)
        parts[-1].append(lane)
    return parts


async def side_by_side(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Await them together; where one fails, none goes on in the background."""
    coroutines = list(coroutines)
    if len(coroutines) == 1:
        return [await coroutines[0]]
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
