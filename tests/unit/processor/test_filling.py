"""Filling a store with many entries at once is applying them, only quicker."""

import random
import subprocess
import sys
from pathlib import Path

from processor.store import PartitionStore, StateStore

Entries = dict[bytes, bytes | None]


def some(rng: random.Random) -> Entries:
    """Return entries of which some are deletions."""
    chosen = [b"%s%03d" % (rng.choice((b"l", b"m", b"t")), rng.randrange(400)) for _ in range(300)]
    return {key: None if rng.random() < 0.3 else rng.randbytes(9) for key in chosen}


def content(store: PartitionStore) -> tuple[int, dict[bytes, bytes]]:
    """Return the position, and every entry."""
    keys = store.scan(b"a", b"z", 10_000)
    found = zip(keys, store.load(keys), strict=True)
    return store.next_offset, {key: value for key, value in found if value is not None}


def test_filling_and_applying_in_any_order_is_what_a_dict_does(tmp_path: Path) -> None:
    rng = random.Random(7)
    stores = StateStore(tmp_path)
    expected: dict[bytes, bytes] = {}
    for turn in range(1, 40):
        store = stores.open(0)
        entries = some(rng)
        (store.fill if rng.random() < 0.5 else store.apply)(entries, turn * 1000)
        expected |= {key: value for key, value in entries.items() if value is not None}
        for key in [key for key, value in entries.items() if value is None]:
            expected.pop(key, None)
        assert content(store) == (turn * 1000, expected)
        if rng.random() < 0.2:
            stores.close_all_but(())
            assert content(stores.open(0)) == (turn * 1000, expected)


def test_what_was_in_memory_is_not_what_is_read_after_filling(tmp_path: Path) -> None:
    store = StateStore(tmp_path).open(0)
    store.apply({b"m1": b"old", b"t1": b""}, 1)
    assert store.load([b"m1"]) == [b"old"]
    assert store.scan(b"t2", b"t9", 10) == []
    store.fill({b"m1": b"new", b"t3": b""}, 2)
    assert store.load([b"m1"]) == [b"new"]
    assert store.scan(b"t2", b"t9", 10) == [b"t3"]


_APPLIES_FILLS_AND_DIES = """
import os, sys
from pathlib import Path
from processor.store import StateStore
store = StateStore(Path(sys.argv[1])).open(0)
store.apply({b"m1": b"applied", b"m2": b"applied"}, 1)
store.fill({b"m2": b"filled", b"m3": b"filled"}, 2)
os._exit(9)
"""


def test_a_crash_leaves_no_hole_before_what_was_filled(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _APPLIES_FILLS_AND_DIES, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    expected = {b"m1": b"applied", b"m2": b"filled", b"m3": b"filled"}
    assert content(StateStore(tmp_path).open(0)) == (2, expected)


def test_a_file_that_a_crash_left_half_written_is_in_nobodys_way(tmp_path: Path) -> None:
    stores = StateStore(tmp_path)
    store = stores.open(0)
    (tmp_path / "partition-0.filling").write_bytes(b"half a file")
    store.fill({b"m1": b"x"}, 5)
    assert content(store) == (5, {b"m1": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["partition-0"]
