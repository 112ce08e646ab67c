"""Stores are brought up to their changelogs: what was deleted there is gone, and stays gone."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from processor import restoring
from processor.definitions import DefinitionsReader
from processor.offsets import EndOffsets
from processor.recovery import take_over
from processor.restoring import TOMBSTONES_SECONDS
from processor.shell import Shell
from processor.store import PartitionStore, StateStore
from processor.ticker import Ticker
from processor.transactions import Producers
from schemas.settings import Settings
from schemas.topics import changelog_topic

Change = tuple[bytes, bytes | None]
PARTITION = 1
LONG_AGO = TOMBSTONES_SECONDS + 3600


async def write(settings: Settings, changes: Sequence[Change], *, age: float = 0) -> None:
    """Put changes onto the changelog, as if ``age`` seconds ago."""
    topic = settings.topic(changelog_topic(settings.application_id).name)
    at = int((time.time() - age) * 1000)
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for key, value in changes:
            await producer.send_and_wait(
                topic, value, key=key, partition=PARTITION, timestamp_ms=at
            )


async def recovered(settings: Settings, stack: AsyncExitStack) -> PartitionStore:
    """Take the partition over, as a worker with this data dir does when it starts."""
    ends = await stack.enter_async_context(EndOffsets(settings))
    log_ends = await stack.enter_async_context(EndOffsets(settings, "read_uncommitted"))
    producers = Producers(settings)
    stack.push_async_callback(producers.close)
    store = StateStore(settings.data_dir / "state")
    stack.callback(store.close_all_but, ())
    shell = Shell(
        settings=settings,
        store=store,
        producers=producers,
        ends=ends,
        log_ends=log_ends,
        ticker=Ticker(settings, log_ends, lambda: producers.partitions, lambda *_: False),
        definitions=await stack.enter_async_context(DefinitionsReader(settings)),
        reply_partitions={},
        cluster_id="test",
    )
    await take_over(shell, {PARTITION})
    return shell.store[PARTITION]


async def state(settings: Settings, *changes: Change, age: float = 0) -> dict[bytes, bytes]:
    """Write changes, recover, and return the entries that there are then."""
    await write(settings, changes, age=age)
    async with AsyncExitStack() as stack:
        store = await recovered(settings, stack)
        keys = store.scan(b"a", b"z", 100)
        entries = dict(zip(keys, store.load(keys), strict=True))
        return {key: value for key, value in entries.items() if value is not None}


def test_deletions_are_recovered_from_nothing(settings: Settings) -> None:
    async def run() -> None:
        found = await state(settings, (b"t1", b""), (b"t2", b""), (b"t1", None), (b"m", b"x"))
        assert found == {b"t2": b"", b"m": b"x"}

    asyncio.run(run())


def test_deletions_are_recovered_into_a_store_that_has_the_entries(settings: Settings) -> None:
    async def run() -> None:
        assert await state(settings, (b"t1", b""), (b"t2", b"")) == {b"t1": b"", b"t2": b""}
        assert await state(settings, (b"t1", None), (b"t3", b"")) == {b"t2": b"", b"t3": b""}
        assert await state(settings, (b"t1", b"again")) == {
            b"t1": b"again", b"t2": b"", b"t3": b""
        }  # fmt: skip

    asyncio.run(run())


def test_a_long_changelog_is_recovered_in_files(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "RECORDS_A_READ", 3)
    monkeypatch.setattr(restoring, "RESTORE_BYTES", restoring.READERS * 5 * restoring.ENTRY_BYTES)
    monkeypatch.setattr(restoring, "FEW_ENTRIES", 2)
    changes = [(b"t%d" % (n % 10), None if n % 4 == 0 else b"%d" % n) for n in range(60)]
    expected = {key: value for key, value in dict(changes).items() if value is not None}

    async def run() -> None:
        assert await state(settings, *changes) == expected
        assert await state(settings, *changes[:7]) == await state(settings)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("age", "stood", "outdated"), [(LONG_AGO, 3600, False), (0, LONG_AGO, True)]
)
def test_a_store_that_may_have_missed_deletions_is_restored_from_nothing(
    settings: Settings, age: float, stood: float, outdated: bool
) -> None:
    """Kafka compacts a deletion away a day after: whoever has the entry still, keeps it. How old
    the next record is says nothing of that."""

    async def run() -> None:
        await state(settings, (b"t1", b""), age=age)
        _change_store(settings, stood)
        found = await state(settings, (b"t2", b""), age=age)
        assert found.keys() == {b"t1", b"t2"} | (set() if outdated else {b"t0"})

    asyncio.run(run())


def test_a_store_that_misses_nothing_is_kept_however_old_it_is(settings: Settings) -> None:
    async def run() -> None:
        await state(settings, (b"t1", b""), age=LONG_AGO)
        _change_store(settings, LONG_AGO)  # shows whether the files stay
        assert (await state(settings)).keys() == {b"t0", b"t1"}

    asyncio.run(run())


def test_a_store_that_misses_only_markers_and_aborted_records_is_kept(settings: Settings) -> None:
    """A worker that is killed between its commit and its next chunk leaves such a store."""

    async def run() -> None:
        await state(settings, (b"t1", b""), age=LONG_AGO)
        _change_store(settings, LONG_AGO)
        await _in_transactions(settings, (b"t9", b"aborted"))
        assert (await state(settings)).keys() == {b"t0", b"t1"}
        _change_store(settings, LONG_AGO)
        await _in_transactions(settings, (b"t9", b"aborted"), (b"t9", b"committed"))
        assert (await state(settings)).keys() == {b"t1", b"t9"}

    asyncio.run(run())


def test_a_restore_that_was_interrupted_goes_on_where_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old the changelog is: nothing that was read a moment ago can have been missed."""
    monkeypatch.setattr(restoring, "RECORDS_A_READ", 3)
    monkeypatch.setattr(restoring, "RESTORE_BYTES", restoring.READERS * 5 * restoring.ENTRY_BYTES)
    changes = [(b"t%d" % number, b"") for number in range(60)]
    fill, apply = PartitionStore.fill, PartitionStore.apply

    def ends_in_the_middle(store: PartitionStore, entries: Any, position: int, **rest: Any) -> None:
        (fill if len(entries) > 4 else apply)(store, entries, position, **rest)
        if position > 30:
            raise ConnectionError

    async def interrupted() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(PartitionStore, "apply", ends_in_the_middle)
            await state(settings)

    async def run() -> None:
        await write(settings, changes, age=LONG_AGO)
        begun = time.time()
        with pytest.raises(ConnectionError):
            await interrupted()
        reached, as_of = _position(settings)
        assert 30 < reached < 60
        assert begun - 1 < as_of < time.time()
        _change_store(settings, None, b"kept")
        assert (await state(settings)).keys() == {b"kept", *dict(changes)}
        assert _position(settings)[0] >= 60

    asyncio.run(run())


