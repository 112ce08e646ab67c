"""Reading a partition's store and keys for the fold: what cannot be read is no record's fault."""

import sqlite3
from collections.abc import Sequence

from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.store import PartitionStore, StoreError
from schemas import sealing
from schemas.kafka.member_keys import KeysUnreadable, PartitionKeys
from schemas.records import Profile


class KeysUnread(StoreError):
    """A member's keys cannot be read, or one that a record needs is damaged."""


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


class KeysOnDisk:
    """The keys of a partition's members, for the fold."""

    def __init__(self, keys: PartitionKeys) -> None:
        self._keys = keys

    def opened(self, member_id: str, sealed: str, first: int = 0) -> Profile | None:
        """Return a member's sealed fields; None where they cannot be opened.

        Raises:
            KeysUnread: nobody knows whether they can be.
        """
        try:
            return self._keys.opened(member_id, sealed, first)
        except (sqlite3.Error, KeysUnreadable) as error:
            raise KeysUnread(f"the keys of members cannot be read: {error}") from error


def keys_on_disk(keys: PartitionKeys | None) -> MemberKeys:
    """Return the keys of a partition, which may have none, for the fold."""
    return NO_KEYS if keys is None else KeysOnDisk(keys)


class DryRunKeys:
    """What opens the fields of dry runs: the master key, and no key of a member."""

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key

    def opened(
        self,
        member_id: str,
        sealed: str,
        first: int = 0,  # noqa: ARG002
    ) -> Profile | None:
        """Return a member's sealed fields; None where they cannot be opened."""
        if sealing.key_id_of(sealed) != sealing.DRY_RUN_KEY:
            return None
        key = sealing.dry_run_key(self._master_key, member_id)
        return sealing.opened(member_id, sealed, key)
