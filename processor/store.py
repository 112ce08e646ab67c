"""The state store: RocksDB, one database a partition, never ahead of the changelog.

A database is written only after the transaction that wrote the same entries to the changelog has
committed; entries and changelog position go in one batch. So a crash at any point leaves a store
that is a prefix of its changelog, and nothing to repair.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
)

from processor.domain.entries import POSITION, due_range, is_of_a_log
from processor.domain.fold import Position
from processor.recent import Recent
from schemas.topics import TICKS

_NEXT = b"\x00next"
_ORIGIN = b"\x00origin"

BLOCK_CACHE_BYTES = 128 * 1024 * 1024
WRITE_BUFFER_BYTES = 32 * 1024 * 1024

DELETIONS_WINDOW = 10_000
DELETIONS_TRIGGER = 5_000
"""A file with so many deletions in a row of so many entries is compacted soon: dues are deleted at
the front of their index, where each scan begins."""


class StoreError(RuntimeError):
    """A store cannot be used; the message says what to do."""


class PartitionStore:
    """The entries of one partition, and how far its changelog is in them."""

    def __init__(self, path: Path, options: Options) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._db = Rdict(str(path), options=options)
        self._recent = Recent()
        self._empty = (b"", b"")
        """From the first (inclusive) to the second key there is no entry: what scans found."""

    @property
    def next_offset(self) -> int:
        """The changelog offset from which (inclusive) entries are not yet in the store."""
        value = self._db.get(_NEXT)
        return 0 if value is None else int(value)

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries; None where there is none."""
        found = [self._recent.get(key) for key in keys]
        places = [place for place, value in enumerate(found) if value is None]
        if places:
            for place, value in zip(
                places, self._db.get([keys[place] for place in places]) or (), strict=True
            ):
                found[place] = value
                if value is not None and not is_of_a_log(keys[place]):
                    self._recent.put(keys[place], value)
        return found

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Return the keys in [first, last), in order, at most ``limit`` (1 or more).

        What is deleted at the front of a range stays in RocksDB for a while, and a scan walks over
        it: 0.3 s for a million deletions. So it is walked over once, and remembered as empty.
        """
        start, end = self._empty
        joins = start <= first < end
        options = ReadOptions()
        options.set_iterate_upper_bound(last)
        found: list[bytes] = []
        for key in self._db.keys(from_key=end if joins else first, read_opt=options):
            found.append(cast("bytes", key))
            if len(found) >= limit:
                break
        reached = found[0] if found else last
        self._empty = (start, max(end, reached)) if joins else (first, reached)
        return found

    def apply(self, entries: Mapping[bytes, bytes | None], next_offset: int) -> None:
        """Write entries (None deletes) and the changelog position in one batch."""
        batch = WriteBatch(raw_mode=True)
        for key, value in entries.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
                if self._empty[0] <= key < self._empty[1]:
                    self._empty = (self._empty[0], key)
        batch.put(_NEXT, b"%d" % next_offset)
        self._db.write(batch)
        for key, value in entries.items():
            if value is None:
                self._recent.drop(key)
            elif not is_of_a_log(key):
                self._recent.put(key, value)

    def is_due(self, now: datetime) -> bool:
        """Tell whether an entry of the due-index has come due."""
        return bool(self.scan(*due_range(now), 1))

    def position(self) -> Position:
        """Return how far the partition's inputs are folded into these entries."""
        raw = self._db.get(POSITION)
        return Position() if raw is None else msgspec.json.decode(raw, type=Position)

    def belongs_to(self, origin: str) -> None:
        """Bind the store to a cluster and application, or check that it is bound to this one.

        Raises:
            StoreError: it was filled from another changelog.
        """
        bound = self._db.get(_ORIGIN)
        if bound is None:
            self._db[_ORIGIN] = origin.encode()
        elif bound.decode() != origin:
            raise StoreError(
                f"{self.path} holds the state of {bound.decode()}, not of {origin}; "
                "use another MILESTREAM_DATA_DIR, or delete it: it is restored from the changelog"
            )

    def close(self) -> None:
        """Close the database; another process may open it then."""
        self._db.close()


class StateStore:
    """The stores of the partitions that this worker has. They share one cache.

    RocksDB's defaults cost gigabytes a partition; here it is 128 MiB of cache for all and at most
    three write buffers of 32 MiB for each.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cache = Cache(BLOCK_CACHE_BYTES)
        self._open: dict[int, PartitionStore] = {}

    def open(self, partition: int) -> PartitionStore:
        """Return a partition's store, opened if it is not.

        Raises:
            StoreError: another process has it open, or it is damaged.
        """
        store = self._open.get(partition)
        if store is None:
            path = self.directory / f"partition-{partition}"
            try:
                store = PartitionStore(path, self._options())
            except Exception as error:  # rocksdict raises plain Exception
                raise StoreError(f"cannot open {path}: {error}") from error
            self._open[partition] = store
        return store

    def renew(self, partition: int) -> PartitionStore:
        """Return a partition's store, empty again.

        Raises:
            StoreError: its files cannot be deleted.
        """
        store = self._open.pop(partition)
        store.close()
        try:
            shutil.rmtree(store.path)
        except OSError as error:
            raise StoreError(f"cannot delete {store.path}: {error}") from error
        return self.open(partition)

    def __getitem__(self, partition: int) -> PartitionStore:
        return self._open[partition]

    def is_due(self, partition: int, now: datetime, tick: int) -> bool:
        """Tell whether something of a partition is due, and the tick at an offset was folded: one
        that waits behind a backlog will do it."""
        store = self._open.get(partition)
        if store is None:
            return False
        return store.position().offsets.get(TICKS, 0) > tick and store.is_due(now)

    def items(self) -> Iterable[tuple[int, PartitionStore]]:
        """Iterate over the open stores by partition."""
        return list(self._open.items())

    def close_all_but(self, partitions: Iterable[int]) -> None:
        """Close the stores of the partitions that went to another worker."""
        for partition in set(self._open) - set(partitions):
            self._open.pop(partition).close()

    def _options(self) -> Options:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        options.set_max_write_buffer_number(3)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_keep_log_file_num(2)
        options.set_max_open_files(512)
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        # Most look-ups are for logs that were never seen: filters answer them without a read. They
        # stay in memory, 10 bits an entry, and the write buffer has one of its own: 2.9 µs a miss
        # without, 0.6 with.
        blocks.set_cache_index_and_filter_blocks(False)
        blocks.set_bloom_filter(10, False)
        options.set_memtable_prefix_bloom_ratio(0.1)
        options.set_memtable_whole_key_filtering(True)
        options.set_block_based_table_factory(blocks)
        options.add_compact_on_deletion_collector_factory(DELETIONS_WINDOW, DELETIONS_TRIGGER, 0)
        return options
