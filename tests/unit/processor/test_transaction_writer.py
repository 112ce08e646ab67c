"""What a transaction's answers lead to: done, sent again, fenced, refused, or given up."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    OutOfOrderSequenceNumber,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.record.default_records import DefaultRecordBatch

from processor.transactions import Fenced, RecordTooLarge, Superseded, writer
from processor.transactions.batches import Batch, batches_of
from processor.transactions.writer import TransactionWriter

VERSIONS = {0: (3, 12), 22: (0, 4), 24: (0, 5), 26: (0, 5)}
NAMES = {0: "produce", 22: "init", 24: "add", 26: "end"}
HERE, THERE = TopicPartition("here", 0), TopicPartition("there", 1)

Refusal = int | Exception


class Cluster:
    """Two brokers that do as they are told: each request's refusals, first to last, then success.

    Stands where `Brokers` stands. A partition's name may be before the request's:
    ``"produce here"``.
    """

    def __init__(
        self, refusals: Mapping[str, Sequence[Refusal]] | None = None, *, kip_890: bool = True
    ) -> None:
        self.kip_890 = kip_890
        self.refusals = {name: list(some) for name, some in (refusals or {}).items()}
        self.asked: list[str] = []
        self.batches: list[tuple[TopicPartition, int, int, int]] = []
        """Partition, producer id, epoch and first number of each batch that came."""
        self.producer = (7, 0)
        self.looked = self.found = 0
        self.leaders: dict[TopicPartition, int] = {HERE: 1, THERE: 2}
        self._ends: dict[TopicPartition, int] = {}

    async def connect(self) -> None:
        pass

    async def have_kip_890(self) -> bool:
        self._refuse("versions")
        return self.kip_890

    async def coordinator(self) -> int:
        self._refuse("coordinator")
        return 1

    def forget_coordinator(self) -> None:
        self.found += 1

    async def by_leader(self, places: Any) -> Mapping[int, list[TopicPartition]]:
        led: dict[int, list[TopicPartition]] = {}
        for place in places:
            if place in self.leaders:
                led.setdefault(self.leaders[place], []).append(place)
        return led

    async def look_for_leaders(self) -> None:
        self.looked += 1
        self.leaders = {HERE: 1, THERE: 2}

    def _refuse(self, name: str) -> int:
        refusals = self.refusals.get(name)
        refusal = refusals.pop(0) if refusals else 0
        if isinstance(refusal, Exception):
            raise refusal
        return refusal

    async def ask(self, broker: int, request: Any) -> Any:
        await asyncio.sleep(0)
        sent = request.prepare(VERSIONS)
        name = NAMES[sent.API_KEY]
        self.asked.append(f"{name} {sent.API_VERSION}")
        if name == "produce":
            return self._produce(broker, sent)
        code = self._refuse(name)
        if name == "add":
            (first, _), *others = sent.topics
            errors = [(first, [(0, code)]), *((t, [(0, code and 55)]) for t, _ in others)]
            return SimpleNamespace(errors=errors)
        if not code and self.kip_890:
            self.producer = (self.producer[0], self.producer[1] + 1)
            if self.producer[1] == 32_767:
                self.producer = (self.producer[0] + 1, 0)
        return SimpleNamespace(
            error_code=code, producer_id=self.producer[0], producer_epoch=self.producer[1]
        )

    def _produce(self, broker: int, sent: Any) -> Any:
        self._refuse("produce")
        topics = []
        for topic, partitions, *_tags in sent.topics:
            told = []
            for partition, records, *_ in partitions:
                place = TopicPartition(topic, partition)
                assert broker == self.leaders[place]
                batch = DefaultRecordBatch(records)
                header = (batch.producer_id, batch.producer_epoch, batch.base_sequence)
                self.batches.append((place, *header))
                code = self._refuse(f"produce {topic}")
                first = self._ends.get(place, 0)
                if not code:
                    self._ends[place] = first + batch.last_offset_delta + 1
                told.append((partition, code, first))
            topics.append((topic, told))
        return SimpleNamespace(topics=topics)


def some(count: int, room: int = 10_000) -> list[Batch]:
    return batches_of([(b"k%d" % n, b"v" * 100, []) for n in range(count)], room)


async def taken(cluster: Cluster) -> TransactionWriter:
    made = TransactionWriter(cluster, "app-0")  # type: ignore[arg-type]
    await made.fence(lambda: None)
    return made


def write(cluster: Cluster, *batches: Mapping[TopicPartition, Sequence[Batch]]) -> list[Any]:
    """Write transactions one after the other; return their ends."""

    async def run() -> list[Any]:
        owner = await taken(cluster)
        return [await owner.write(each) for each in batches]

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARKERS_SECONDS", "SOON_SECONDS"):
        monkeypatch.setattr(writer, name, 0.0001)


def test_a_transaction_is_two_requests_and_has_its_own_epoch() -> None:
    cluster = Cluster()
    assert write(cluster, {HERE: some(3)}, {HERE: some(2)}) == [{HERE: 3}, {HERE: 5}]
    assert cluster.asked == ["init 4", "produce 12", "end 5", "produce 12", "end 5"]
    assert cluster.batches == [(HERE, 7, 1, 0), (HERE, 7, 2, 0)]


def test_the_older_protocol_says_its_partitions_first_and_numbers_on() -> None:
    cluster = Cluster(kip_890=False)
    write(cluster, {HERE: some(3)}, {HERE: some(2), THERE: some(1)})
    assert cluster.asked == [
        "init 4", "add 0", "produce 7", "end 0", "add 0", "produce 7", "produce 7", "end 0",
    ]  # fmt: skip
    assert cluster.batches == [(HERE, 7, 0, 0), (HERE, 7, 0, 3), (THERE, 7, 0, 0)]


def test_numbers_begin_again_after_the_last_one() -> None:
    cluster = Cluster(kip_890=False)

    async def run() -> None:
        owner = await taken(cluster)
        owner._numbers[HERE] = 2**31 - 2
        for _ in range(2):
            await owner.write({HERE: some(3)})

    asyncio.run(run())
    assert [number for *_, number in cluster.batches] == [2**31 - 2, 1]


def test_an_id_whose_epochs_are_used_up_is_followed_by_another() -> None:
    cluster = Cluster()
    cluster.producer = (7, 32_764)
    write(cluster, *({HERE: some(1)} for _ in range(3)))
    assert cluster.batches == [(HERE, 7, 32_765, 0), (HERE, 7, 32_766, 0), (HERE, 8, 0, 0)]


def test_the_batches_of_a_partition_follow_each_other() -> None:
    cluster = Cluster()
    batches = some(9, room=500)
    assert len(batches) > 2
    assert write(cluster, {HERE: batches, THERE: some(1)}) == [{HERE: 9, THERE: 1}]
    mine = [number for place, _, _, number in cluster.batches if place == HERE]
    assert mine == [sum(b.count for b in batches[:n]) for n in range(len(batches))]


AGAIN: list[tuple[str, list[Refusal]]] = [
    ("produce", [KafkaConnectionError()]),
    ("produce here", [51, 51, 51]),
    ("produce here", [6, 3, 5]),
    ("produce here", [19, 20, 7]),
    ("produce here", [14, 15, 16]),
    ("end", [51, 14, 15, 16]),
    ("end", [KafkaConnectionError(), KafkaConnectionError()]),
    ("coordinator", [KafkaConnectionError()]),
    ("versions", [KafkaConnectionError()]),
    ("init", [51, 16, KafkaConnectionError()]),
]


@pytest.mark.parametrize("kip_890", [True, False], ids=["KIP-890", "older"])
@pytest.mark.parametrize(("request_", "refusals"), AGAIN)
def test_what_may_be_sent_again_is(request_: str, refusals: list[Refusal], kip_890: bool) -> None:
    cluster = Cluster({request_: refusals}, kip_890=kip_890)
    assert write(cluster, {HERE: some(2), THERE: some(1)}) == [{HERE: 2, THERE: 1}]
    if request_ == "produce here":
        assert len(set(cluster.batches)) == 2, "the same batch, with the same number"
        assert len(cluster.batches) == 2 + len(refusals), "only what was refused"


@pytest.mark.parametrize("refusals", [[51, 3], [14], [KafkaConnectionError()]])
def test_partitions_are_added_again(refusals: list[Refusal]) -> None:
    cluster = Cluster({"add": refusals}, kip_890=False)
    assert write(cluster, {HERE: some(2), THERE: some(1)}) == [{HERE: 2, THERE: 1}]


def test_a_leader_that_is_not_known_is_waited_for() -> None:
    cluster = Cluster()
    cluster.leaders = {HERE: 1}
    assert write(cluster, {HERE: some(2), THERE: some(1)}) == [{HERE: 2, THERE: 1}]
    assert cluster.looked == 1


@pytest.mark.parametrize(
    ("request_", "refusal", "expected"),
    [
        ("produce here", 47, Fenced),
        ("produce here", 90, Fenced),
        ("produce here", 120, Fenced),
        ("end", 47, Fenced),
        ("end", 48, Fenced),
        ("end", 49, Fenced),
        ("end", 90, Fenced),
        ("produce here", 10, RecordTooLarge),
        ("produce here", 18, RecordTooLarge),
        ("produce here", 45, OutOfOrderSequenceNumber),
        ("end", 53, TransactionalIdAuthorizationFailed),
        ("end", 999, KafkaError),
    ],
)
def test_what_is_refused_is_never_written_over(
    request_: str, refusal: int, expected: type[Exception]
) -> None:
    cluster = Cluster({request_: [refusal]})

    async def run() -> None:
        owner = await taken(cluster)
        with pytest.raises(expected):
            await owner.write({HERE: some(2), THERE: some(1)})
        with pytest.raises(RuntimeError, match="transaction open that failed"):
            await owner.write({HERE: some(1)})

    asyncio.run(run())


def test_nobody_is_fenced_for_a_partition_that_moved_meanwhile() -> None:
    cluster = Cluster({"init": [51]})
    left = [None, Superseded()]

    def check() -> None:
        if error := left.pop(0):
            raise error

    async def run() -> None:
        made = TransactionWriter(cluster, "app-0")  # type: ignore[arg-type]
        with pytest.raises(Superseded):
            await made.fence(check)

    asyncio.run(run())
    assert cluster.asked == ["init 4"]


def test_a_request_carries_no_more_than_a_broker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "REQUEST_BYTES", 1)
    cluster = Cluster()
    cluster.leaders = {HERE: 1, THERE: 1}
    write(cluster, {HERE: some(2), THERE: some(2)})
    assert cluster.asked.count("produce 12") == 2


def test_a_large_batch_is_the_same_on_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for large in (1 << 40, 0):
        monkeypatch.setattr(writer, "LARGE_BYTES", large)
        cluster = Cluster()
        assert write(cluster, {HERE: some(9), THERE: some(3, room=150)}) == [{HERE: 9, THERE: 3}]
        found.append(sorted(cluster.batches))
    assert found[0] == found[1]
    assert len(found[0]) > 2


def test_a_record_that_is_too_large_for_a_batch_goes_alone() -> None:
    records = [(b"k", b"v" * size, ()) for size in (10, 5_000, 10, 10)]
    made = batches_of([(k, v, list(h)) for k, v, h in records], 1_000)
    assert [batch.count for batch in made] == [1, 1, 2]