def test_a_store_of_a_version_that_kept_no_time_is_judged_by_the_changelogs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(age: float, kept: set[bytes]) -> None:
        await state(settings, (b"t1", b""), age=age)
        _change_store(settings, None)
        monkeypatch.setattr(PartitionStore, "as_of", None)
        assert (await state(settings, (b"t2", b""), age=age)).keys() == {b"t1", b"t2"} | kept

    asyncio.run(run(LONG_AGO, set()))
    asyncio.run(run(0, {b"t0"}))


async def _in_transactions(settings: Settings, *changes: Change) -> None:
    """Put each change onto the changelog in a transaction of its own; the first is aborted."""
    topic = settings.topic(changelog_topic(settings.application_id).name)
    for number, (key, value) in enumerate(changes):
        async with AIOKafkaProducer(
            **settings.kafka_options(), transactional_id=f"{topic}-by-test"
        ) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value, key=key, partition=PARTITION)
            await (producer.commit_transaction if number else producer.abort_transaction)()


def _position(settings: Settings) -> tuple[int, float]:
    """Return how far the store is, and the moment that it has for that."""
    stores = StateStore(settings.data_dir / "state")
    store = stores.open(PARTITION)
    reached, as_of = store.next_offset, store.as_of
    stores.close_all_but(())
    assert as_of is not None
    return reached, as_of


def _change_store(settings: Settings, stood: float | None, key: bytes = b"t0") -> None:
    """Put an entry into the store of which the changelog has nothing any more, and let it have
    stood still for so many seconds; None leaves its moment as it is."""
    directory: Path = settings.data_dir / "state"
    stores = StateStore(directory)
    store = stores.open(PARTITION)
    as_of = store.as_of if stood is None else time.time() - stood
    store.apply({key: b""}, store.next_offset, as_of=as_of)
    stores.close_all_but(())
