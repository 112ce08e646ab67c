"""The store's ranges: what a scan finds, whatever was written and deleted before it."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processor.store import PartitionStore, StateStore, StoreError


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    return StateStore(tmp_path).open(0)


def test_a_scan_finds_a_range_in_order_and_no_more_than_wanted(store: PartitionStore) -> None:
    store.apply(dict.fromkeys((b"t3", b"t1", b"s", b"u", b"t2"), b""), 1)
    assert store.scan(b"t", b"u", 10) == [b"t1", b"t2", b"t3"]
    assert store.scan(b"t", b"u", 2) == [b"t1", b"t2"]
    assert store.scan(b"t2", b"t3", 10) == [b"t2"]
    assert store.scan(b"v", b"w", 10) == []


def test_a_deleted_entry_is_gone(store: PartitionStore) -> None:
    store.apply({b"t1": b"x", b"t2": b"y"}, 1)
    assert store.load([b"t1"]) == [b"x"]
    store.apply({b"t1": None}, 2)
    assert store.load([b"t1", b"t2"]) == [None, b"y"]
    assert store.scan(b"t", b"u", 10) == [b"t2"]


def test_what_is_written_into_a_range_that_was_empty_is_found(store: PartitionStore) -> None:
    store.apply({b"t5": b""}, 1)
    assert store.scan(b"t", b"t9", 10) == [b"t5"]
    store.apply({b"t5": None}, 2)
    assert store.scan(b"t", b"t9", 10) == []
    store.apply({b"t3": b"", b"t7": b"", b"t1": b""}, 3)
    assert store.scan(b"t2", b"t9", 10) == [b"t3", b"t7"]
    assert store.scan(b"t", b"t9", 10) == [b"t1", b"t3", b"t7"]


def test_a_scan_elsewhere_does_not_forget_that_the_front_of_the_due_index_is_empty(
    store: PartitionStore,
) -> None:
    store.apply({b"t5": b"", b"c1": b"", b"c2": b""}, 1)
    assert store.scan(b"t", b"t9", 1) == [b"t5"]
    empty = store._empty
    assert store.scan(b"c", b"d", 1) == [b"c1"]
    store.apply({b"c1": None, b"c0": b""}, 2)
    assert store.scan(b"c", b"d", 9) == [b"c0", b"c2"]
    assert store._empty == empty == (b"t", b"t5")


def test_scans_say_what_a_plain_set_says(store: PartitionStore) -> None:
    rng = random.Random(3)
    keys: set[bytes] = set()
    for turn in range(2_000):
        key = b"t%03d" % rng.randrange(300)
        if rng.random() < 0.5:
            keys.add(key)
            store.apply({key: b""}, turn)
        else:
            keys.discard(key)
            store.apply({key: None}, turn)
        first, last = sorted(b"t%03d" % rng.randrange(300) for _ in range(2))
        if rng.random() < 0.5:
            first = b"t"
        limit = rng.randrange(1, 20)
        expected = sorted(key for key in keys if first <= key < last)[:limit]
        assert store.scan(first, last, limit) == expected


def test_a_renewed_store_is_empty(tmp_path: Path) -> None:
    stores = StateStore(tmp_path)
    stores.open(3).apply({b"t1": b""}, 5)
    renewed = stores.renew(3)
    assert (renewed.next_offset, renewed.scan(b"", b"z", 10)) == (0, [])
    assert stores[3] is renewed


_WRITES_UNTIL_IT_DIES = """
import os, sys
from pathlib import Path
from processor.store import StateStore
store = StateStore(Path(sys.argv[1])).open(0)
for number in range(int(sys.argv[2])):
    value = b"%d " % number + os.urandom(1000)
    store.apply({b"l%06d" % number: value, b"m1": value, b"l%06d" % (number - 9): None}, number + 1)
