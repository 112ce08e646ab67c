"""Stores are brought up to their changelogs: what was deleted there is gone, and stays gone."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from processor import recovery
from processor.definitions import DefinitionsReader
from processor.offsets import EndOffsets
from processor.recovery import TOMBSTONES_SECONDS, take_over
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
    monkeypatch.setattr(recovery, "RECORDS_A_BATCH", 3)
    monkeypatch.setattr(recovery, "ENTRIES_A_FILE", 5)
    monkeypatch.setattr(recovery, "FEW_ENTRIES", 2)
    changes = [(b"t%d" % (n % 10), None if n % 4 == 0 else b"%d" % n) for n in range(60)]
    expected = {key: value for key, value in dict(changes).items() if value is not None}

    async def run() -> None:
        assert await state(settings, *changes) == expected
        assert await state(settings, *changes[:7]) == await state(settings)

    asyncio.run(run())


@pytest.mark.parametrize(("age", "outdated"), [(0.0, False), (LONG_AGO, True)])
def test_a_store_that_may_have_missed_deletions_is_restored_from_nothing(
    settings: Settings, age: float, outdated: bool
) -> None:
    """Kafka compacts a deletion away a day after: whoever has the entry still, keeps it."""

    async def run() -> None:
        await state(settings, (b"t1", b""), age=age)
        _deleted_long_ago(settings, b"t0")
        found = await state(settings, (b"t2", b""), age=age)
        assert found.keys() == {b"t1", b"t2"} | (set() if outdated else {b"t0"})

    asyncio.run(run())


def test_a_store_that_misses_nothing_is_kept_however_old_it_is(settings: Settings) -> None:
    async def run() -> None:
        await state(settings, (b"t1", b""), age=LONG_AGO)
        _deleted_long_ago(settings, b"t0")  # shows whether the files stay
        assert (await state(settings)).keys() == {b"t0", b"t1"}
        assert (await state(settings, (b"t2", b""))).keys() == {b"t0", b"t1", b"t2"}

    asyncio.run(run())


def _deleted_long_ago(settings: Settings, key: bytes) -> None:
    """Put an entry into the store of which the changelog has nothing any more."""
    directory: Path = settings.data_dir / "state"
    stores = StateStore(directory)
    store = stores.open(PARTITION)
    store.apply({key: b""}, store.next_offset)
    stores.close_all_but(())
