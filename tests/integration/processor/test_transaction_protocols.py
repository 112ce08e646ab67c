"""Transactions on brokers of both protocols, whose lines break in the middle of each request.

Each cluster has brokers of its own: one agreed upon transactions of two requests (KIP-890), one did
not, as clusters that were made by Kafka 3 and others than Apache's.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.topics_create import create_topics
from processor.domain.effects import Effects
from processor.transactions import Fenced, PartitionProducer, writer
from schemas.settings import Settings
from schemas.topics import PROGRESS_EVENTS, REWARD_EVENTS
from tests.faults.request_proxy import (
    ADD_PARTITIONS_TO_TXN,
    END_TXN,
    FIND_COORDINATOR,
    INIT_PRODUCER_ID,
    PRODUCE,
    Fate,
    RequestProxy,
)
from tests.faults.servers import Brokers
from tests.integration.processor.driving import (
    History,
    Worker,
    definitions,
    drain,
    fold_under_kills,
    produce,
    wait_folded,
)
from tests.integration.processor.test_verify import folded, verify
from tests.stack import stack_directory

PARTITION = 1
SHORT_MS = 1_000
"""A time limit of transactions that a test can wait for."""
KIP_890, OLDER = 2, 1


class Cluster:
    """One broker, and topics of a test's own there."""

    def __init__(self, brokers: Brokers, version: int) -> None:
        self.brokers = brokers
        self.version = version

    def settings(self, kafka: str, **more: Any) -> Settings:
        """Make topics; ``kafka`` is where the test's clients find the broker."""
        prefix = f"t{secrets.token_hex(4)}-"
        create_topics(
            Settings.of({"kafka": self.brokers.bootstrap, "topic_prefix": prefix, "partitions": 2})
        )
        return Settings.of({"kafka": kafka, "topic_prefix": prefix, "partitions": 2, **more})

    @property
    def proxy(self) -> RequestProxy:
        """What stands before the broker's second listener."""
        (proxy,) = self.brokers.proxies
        assert isinstance(proxy, RequestProxy)
        return proxy


only_older = pytest.mark.parametrize("cluster", [OLDER], ids=["older"], indirect=True)
"""Where ``test_exactly_once.py`` has the same of the newer protocol."""


