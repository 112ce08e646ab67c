"""Stores are brought up to their changelogs: what was deleted there is gone, and stays gone."""

import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from processor import bound_topics, restoring
from processor.domain.effects import Effects
from processor.domain.fold import Position
from processor.domain.state_kinds import POSITION
from processor.recovery import take_back, take_over
from processor.restoring import TOMBSTONES_SECONDS
from processor.store import PartitionStore, StateStore, StoreError
from processor.transactions import Fenced, PartitionProducer, Superseded
from schemas.kafka.descriptions import Describer
from schemas.settings import Settings
from schemas.topics import ACTIVITY_LOGS, EVENTS, INPUT_TOPICS, changelog_topic
from tests.integration.processor.taking_over import PARTITION, recovered

Change = tuple[bytes, bytes | None]
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


async def state(
    settings: Settings, *changes: Change, age: float = 0, binding: bool = True
) -> dict[bytes, bytes]:
    """Write changes, recover, and return the entries that there are then."""
    await write(settings, changes, age=age)
    async with AsyncExitStack() as stack:
        store = (await recovered(settings, stack, binding=binding)).store[PARTITION]
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
        await state(settings, (b"t1", b""), age=age, binding=False)
        _change_store(settings, None)
        monkeypatch.setattr(PartitionStore, "as_of", None)
        found = await state(settings, (b"t2", b""), age=age, binding=False)
        assert found.keys() == {b"t1", b"t2"} | kept

    asyncio.run(run(LONG_AGO, set()))
    asyncio.run(run(0, {b"t0"}))


def test_a_partition_is_taken_back_with_what_another_wrote_meanwhile(settings: Settings) -> None:
    """The group gave it to nobody else: a recovery that came too late fenced its owner."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            context = await recovered(settings, stack)
            mine = context.producers[PARTITION]
            context.store[PARTITION].apply({b"t1": b"x"}, await mine.write(written(b"t1")))
            late = PartitionProducer(settings, PARTITION)
            stack.push_async_callback(late.close)
            await late.fence()
            await late.write(written(b"t2"))
            with pytest.raises(Fenced):
                await mine.write(written(b"lost"))
            await take_back(context, PARTITION, lambda: True)
            store = context.store[PARTITION]
            assert store.load([b"t1", b"t2", b"lost"]) == [b"x", b"x", None]
            end = await context.producers[PARTITION].write(written(b"t3"))
            assert end > store.next_offset
            with pytest.raises(Fenced):
                await late.write(written(b"lost"))

    asyncio.run(run())


def test_a_recovery_that_a_rebalance_came_upon_fences_nobody(settings: Settings) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            context = await recovered(settings, stack)
            owner = PartitionProducer(settings, PARTITION)
            stack.push_async_callback(owner.close)
            await owner.fence()
            with pytest.raises(Superseded):
                await take_back(context, PARTITION, lambda: False)
            with pytest.raises(Superseded):
                await take_over(context, {PARTITION}, lambda: False)
            taking = asyncio.create_task(take_over(context, {PARTITION}, lambda: True))
            await asyncio.sleep(0)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            assert await owner.write(written(b"t1")) > 0

    asyncio.run(run())


@pytest.mark.parametrize("wiped", [False, True])
def test_state_of_an_input_that_was_made_anew_is_refused(settings: Settings, wiped: bool) -> None:
    async def run() -> None:
        await _fold_one(settings)
        assert (await state(settings)).keys() == {b"t1", POSITION}
        await _make_anew(settings, settings.topic(EVENTS), more_than=1)
        if wiped:
            shutil.rmtree(settings.data_dir / "state")
        with pytest.raises(StoreError, match=r"events, partition 1, was deleted and made anew"):
            await state(settings)

    asyncio.run(run())


def test_an_input_of_which_nothing_was_folded_may_be_made_anew(settings: Settings) -> None:
    async def run() -> None:
        await _fold_one(settings)
        await _make_anew(settings, settings.topic(ACTIVITY_LOGS), more_than=1)
        assert (await state(settings)).keys() == {b"t1", POSITION}

    asyncio.run(run())


def test_a_changelog_that_was_made_anew_is_refused_unless_the_state_is_gone_too(
    settings: Settings,
) -> None:
    changelog = changelog_topic(settings.application_id)

    async def run() -> None:
        await _fold_one(settings)
        await _make_anew(settings, settings.topic(changelog.name), more_than=9)
        with pytest.raises(StoreError, match=r"changelog that was deleted"):
            await state(settings)
        shutil.rmtree(settings.data_dir / "state")
        assert (await state(settings)).keys() == {b"n%d" % number for number in range(9)}

    asyncio.run(run())


def test_a_store_without_ids_of_topics_is_bound_to_them(settings: Settings) -> None:
    async def run() -> None:
        await write(settings, [(b"t1", b"")])
        async with AsyncExitStack() as stack:
            bound = (await recovered(settings, stack)).store[PARTITION].load([bound_topics.INPUTS])
        assert len(json.loads(bound[0] or b"")) == len(INPUT_TOPICS)

    asyncio.run(run())


async def _fold_one(settings: Settings) -> None:
    """Leave the state of a worker that folded one event and nothing else."""
    position = msgspec.json.encode(Position(offsets={EVENTS: 1}))
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        await producer.send_and_wait(settings.topic(EVENTS), b"{}", partition=PARTITION)
    async with AsyncExitStack() as stack:
        context = await recovered(settings, stack)
        effects = Effects(writes={b"t1": b"", POSITION: position}, offsets={EVENTS: 1})
        end = await context.producers[PARTITION].write(effects)
        context.store[PARTITION].apply(effects.writes, end)


async def _make_anew(settings: Settings, topic: str, more_than: int) -> None:
    """Delete a topic, make it, and write so many records to it."""
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        async with Describer(settings) as describer:
            (before,) = (await describer.topics([topic])).values()
            await admin.delete_topics([topic])
            for _ in range(1200):
                if topic not in await describer.topics([topic]):
                    break
                await asyncio.sleep(0.05)
            await admin.create_topics([NewTopic(topic, settings.partitions, 1)])
            after = before
            for _ in range(1200):
                after = (await describer.topics([topic])).get(topic, before)
                if after.id != before.id and min(after.leaders.values()) >= 0:
                    break
                await asyncio.sleep(0.05)
            assert after.id != before.id
    finally:
        await admin.close()
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for number in range(more_than):
            key = b"n%d" % number
            await producer.send_and_wait(topic, b"{}", key, partition=PARTITION)


def written(key: bytes) -> Effects:
    """Return what a chunk leads to that writes one entry."""
    return Effects(writes={key: b"x"})


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
