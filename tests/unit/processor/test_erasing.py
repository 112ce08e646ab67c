"""What was forgotten is out of the stores' files, also where a kill came between."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rocksdict import DBCompressionType, Options
from typing_extensions import override

from processor import erasing
from processor.domain.aggregates.member import FORGOTTEN, Member
from processor.domain.state_kinds import member_key
from processor.erasing import Erasing, forgotten_in
from processor.store import PartitionStore, StateStore, StoreError, erased
from schemas import ids
from schemas.instants import parse_instant

AT = parse_instant("2026-11-21T12:00:00Z")
SECRET = b"ann.lee@example.org"


def key_of(name: str) -> bytes:
    return member_key(ids.member_id("default", name))


def entry_of(name: str, status: str = "live", **fields: Any) -> bytes:
    return msgspec.json.encode(Member("default", name, AT, AT, 1, status, **fields))


class Plain(StateStore):
    """A store whose files can be searched."""

    @override
    def _options(self) -> Options:
        options = super()._options()
        options.set_compression_type(DBCompressionType.none())
        options.set_bottommost_compression_type(DBCompressionType.none())
        return options


def found_in(directory: Path, text: bytes) -> bool:
    return any(text in file.read_bytes() for file in directory.rglob("*") if file.is_file())


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    """A store that has Ann at its bottom, and others above her."""
    store = Plain(tmp_path).open(0)
    store.apply({key_of("ann"): entry_of("ann", email=SECRET.decode())}, 1)
    store._db.compact_range(None, None)
    store.apply({key_of(f"other-{n}"): entry_of(f"other-{n}") for n in range(100)}, 2)
    store.flush()
    assert found_in(tmp_path, SECRET)
    return store


def forget(store: PartitionStore, name: str = "ann") -> None:
    store.apply({key_of(name): entry_of(name, FORGOTTEN), **erased([key_of(name)])}, 3)


def test_a_new_value_alone_leaves_the_old_one_in_a_file(
    store: PartitionStore, tmp_path: Path
) -> None:
    store.apply({key_of("ann"): entry_of("ann", FORGOTTEN)}, 3)
    assert not store.has_erased
    assert not store.rewrite_erased()
    store.flush()
    assert found_in(tmp_path, SECRET)


def test_what_was_erased_is_in_no_file(store: PartitionStore, tmp_path: Path) -> None:
    forget(store)
    assert store.has_erased
    assert store.rewrite_erased()
    assert not found_in(tmp_path, SECRET)
    assert store.load([key_of("ann"), key_of("other-7")]) == [
        entry_of("ann", FORGOTTEN),
        entry_of("other-7"),
    ]
    assert (store.has_erased, store.rewrite_erased(), store.next_offset) == (False, False, 3)


def test_many_are_erased_at_once(store: PartitionStore, tmp_path: Path) -> None:
    for name in ("ann", *(f"other-{n}" for n in range(50))):
        forget(store, name)
    assert store.rewrite_erased()
    assert not found_in(tmp_path, SECRET)


def test_the_next_process_goes_on_where_one_was_killed(
    store: PartitionStore, tmp_path: Path
) -> None:
    forget(store)
    store.close()
    assert not store.rewrite_erased()  # it is another's by now
    assert found_in(tmp_path, SECRET)
    again = Plain(tmp_path).open(0)
    assert again.has_erased
    assert again.rewrite_erased()
    assert not found_in(tmp_path, SECRET)


def test_who_is_forgotten_is_seen_in_what_a_changelog_brings() -> None:
    entries: dict[bytes, bytes | None] = {
        key_of("ann"): entry_of("ann", FORGOTTEN),
        key_of("ben"): entry_of("ben"),
        key_of("eve"): entry_of("eve", first_name=FORGOTTEN),
        key_of("joe"): None,
        b"p" + key_of("ann")[1:]: b'["forgotten"]',
    }
    assert forgotten_in(entries) == [key_of("ann")]


async def test_one_store_is_rewritten_by_one_thread_until_nothing_is_left(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(erasing, "PAUSE_SECONDS", 0)
    failures: list[BaseException] = []
    rewriting = Erasing(failures.append)
    forget(store)
    rewriting.soon(store)
    rewriting.soon(store)
    (task,) = rewriting._running.values()
    async with asyncio.timeout(60):
        await task
    assert not rewriting._running
    assert not failures
    assert not found_in(tmp_path, SECRET)


async def test_a_store_that_cannot_be_rewritten_stops_the_worker(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise StoreError("no space left")

    failures: list[BaseException] = []
    monkeypatch.setattr(store, "rewrite_erased", fail)
    rewriting = Erasing(failures.append)
    rewriting.soon(store)
    (task,) = rewriting._running.values()
    async with asyncio.timeout(60):
        await task
    assert [str(failure) for failure in failures] == ["no space left"]