@pytest.fixture(scope="module", params=[KIP_890, OLDER], ids=["KIP-890", "older"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster of one protocol."""
    with stack_directory() as directory:
        brokers = Brokers(
            directory,
            1,
            features={"transaction.version": request.param},
            properties={
                "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200,
                "add.partitions.to.txn.retry.backoff.ms": 1,
            },
            proxy=RequestProxy,
        )
        try:
            brokers.start()
            yield Cluster(brokers, request.param)
        finally:
            brokers.stop()


def effects(number: int) -> Effects:
    """Return something for three topics, that says which it is."""
    made = Effects(writes={b"t%d" % number: b"%d" % number})
    made.put(PROGRESS_EVENTS, b"k", b"progress %d" % number)
    made.put(REWARD_EVENTS, b"k", b"reward %d" % number)
    return made


async def begin(owner: PartitionProducer, number: int) -> None:
    """Write what belongs to a transaction, and do not commit it."""
    batches = owner._batches(effects(number), ())
    if not owner._writer._renews:
        await owner._writer.add_partitions(batches)
    await owner._writer.produce(batches)


def written(settings: Settings, *numbers: int) -> None:
    """Check that there is all of these chunks, once and in order, and nothing of others."""
    for topic, name in ((PROGRESS_EVENTS, b"progress"), (REWARD_EVENTS, b"reward")):
        found = [record.value for record in drain(settings, topic)]
        assert found == [b"%s %d" % (name, number) for number in numbers]


def test_the_cluster_is_spoken_to_in_the_protocol_that_it_has(cluster: Cluster) -> None:
    settings = cluster.settings(cluster.brokers.proxied)

    async def run() -> list[int]:
        owner = PartitionProducer(settings, PARTITION)
        await owner.fence()
        await owner.write(effects(0))
        before = len(cluster.proxy.seen)
        await owner.write(effects(1))
        await owner.close()
        return cluster.proxy.seen[before:]

    requests = asyncio.run(run())
    if cluster.version == KIP_890:
        assert requests == [PRODUCE, END_TXN]
    else:  # the first is asked again while the markers of the transaction before are written
        assert list(dict.fromkeys(requests)) == [ADD_PARTITIONS_TO_TXN, PRODUCE, END_TXN]
    written(settings, 0, 1)


def test_a_line_that_breaks_in_any_request_leaves_nothing_half(cluster: Cluster) -> None:
    settings = cluster.settings(cluster.brokers.proxied)
    kinds = [PRODUCE, END_TXN]
    if cluster.version == OLDER:
        kinds.append(ADD_PARTITIONS_TO_TXN)
    cases = [(kind, fate) for kind in kinds for fate in Fate]

    async def run() -> list[int]:
        owner = PartitionProducer(settings, PARTITION)
        await owner.fence()
        ends = [await owner.write(effects(0))]
        for number, (kind, fate) in enumerate(cases, 1):
            cluster.proxy.at_next(kind, fate)
            ends.append(await owner.write(effects(number)))
            assert not cluster.proxy.waits, f"{kind} {fate}"
        await owner.close()
        return ends

    ends = asyncio.run(run())
    assert ends == sorted(set(ends))
    written(settings, *range(len(cases) + 1))


@pytest.mark.parametrize("fate", Fate)
def test_a_line_that_breaks_as_a_partition_is_taken_leaves_it_taken(
    cluster: Cluster, fate: Fate
) -> None:
    settings = cluster.settings(cluster.brokers.proxied)

    async def run() -> None:
        for number, kind in enumerate([FIND_COORDINATOR, INIT_PRODUCER_ID]):
            owner = PartitionProducer(settings, PARTITION)
            cluster.proxy.at_next(kind, fate)
            await owner.fence()
            assert not cluster.proxy.waits
            await owner.write(effects(number))
            await owner.close()

    asyncio.run(run())
    written(settings, 0, 1)


def test_of_two_owners_the_later_one_has_the_partition(cluster: Cluster) -> None:
    settings = cluster.settings(cluster.brokers.bootstrap)

    async def run() -> None:
        first, second = (PartitionProducer(settings, PARTITION) for _ in range(2))
        await first.fence()
        await first.write(effects(0))
        await begin(first, 1)  # and is slow to commit
        await second.fence()
        with pytest.raises(Fenced):
            await first._writer.commit()
        await second.write(effects(2))
        with pytest.raises(Fenced):
            await begin(first, 3)
        await second.write(effects(4))
        for producer in (first, second):
            await producer.close()

    asyncio.run(run())
    written(settings, 0, 2, 4)


@pytest.mark.parametrize("late", ["commit", "write"])
def test_a_transaction_that_outlived_its_time_is_fenced(
    cluster: Cluster, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the one that is to be late has little time: a busy machine may need more than that to
    write the others."""
    settings = cluster.settings(cluster.brokers.bootstrap)

    async def run() -> None:
        before, owner, after = (PartitionProducer(settings, PARTITION) for _ in range(3))
        await before.fence()
        await before.write(effects(0))
        await before.close()
        with monkeypatch.context() as short:
            short.setattr(writer, "TRANSACTION_TIMEOUT_MS", SHORT_MS)
            await owner.fence()
            with contextlib.suppress(Fenced):  # so busy that its time is over before it has begun
                await begin(owner, 1)
        await asyncio.to_thread(written, settings, 0)  # which waits for the end of what is open
        with pytest.raises(Fenced):
            await (owner._writer.commit() if late == "commit" else begin(owner, 2))
        await owner.close()
        await after.fence()
        await after.write(effects(3))
        await after.close()

    asyncio.run(run())
    written(settings, 0, 3)


def test_numbers_of_records_begin_again_after_the_last_one(cluster: Cluster) -> None:
    """A broker refuses a record whose number does not follow the one before it."""
    settings = cluster.settings(cluster.brokers.bootstrap)

    async def run() -> None:
        owner = PartitionProducer(settings, PARTITION)
        await owner.fence()
        if cluster.version == OLDER:
            owner._writer._numbers[owner._changelog] = 2**31 - 2
        for number in range(4):
            await owner.write(effects(number))
        assert owner._writer._numbers[owner._changelog] == (2 if cluster.version == OLDER else 1)
        await owner.close()

    asyncio.run(run())
    written(settings, *range(4))


@only_older
def test_a_worker_that_is_killed_folds_everything_once(cluster: Cluster, tmp_path: Path) -> None:
    settings = cluster.settings(
        cluster.brokers.bootstrap, data_dir=tmp_path / "data", metrics_port=0
    )
    history = History(members=300, seed=12)
    produce(settings, definitions())
    batches = [history.records(1_000, settings) for _ in range(4)]
    worker = Worker(settings, "w")
    fold_under_kills(worker, batches, history.sent, rng=random.Random(7), lives=3, longest=1.0)
    history.check(settings)
    checked = verify(worker.settings)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{folded(settings)} inputs give" in checked.stdout


@only_older
def test_a_frozen_worker_is_fenced_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    settings = cluster.settings(
        cluster.brokers.bootstrap, data_dir=tmp_path / "data", metrics_port=0
    )
    history = History(members=300, seed=13)
    produce(settings, definitions())
    with Worker(settings, "a") as frozen, Worker(settings, "b") as other:
        frozen.ready()
        other.ready()
        produce(settings, history.records(1_000, settings))
        frozen.freeze()
        produce(settings, history.records(1_000, settings))
        wait_folded(settings, history.sent, 180, other)
        frozen.thaw()
        produce(settings, history.records(1_000, settings))
        wait_folded(settings, history.sent, 180, frozen, other)
    history.check(settings)