os._exit(9)
"""


def test_a_store_of_a_killed_process_is_a_prefix_of_what_it_was_given(tmp_path: Path) -> None:
    writes = 80_000  # of two kilobytes: five times what a write buffer holds
    command = [sys.executable, "-c", _WRITES_UNTIL_IT_DIES, str(tmp_path), str(writes)]
    assert subprocess.run(command, check=False).returncode == 9
    store = StateStore(tmp_path).open(0)
    reached = store.next_offset
    assert 0 < reached < writes
    assert store.scan(b"l", b"m", writes) == [b"l%06d" % n for n in range(reached - 9, reached)]
    (newest,) = store.load([b"m1"])
    assert newest is not None
    assert newest.startswith(b"%d " % (reached - 1))


def test_what_was_written_is_there_after_a_clean_end(tmp_path: Path) -> None:
    stores = StateStore(tmp_path)
    stores.open(0).apply({b"l1": b"x"}, 7)
    stores.close_all_but(())
    again = StateStore(tmp_path).open(0)
    assert (again.next_offset, again.load([b"l1"])) == (7, [b"x"])


def test_what_waited_long_enough_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.store.FLUSH_SECONDS", 0)
    store = StateStore(tmp_path / "running").open(0)
    store.apply({b"l1": b"x"}, 1)
    store.flush()
    shutil.copytree(tmp_path / "running", tmp_path / "killed")
    again = StateStore(tmp_path / "killed").open(0)
    assert (again.next_offset, again.load([b"l1"])) == (1, [b"x"])


def _a_store_in_files(directory: Path) -> Path:
    """Make a store, and return its one file of entries."""
    stores = StateStore(directory)
    store = stores.open(0)
    store.apply({b"m%04d" % number: b"%04d" % number * 50 for number in range(1000)}, 9)
    store.flush()
    stores.close_all_but(())
    (entries,) = (directory / "partition-0").glob("*.sst")
    return entries


@pytest.mark.parametrize("damage", ["cut", "gone", "noise in CURRENT"])
def test_a_store_that_is_damaged_is_opened_empty_to_be_restored(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    entries = _a_store_in_files(tmp_path)
    if damage == "cut":
        entries.write_bytes(entries.read_bytes()[:1000])
    elif damage == "gone":
        entries.unlink()
    else:
        entries.with_name("CURRENT").write_bytes(b"noise")
    store = StateStore(tmp_path).open(0)
    assert (store.next_offset, store.load([b"m0001"])) == (0, [None])
    assert "is damaged" in caplog.text


def test_damage_that_a_read_finds_ends_the_worker_and_the_next_start_restores(
    tmp_path: Path,
) -> None:
    entries = _a_store_in_files(tmp_path)
    found = bytearray(entries.read_bytes())
    found[100:2000] = bytes(1900)
    entries.write_bytes(found)
    stores = StateStore(tmp_path)
    store = stores.open(0)
    with pytest.raises(StoreError, match=r"partition-0 is damaged.*next start"):
        store.load([b"m%04d" % number for number in range(1000)])
    stores.close_all_but(())
    assert StateStore(tmp_path).open(0).next_offset == 0


def test_a_store_that_another_has_open_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    _a_store_in_files(tmp_path)
    having = StateStore(tmp_path).open(0)
    with pytest.raises(StoreError, match="cannot open"):
        StateStore(tmp_path).open(0)
    assert having.load([b"m0001"]) == [b"0001" * 50]


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    """Limits of a process stand in for the disk's: RocksDB hears the same of both."""
    done = subprocess.run(
        [sys.executable, "-c", _WRITES_MORE_THAN_FITS, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "cannot be used: IO error: " in done.stdout, done.stderr
    stores = StateStore(tmp_path)
    assert stores.open(0).next_offset in {0, 1}


_WRITES_MORE_THAN_FITS = """
import os, resource, signal, sys
from pathlib import Path
from processor.store import StateStore, StoreError
store = StateStore(Path(sys.argv[1])).open(0)
store.apply({b"m1": b"x"}, 1)
store.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    for number in range(9):
        store.apply({b"l%d" % number: os.urandom(1_000_000)}, 2 + number)
        store.flush()
except StoreError as error:
    print(error)
    sys.stdout.flush()
os._exit(0)
"""
