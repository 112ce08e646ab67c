"""What stands in for aiokafka's client and its consumer without a group.

Only what production code calls is here, with the meaning that aiokafka 0.14 gives it.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    KafkaConnectionError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)
from aiokafka.record.default_records import DefaultRecordBatch

from tests.simulation.broker import Busy, Entry, OutOfOrder, Sent
from tests.simulation.wire import WIRE, Wire

HAND_OUT = (None, None, None, 1, 2, 5)
"""How many offsets a fetch may pass; None: all there are."""
BROKER = 1
_ANSWERED = ("answered",) * 24
FATES = {
    True: (*_ANSWERED, "unsent", "unanswered", "late"),
    False: (*_ANSWERED, "unsent", "unanswered"),
}
"""What becomes of a request, by whether the cluster has KIP-890; without it, a late one may change
the next transaction."""
LATE_SECONDS = 0.2
NEWEST = {
    True: {0: 12, 10: 1, 18: 3, 22: 4, 24: 0, 26: 5},
    False: {0: 7, 10: 1, 18: 3, 22: 4, 24: 0, 26: 0},
}
"""The newest version of each request, by whether the cluster has KIP-890."""


class Client:
    """What production code asks a cluster of one broker through, in place of aiokafka's client.

    Requests may be lost on their way, and answers; with KIP-890 a request may also come late,
    after whoever sent it did without.
    """

    def __init__(self, **_: Any) -> None:
        self._wire = WIRE.get()
        self._timeouts: dict[str, float] = {}
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=BROKER)],
            leader_for_partition=lambda _: BROKER,
        )

    async def bootstrap(self) -> None:
        """Connect."""
        await self._wire.alive()

    async def close(self) -> None:
        """Say nothing to the broker: what is open stays so until it is fenced."""
        await self._wire.alive()

    async def ready(self, _: int) -> bool:
        """Be connected."""
        await self._wire.alive()
        return True

    def set_topics(self, _: object) -> "asyncio.Future[bool]":
        """Know all topics."""
        known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        known.set_result(True)
        return known

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        """Know all leaders."""
        return self.set_topics(())

    async def send(self, _: int, request: Any) -> Any:
        """Send a request, and wait for its answer.

        Raises:
            KafkaConnectionError: the connection broke before the answer came.
        """
        await self._wire.alive()
        kip_890 = self._wire.cluster.kip_890
        sent = request.prepare({key: (0, most) for key, most in NEWEST[kip_890].items()})
        fate = self._wire.choices.one_of(FATES[kip_890])
        if fate == "unsent":
            await self._wire.ask(lambda: None)
            raise KafkaConnectionError
        if fate == "late":
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._serve, sent)
            raise KafkaConnectionError
        answer = await self._wire.ask(lambda: self._serve(sent))
        if fate == "unanswered":
            raise KafkaConnectionError
        return answer

    def _serve(self, sent: Any) -> Any:
        """Do what a request asks for, as it arrives; return its answer."""
        serve = {
            10: self._find_coordinator,
            18: self._tell_versions,
            22: self._init,
            24: self._add_partitions,
            0: self._produce,
            26: self._end,
        }
        return serve[sent.API_KEY](sent)

    @property
    def _cluster(self) -> Any:
        return self._wire.cluster

    def _find_coordinator(self, _: Any) -> Any:
        return SimpleNamespace(error_code=0, coordinator_id=BROKER)

    def _tell_versions(self, _: Any) -> Any:
        version = 1 + self._cluster.kip_890
        return SimpleNamespace(
            error_code=0, finalized=lambda _: version, newest=NEWEST[self._cluster.kip_890].get
        )

    def _init(self, sent: Any) -> Any:
        self._timeouts[sent.transactional_id] = sent.transaction_timeout_ms / 1000
        return _answer(lambda: self._cluster.init(sent.transactional_id))

    def _begin(self, transactional_id: str, epoch: int) -> None:
        self._cluster.begin(transactional_id, epoch, self._timeouts[transactional_id])

    def _add_partitions(self, sent: Any) -> Any:
        answer = _answer(lambda: self._begin(sent.transactional_id, sent.producer_epoch))
        errors = [
            (t, [(p, answer.error_code) for p in partitions]) for t, partitions in sent.topics
        ]
        return SimpleNamespace(errors=errors)

    def _produce(self, sent: Any) -> Any:
        return SimpleNamespace(
            topics=[
                (
                    topic,
                    [
                        (partition, *self._append(sent, TopicPartition(topic, partition), records))
                        for partition, records, *_tags in partitions
                    ],
                )
                for topic, partitions, *_tags in sent.topics
            ]
        )

    def _append(self, sent: Any, place: TopicPartition, records: bytes) -> tuple[int, int]:
        batch = DefaultRecordBatch(records)
        epoch, number = batch.producer_epoch, batch.base_sequence
        decoded = [Sent(r.key, r.value, tuple(r.headers)) for r in batch]
        id_ = sent.transactional_id

        def append() -> int:
            if self._cluster.kip_890:
                self._begin(id_, epoch)
            return int(self._cluster.add_numbered(id_, epoch, number, place, decoded))

        answer = _answer(append)
        return answer.error_code, answer.producer_epoch

    def _end(self, sent: Any) -> Any:
        return _answer(
            lambda: self._cluster.finish(
                sent.transactional_id, sent.producer_epoch, committed=sent.transaction_result
            )
        )


def _answer(serve: Callable[[], int | None]) -> Any:
    """Serve a request; answer with its number (an epoch or an offset), or with an error code."""
    code, number = 0, None
    try:
        number = serve()
    except Busy:
        code = ConcurrentTransactions.errno
    except ProducerFenced:
        code = InvalidProducerEpoch.errno
    except OutOfOrder:
        code = OutOfOrderSequenceNumber.errno
    return SimpleNamespace(error_code=code, producer_id=1, producer_epoch=number)


class Consumer:
    """A consumer of assigned partitions, without a group."""

    def __init__(self, *_: Any, isolation_level: str = "read_uncommitted", **__: Any) -> None:
        self._wire = WIRE.get()
        self._stable = isolation_level == "read_committed"
        self._positions: dict[TopicPartition, int] = {}
        # What is looked at for a fault: nothing here runs in the background.
        self._coordinator, self._fetcher = None, SimpleNamespace(_isolation_level=0)
        # No leader is known, so that ends are asked for by ``end_offsets``.
        self._client = SimpleNamespace(
            _sync_task=None, cluster=SimpleNamespace(leader_for_partition=lambda _: None)
        )

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
