"""Reading a partition's store for the fold: what cannot be read is no record's fault."""

from collections.abc import Sequence

from processor.store import PartitionStore, StoreError


class Reading:
    """A store's reads, whose failures are the disk's and no record's."""

    def __init__(self, store: PartitionStore) -> None:
        self._store = store

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries."""
        try:
            return self._store.load(keys)
        except MemoryError:
            raise
        except Exception as error:  # rocksdict raises plain Exception
            raise StoreError(f"{self._store.path} cannot be read: {error}") from error

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Find keys."""
        try:
            return self._store.scan(first, last, limit)
        except MemoryError:
            raise
        except Exception as error:
            raise StoreError(f"{self._store.path} cannot be read: {error}") from error
