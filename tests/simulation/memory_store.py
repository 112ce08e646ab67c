"""The state store in memory, with what RocksDB promises: whole batches, of which a kill loses the
newest that were not written out."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from processor.domain.fold import Position
from processor.domain.state_kinds import POSITION, due_range
from processor.store import StateStore, StoreError

LOST = (0, 0, 1, 2, 5, 100)
"""How many of the newest batches a kill may lose."""


@dataclass
class Saved:
    """What is on the disk of one partition, and how to undo what is not yet written out."""

    entries: dict[bytes, bytes] = field(default_factory=dict)
    next_offset: int = 0
    as_of: float | None = None
    origin: str | None = None
    undo: list[tuple[dict[bytes, bytes | None], int, float | None]] = field(default_factory=list)

    def lose(self, batches: int) -> None:
        """Forget the newest batches, as a kill does."""
        for _ in range(min(batches, len(self.undo))):
            before, self.next_offset, self.as_of = self.undo.pop()
            for key, value in before.items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value
        self.undo.clear()


class MemoryJournal:
    """Notes of what was begun to be folded: no schedule lets a process die in the fold itself."""

    def __init__(self, *_: Any) -> None:
        """Forget what was noted before."""

    def last(self) -> None:
        """Nothing was noted."""

    def write(self, _: Any) -> None:
        """Note nothing."""

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryStore:
    """What `processor.store.PartitionStore` is, over a dict."""

    def __init__(self, partition: int, saved: Saved, is_dead: Any) -> None:
        self.path = Path(f"partition-{partition}")
        self._saved = saved
        self._is_dead = is_dead

    @property
    def next_offset(self) -> int:
        """The changelog offset from which entries are not yet in the store."""
        return self._saved.next_offset

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries."""
        return [self._saved.entries.get(key) for key in keys]

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Return the keys in [first, last), in order."""
        return sorted(key for key in self._saved.entries if first <= key < last)[:limit]

    @property
    def as_of(self) -> float | None:
        """The moment after which all was written that is not in the store."""
        return self._saved.as_of

    def apply(
        self,
        entries: Mapping[bytes, bytes | None],
        next_offset: int,
        *,
        as_of: float | None = None,
    ) -> None:
        """Write entries, the changelog position and its moment."""
        assert not self._is_dead(), "a process that was killed writes nothing"
        saved = self._saved
        if next_offset < saved.next_offset:
            raise StoreError(f"{self.path} would go back to {next_offset}")
        before = {key: saved.entries.get(key) for key in entries}
        saved.undo.append((before, saved.next_offset, saved.as_of))
        for key, value in entries.items():
            if value is None:
                saved.entries.pop(key, None)
            else:
                saved.entries[key] = value
        saved.next_offset = next_offset
        saved.as_of = time.time() if as_of is None else as_of

    fill = apply

    def is_due(self, now: Any) -> bool:
        """Tell whether an entry of the due-index has come due."""
        return bool(self.scan(*due_range(now), 1))

    def position(self) -> Position:
        """Return how far the partition's inputs are folded into these entries."""
        raw = self._saved.entries.get(POSITION)
        return Position() if raw is None else msgspec.json.decode(raw, type=Position)

    def belongs_to(self, origin: str) -> None:
        """Bind the store, or check that it is bound to this origin."""
        if self._saved.origin is None:
            self._saved.origin = origin
        elif self._saved.origin != origin:
            raise StoreError(f"{self.path} holds the state of {self._saved.origin}")

    def remember(self, entries: int) -> None:
        """Nothing: all is in memory."""

    has_erased = False
    """There are no files."""

    def flush(self, *, wait: bool = True) -> None:  # noqa: ARG002
        """Write out what a kill would lose."""
        self._saved.undo.clear()

    def close(self) -> None:
        """Write out what is not."""
        self.flush()


class MemoryStores(StateStore):
    """The stores of one worker over what its disk has, which outlives it."""

    def __init__(self, disk: dict[int, Saved], is_dead: Any) -> None:
        self.directory = Path("state")
        self._disk = disk
        self._is_dead = is_dead
        self._open: dict[int, Any] = {}

    def open(self, partition: int) -> Any:
        """Return a partition's store, opened if it is not."""
        if partition not in self._open:
            saved = self._disk.setdefault(partition, Saved())
            self._open[partition] = MemoryStore(partition, saved, self._is_dead)
        return self._open[partition]

    def renew(self, partition: int) -> Any:
        """Return a partition's store, empty again."""
        del self._open[partition]
        self._disk[partition] = Saved()
        return self.open(partition)

    def close_all_but(self, partitions: Iterable[int]) -> None:
        """Close the stores of the partitions that went to another worker."""
        for partition in set(self._open) - set(partitions):
            self._open.pop(partition).close()
