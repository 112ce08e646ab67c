"""Which key a process seals a member's fields under, and when it makes one."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import KafkaError

from api.http.problems import Problem
from api.kafka.sealer import Sealer
from schemas import sealing
from schemas.kafka.member_keys import PartitionKeys
from schemas.records import Owner
from schemas.settings import Settings

MASTER = bytes(range(32))
ANN, BOB = str(UUID(int=1)), str(UUID(int=2))


class Topic:
    """A topic of keys, on which records lie that the process comes to read later."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []
        self.refuses = False
        producer: Any = SimpleNamespace(send_and_wait=self.send)
        self.sealer = Sealer(Settings(master_key=MASTER, partitions=1), producer)

    async def send(self, _: str, value: bytes, *, key: bytes, partition: int) -> Any:
        """Write a record."""
        await asyncio.sleep(0)
        if self.refuses:
            raise KafkaError
        assert partition == 0
        self.records.append((key, value))
        return SimpleNamespace(offset=len(self.records) - 1)

    def remove(self, member_id: str, key_id: str) -> None:
        """Write a tombstone."""
        self.records.append((sealing.key_place(member_id, key_id), None))

    def read(self) -> None:
        """Have the process read all that is there."""
        keys = self.keys()
        for key, value in self.records[self.sealer._reader.reached(0) :]:
            place = sealing.split_key_place(key)
            assert place is not None
            keys.apply([(*place, value, self.records.index((key, value)))])
        self.sealer._reader._reached[0] = len(self.records)

    def keys(self) -> PartitionKeys:
        found = self.sealer._reader.of(0)
        assert found is not None
        return found

    async def seal(self, member_id: str = ANN, *, dry_run: bool = False) -> str:
        """Seal fields of a member; return the id of the key."""
        owner = Owner(external_id="ann", first_name="Ann", city="Ulm")
        await self.sealer.seal(member_id, owner, dry_run=dry_run)
        assert owner.sealed is not None
        assert not sealing.has_fields(owner)
        return sealing.key_id_of(owner.sealed)


async def test_a_member_has_one_key_before_and_after_it_is_read() -> None:
    topic = Topic()
    made = await topic.seal()
    assert await topic.seal() == made
    topic.read()
    assert await topic.seal() == made
    assert len(topic.records) == 1
    assert await topic.seal(BOB) != made


async def test_writes_at_once_wait_for_one_key() -> None:
    topic = Topic()
    assert len(set(await asyncio.gather(*(topic.seal() for _ in range(20))))) == 1
    assert len(topic.records) == 1


async def test_what_another_process_made_is_used() -> None:
    topic, key = Topic(), sealing.new_key()
    topic.records.append((sealing.key_place(ANN, key.id), sealing.wrapped(MASTER, ANN, key)))
    topic.read()
    assert await topic.seal() == key.id


async def test_a_key_that_was_removed_is_used_no_more() -> None:
    topic = Topic()
    first = await topic.seal()
    topic.remove(ANN, first)
    topic.read()  # both at once: it was never in the index
    second = await topic.seal()
    assert second != first
    topic.read()
    topic.remove(ANN, second)
    topic.read()
    assert await topic.seal() not in (first, second)


async def test_from_a_forgetting_on_keys_are_used_that_it_leaves() -> None:
    topic = Topic()
    unread = await topic.seal()
    topic.sealer._use_from(ANN, len(topic.records))
    second = await topic.seal()
    assert second != unread
    topic.read()  # both are there: the worker has not folded the command
    assert await topic.seal() == second
    topic.sealer._use_from(ANN, len(topic.records))
    third = await topic.seal()
    assert third not in (unread, second)
    topic.remove(ANN, unread)
    topic.remove(ANN, second)
    topic.read()
    assert await topic.seal() == third


async def test_a_key_that_is_being_made_while_its_member_is_forgotten_is_used_no_more() -> None:
    topic = Topic()
    making = asyncio.create_task(topic.seal())
    await asyncio.sleep(0)
    topic.sealer._use_from(ANN, 1)
    first = await making
    assert await topic.seal() != first


async def test_a_refused_forgetting_changes_no_key() -> None:
    topic = Topic()
    first = await topic.seal()
    topic.sealer._use_from(ANN, len(topic.records))
    topic.sealer.kept(ANN)
    assert await topic.seal() == first


async def test_keys_that_were_read_are_kept_in_memory_no_more() -> None:
    topic = Topic()
    for number in range(50):
        await topic.seal(str(UUID(int=number)))
        topic.read()
    assert len(topic.sealer._made) <= 1


async def test_without_a_key_nothing_is_sealed() -> None:
    topic = Topic()
    topic.refuses = True
    with pytest.raises(Problem) as refused:
        await topic.seal()
    assert refused.value.status == 503
    topic.refuses = False
    await topic.seal()
    assert len(topic.records) == 1


async def test_a_dry_run_makes_no_key_and_uses_none() -> None:
    topic = Topic()
    assert await topic.seal(dry_run=True) == sealing.DRY_RUN_KEY
    await topic.seal()
    assert await topic.seal(dry_run=True) == sealing.DRY_RUN_KEY
    assert len(topic.records) == 1


async def test_members_without_fields_are_left_as_they_are() -> None:
    topic, owner = Topic(), Owner(external_id="ann")
    await topic.sealer.seal(ANN, owner)
    assert owner == Owner(external_id="ann")
    assert topic.records == []
