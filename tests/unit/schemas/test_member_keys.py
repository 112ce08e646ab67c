"""The keys of members that a process knows: kept, found and removed; unusable ones stop it."""

import secrets
from base64 import b64encode
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from schemas import sealing
from schemas.kafka.member_keys import KeysUnreadable, MemberKeysReader, PartitionKeys, database
from schemas.records import OwnedBy
from schemas.sealing import MemberKey
from schemas.settings import Settings

MASTER = bytes(range(32))
ANN, BOB = str(UUID(int=1)), str(UUID(int=2))


def row(member_id: str, key: MemberKey) -> tuple[str, str, bytes]:
    return member_id, key.id, sealing.wrapped(MASTER, member_id, key)


def test_keys_are_found_by_member_and_removed_one_by_one() -> None:
    keys = PartitionKeys(database(), 0, MASTER)
    a, b = sorted((sealing.new_key(), sealing.new_key()))
    keys.apply([row(ANN, b), row(ANN, a), row(BOB, b), row(ANN, b)])
    assert keys.key_ids(ANN) == [a.id, b.id]
    assert keys.key(ANN) == a
    keys.apply([(ANN, a.id, None), (ANN, "unknown", None)])
    assert keys.key(ANN) == b
    keys.apply([(ANN, b.id, None)])
    assert keys.key(ANN) is None
    assert keys.key_ids(ANN) == []
    assert keys.key(BOB) == b


def test_partitions_are_kept_apart() -> None:
    shared = database()
    here, there = PartitionKeys(shared, 0, MASTER), PartitionKeys(shared, 1, MASTER)
    key = sealing.new_key()
    here.apply([row(ANN, key)])
    there.apply([row(BOB, key)])
    here.drop()
    assert here.key(ANN) is None
    assert there.key(BOB) == key


class Topic:
    """What a reader reads, in place of its consumer."""

    def __init__(self, master_key: bytes | None = MASTER) -> None:
        self.reader = MemberKeysReader(Settings(master_key=master_key))

    def apply(self, *records: tuple[bytes | None, bytes | None]) -> None:
        """Apply records of partition 0."""
        found = [
            SimpleNamespace(key=key, value=value, partition=0, offset=n)
            for n, (key, value) in enumerate(records)
        ]
        keys = self.reader.of(0)
        assert keys is not None
        keys.apply(list(self.reader._rows(found)))


def record(member_id: str, key: MemberKey, master: bytes = MASTER) -> tuple[bytes, bytes]:
    place = sealing.key_place(member_id, key.id)
    return place, sealing.wrapped(master, member_id, key)


def test_records_that_are_no_keys_are_passed_over_and_counted() -> None:
    topic, key = Topic(), sealing.new_key()
    topic.apply((None, b"x"), (b"ann/1", b"x"), (f"{ANN}/x".encode(), b"{}"), record(ANN, key))
    assert topic.reader.refused == 3
    assert topic.reader.of(0).key(ANN) == key  # type: ignore[union-attr]
    topic.apply((sealing.key_place(ANN, key.id), None))
    assert topic.reader.of(0).key(ANN) is None  # type: ignore[union-attr]


def test_keys_that_are_all_under_another_master_key_stop_who_reads_them() -> None:
    topic = Topic()
    topic.apply(record(ANN, sealing.new_key(), secrets.token_bytes(32)))
    with pytest.raises(KeysUnreadable, match="MILESTREAM_MASTER_KEY is not the one"):
        topic.reader.require_opened()


@pytest.mark.parametrize(
    "value",
    [
        b'{"key":""}',
        msgspec.json.encode({"key": b64encode(bytes(60)).decode()}),
        sealing.wrapped(secrets.token_bytes(32), ANN, MemberKey("bad", bytes(32))),
    ],
    ids=["empty", "damaged", "of another master key"],
)
def test_a_damaged_key_stops_only_who_needs_it(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    topic, good = Topic(), sealing.new_key()
    place = sealing.key_place(ANN, "bad")
    topic.apply(record(BOB, good), (place, value), record(ANN, good))
    topic.reader.require_opened()
    assert "partition 0, offset 1: the key does not open" in caplog.text
    keys = topic.reader.of(0)
    assert keys is not None
    assert keys.key(ANN) == keys.key(BOB) == good
    owner = OwnedBy(external_id="ann", first_name="Ann")
    opens = sealing.sealed(ANN, owner, good)
    shut = sealing.sealed(ANN, owner, MemberKey("bad", bytes(32)))
    assert opens is not None
    assert shut is not None
    assert keys.opened(ANN, opens) is not None
    with pytest.raises(KeysUnreadable, match="the key bad of member"):
        keys.opened(ANN, shut)
    topic.apply((place, None))
    assert keys.opened(ANN, shut) is None


def test_one_damaged_key_that_is_removed_again_stops_nobody() -> None:
    topic, place = Topic(), sealing.key_place(ANN, "bad")
    topic.apply((place, b'{"key":""}'), (place, None))
    topic.reader.require_opened()


def test_keys_that_were_written_behind_a_forgetting_stay() -> None:
    topic = Topic()
    old, new = MemberKey("b", bytes(32)), MemberKey("a", bytes(32))
    topic.apply(record(ANN, old), record(ANN, new))
    assert topic.reader.places_of(0, ANN, 1) == [sealing.key_place(ANN, "b")]
    assert len(topic.reader.places_of(0, ANN)) == 2


async def test_keys_without_a_master_key_stop_who_reads_them() -> None:
    reader: Any = MemberKeysReader(Settings())
    await reader.catch_up({0: 0})  # nothing is there, and nothing is asked
    with pytest.raises(KeysUnreadable, match="MILESTREAM_MASTER_KEY must be set"):
        await reader.catch_up({0: 1})


def test_what_is_removed_is_not_used_before_it_is_read_again() -> None:
    topic, key = Topic(), sealing.new_key()
    topic.apply(record(ANN, key))
    assert topic.reader.places_of(0, BOB) == []
    topic.reader.remove(0, topic.reader.places_of(0, ANN))
    assert topic.reader.of(0).key(ANN) is None  # type: ignore[union-attr]
