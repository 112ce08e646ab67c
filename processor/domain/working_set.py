"""The entries that a chunk works on: decoded once, changed in memory, encoded once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import cast

import msgspec

from processor.domain.aggregates.tier import Earning
from processor.domain.effects import TooMuch
from processor.domain.state_kinds import (
    MEMBER,
    PARKED,
    DueMarker,
    E,
    StateKind,
    due_key,
    kind_of,
    member_key,
    member_of,
)
from schemas.topics import MAX_VALUE_BYTES


class Unreadable(RuntimeError):
    """The partition's store cannot be read, which is the fault of no record."""


Load = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Reads entries of the partition's store, in the order of the keys; None where there is none.
Raises Unreadable where it cannot."""

Scan = Callable[[bytes, bytes, int], Sequence[bytes]]
"""Returns the keys of the partition's store in [first, last), in order, at most so many. Raises as
``Load`` does."""

NOBODYS_FAULT = (Unreadable, MemoryError)
"""Whatever else folding raises would be raised whenever the same is folded again: it is pure."""

_ENCODER = msgspec.json.Encoder()

Entry = msgspec.Struct

UNREAD = b"unread"
"""Stands for an entry that nobody asked for; told from others by identity."""

ENTRY_BYTES = 300
ITEM_BYTES = 60
"""What an entry, and one of many items in it, takes on the changelog, about."""
WIDE = 500
"""An entry with more items than this is measured; with fewer it is small. Names have 256
characters, of at most six bytes each in JSON."""

PREFETCHED_KEYS = 256
"""Entries that are read at once. One may have a MiB, an answer that was given."""
PREFETCHED_BYTES = 8 * 1024 * 1024
"""Bytes of entries after which no more are read before they are asked for."""


FIRST_PAGE, LAST_PAGE = 4, 256
"""Keys that are read at once where they are read in order."""


class WorkingSet:
    """A view of the store in which a chunk's own changes are seen at once."""

    def __init__(self, load: Load, scan: Scan) -> None:
        self.load = load
        self._scan = scan
        self.entries: dict[bytes, Entry | bytes | None] = {}
        """What was read, as JSON until it is first asked for; None where the store has nothing."""
        self.changed: dict[bytes, Entry | bytes | None] = {}
        """What is to be written; JSON where it was made as such."""
        self.before: list[tuple[bytes, Entry | bytes | None, Entry | bytes | None]] = []
        """Each entry that was set since ``begin``: what it was before, and what its change was."""
        self._families: dict[bytes, set[bytes]] = {}
        """The keys that were changed, by what comes before their own part; for ``ordered``."""
        self.made_known: list[str] = []
        """The members that were not known before ``begin``, and are now."""

        self.earned: list[Earning] = []
        """What the member was granted since ``begin``: tiers are judged by that."""

        self._clock_dues: dict[bytes, bytes] = {}
        """The members that go by their project's own clock, as ``go_by_clock`` was told: what the
        keys of their dues begin with, by the 16 bytes of their ids."""

        self.read = 0
        """Bytes of the entries that were read, which are all kept."""

        self._wide = 0
        """About how many bytes the items of changed entries take, beyond ``ENTRY_BYTES`` each."""

    @property
    def weight(self) -> int:
        """About how many bytes the changed entries take."""
        return self._wide + len(self.changed) * ENTRY_BYTES

    def widen(self, items: int) -> None:
        """Count the items of an entry that is to be written and may have many."""
        self._wide += items * ITEM_BYTES

    def weigh(self, size: int) -> None:
        """Count bytes that an entry takes beside what every entry does."""
        self._wide += size

    def begin(self) -> None:
        """Remember where the next input begins."""
        self.before.clear()
        self.made_known.clear()
        self.earned.clear()

    def touched(self) -> set[bytes]:
        """Return the keys of what was set since ``begin``."""
        return {key for key, _, _ in self.before}

    def at_begin(self, kind: StateKind[E], key: bytes) -> E | None:
        """Return the entry of a kind as it was at ``begin``."""
        for changed, before, _ in self.before:
            if changed == key:
                entry = self.load([key])[0] if before is UNREAD else before
                return kind.decode(entry) if isinstance(entry, bytes) else cast("E | None", entry)
        return self.get(kind, key)

    def undo(self) -> None:
        """Make all entries what they were at ``begin``."""
        for key, entry, changed in reversed(self.before):
            for entries, value in ((self.entries, entry), (self.changed, changed)):
                if value is UNREAD:
                    entries.pop(key, None)
                else:
                    entries[key] = value
        self.before.clear()
        self.made_known.clear()
        self.earned.clear()

    def prefetch(self, keys: Iterable[bytes]) -> None:
        """Read many entries in few calls; those that were read are left as they are by now.

        What does not fit any more is read when it is asked for.
        """
        wanted = [key for key in dict.fromkeys(keys) if key not in self.entries]
        for begin in range(0, len(wanted), PREFETCHED_KEYS):
            if self.read > PREFETCHED_BYTES:
                return
            keys = wanted[begin : begin + PREFETCHED_KEYS]
            found = self.load(keys)
            self.read += sum(map(len, filter(None, found)))
            self.entries.update(zip(keys, found, strict=True))

    def get(self, kind: StateKind[E], key: bytes) -> E | None:
        """Return the entry of a kind with this key; None where there is none."""
        entry = self.entries.get(key, UNREAD)
        if entry.__class__ is bytes:
            if entry is UNREAD:
                (entry,) = self.load([key])
                self.read += len(entry or b"")
            if entry is not None:
                entry = kind.decode(entry)
            self.entries[key] = entry
        return entry  # type: ignore[return-value]  # a key's first byte is its kind

    def set(self, kind: StateKind[E], key: bytes, entry: E) -> None:
        """Change an entry of a kind.

        Raises:
            TooMuch: the changelog does not take it.
        """
        if kind is MEMBER and self.get(kind, key) is None:
            self.made_known.append(member_of(key)[0])
        items = 0 if kind.items is None else kind.items(entry)
        extra = 0 if kind.extra_bytes is None else kind.extra_bytes(entry)
        if extra > MAX_VALUE_BYTES or (
            items > WIDE and len(_ENCODER.encode(entry)) > MAX_VALUE_BYTES
        ):
            raise TooMuch(f"what is kept of it is larger than {MAX_VALUE_BYTES} bytes")
        if items and key not in self.changed:
            self.widen(items)
        if extra:
            self.weigh(extra)
        self.change(key, entry)

    def drop(self, key: bytes) -> None:
        """Delete an entry."""
        self.change(key, None)

    def go_by_clock(self, member_id: str, index: bytes) -> None:
        """Have a member's dues wait in a due-index of its project's own clock; ``index`` is what
        its keys begin with."""
        self._clock_dues[member_key(member_id)[1:]] = index

    def add_due(self, at: datetime, entry: bytes) -> None:
        """Have a tick look at an entry at a moment."""
        self.change(self._due_key(at, entry), DueMarker())

    def drop_due(self, at: datetime, entry: bytes) -> None:
        """Take an entry out of the due-index."""
        self.change(self._due_key(at, entry), None)

    def _due_key(self, at: datetime, entry: bytes) -> bytes:
        """Return the key of a due. What waits for a member that nobody knows yet waits for its
        sender, so it always goes by time itself."""
        if not self._clock_dues or kind_of(entry) == PARKED.prefix:
            return due_key(at, entry)
        index = self._clock_dues.get(entry[1:17])
        return due_key(at, entry) if index is None else due_key(at, entry, index)

    def keys(self, first: bytes, last: bytes, limit: int) -> list[bytes]:
        """Return the first keys in [first, last), in order, at most ``limit``; all have the kind
        that ``first`` begins with."""
        kind = kind_of(first)
        changed = {key: entry for key, entry in self.changed.items() if key.startswith(kind)}
        found = set(self._scan(first, last, limit + len(changed)))
        for key, entry in changed.items():
            if entry is None:
                found.discard(key)
            elif first <= key < last:
                found.add(key)
        return sorted(found)[:limit]

    def is_still_due(self, key: bytes) -> bool:
        """Tell whether a key that was found there is still in the due-index."""
        return self.changed.get(key, key) is not None

    def set_in(self, family: bytes, key: bytes, entry: Entry | bytes | None) -> None:
        """Change, or delete, a small entry, or its JSON, that ``ordered`` is to find under its
        family."""
        self._families.setdefault(family, set()).add(key)
        self.change(key, entry)

    def ordered(self, family: bytes, first: bytes, last: bytes) -> Iterator[bytes]:
        """Iterate over the keys of a family in [first, last), in order.

        Few are read at once, more and more as they are asked for. What has been passed may be
        changed meanwhile.
        """
        changed = sorted(key for key in self._families.get(family, ()) if first <= key < last)
        page = FIRST_PAGE
        while True:
            found = self._scan(first, last, page)
            bound = last if len(found) < page else found[-1] + b"\0"
            new = [key for key in changed if first <= key < bound and self.changed.get(key)]
            for key in sorted({*found, *new}):
                if self.changed.get(key, UNREAD) is not None:
                    yield key
            if bound == last:
                return
            first, page = bound, min(4 * page, LAST_PAGE)

    def changes(self) -> dict[bytes, bytes | None]:
        """Return every entry that was set, as its last value's JSON; None where it was deleted."""
        encode = _ENCODER.encode
        return {
            key: entry if entry is None or entry.__class__ is bytes else encode(entry)
            for key, entry in self.changed.items()
        }

    def change(self, key: bytes, entry: Entry | bytes | None) -> None:
        """Write an entry that is known to be small enough, or its JSON; None deletes it."""
        before = key, self.entries.get(key, UNREAD), self.changed.get(key, UNREAD)
        self.before.append(before)
        self.entries[key] = entry
        self.changed[key] = entry
