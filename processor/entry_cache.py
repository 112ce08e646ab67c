"""The entries that a partition's last chunks worked on, kept in memory.

Reading an entry from RocksDB costs 5 µs, and most records are of members that were just there. Two
generations of a dict make a bounded cache without book-keeping on each read: what is asked for
again moves to the young one, and the old one is dropped when the young one is full.
"""

ENTRY_BYTES = 200
"""What an entry takes besides the bytes of its key and value: two objects and a place in a dict."""
GENERATION_BYTES = 16 * 1024 * 1024


class EntryCache:
    """A cache of entries, bounded in bytes. It is only ever told what the store was told."""

    def __init__(self, generation_bytes: int = GENERATION_BYTES) -> None:
        self.size = generation_bytes
        """Bytes a generation."""
        self._young: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return an entry; None says nothing about the store."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Remember what the store has under a key."""
        young = self._young
        before = young.get(key)
        young[key] = value
        if before is None:
            self._young_bytes += len(key) + len(value) + ENTRY_BYTES
        else:
            self._young_bytes += len(value) - len(before)
        if self._young_bytes >= self.size:
            self._old, self._young, self._young_bytes = young, {}, 0

    def drop(self, key: bytes) -> None:
        """Forget a key that the store no longer has."""
        before = self._young.pop(key, None)
        if before is not None:
            self._young_bytes -= len(key) + len(before) + ENTRY_BYTES
        self._old.pop(key, None)
