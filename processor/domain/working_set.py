"""The entries that a chunk works on: decoded once, changed in memory, encoded once."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from processor.domain.challenge import Progress
from processor.domain.effects import TooMuch
from processor.domain.entries import (
    DUE,
    balances_key,
    due_key,
    due_range,
    member_key,
    parked_key,
    reward_key,
)
from processor.domain.event import Answered, Used
from processor.domain.logged import Logged
from processor.domain.member import Member
from processor.domain.pathway import Enrolment, Seen, Worked
from processor.domain.points import Balances
from processor.domain.reward import Reward
from processor.domain.streak import State
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

_MEMBER = msgspec.json.Decoder(Member)
_PROGRESS = msgspec.json.Decoder(Progress)
_LOGGED = msgspec.json.Decoder(Logged)
_REWARD = msgspec.json.Decoder(Reward)
_ANSWERED = msgspec.json.Decoder(Answered)
_USED = msgspec.json.Decoder(Used)
_BALANCES = msgspec.json.Decoder(Balances)
_STREAK = msgspec.json.Decoder(State)
_SEEN = msgspec.json.Decoder(Seen)
_ENROLMENT = msgspec.json.Decoder(Enrolment)
_WORKED = msgspec.json.Decoder(Worked)
_ENCODER = msgspec.json.Encoder()

Entry = msgspec.Struct

_UNREAD = b"unread"

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

E = TypeVar("E", bound=msgspec.Struct)


class DueEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of the due-index: its key says everything."""


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record that waits for its member, as it came (``inputs.Input``); ``field`` names it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    forwarded: bool
    field: str

    @property
    def size(self) -> int:
        """Its bytes: key, value and headers."""
        texts = [self.key, self.value, *(value for _, value in self.headers)]
        return sum(len(text or b"") for text in texts) + sum(len(name) for name, _ in self.headers)


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the records that wait; ``until`` in milliseconds, None until a tick has seen it."""

    sequence: int
    size: int
    until: int | None = None


class Parked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What waits for a member, in order; ``due`` is when a tick looks at it, in milliseconds."""

    waiting: tuple[Waiting, ...] = ()
    due: int | None = None


_HELD = msgspec.json.Decoder(Held)
_PARKED = msgspec.json.Decoder(Parked)


class WorkingSet:
    """A view of the store in which a chunk's own changes are seen at once."""

    def __init__(self, load: Load, scan: Scan) -> None:
        self.load = load
        self._scan = scan
        self.entries: dict[bytes, Entry | bytes | None] = {}
        """What was read, as JSON until it is first asked for; None where the store has nothing."""
        self.changed: dict[bytes, Entry | bytes | None] = {}
        """What is to be written; JSON where it was made as such."""
        self._before: dict[bytes, tuple[Entry | bytes | None, Entry | bytes | None]] = {}
        """What an entry that was set since ``begin`` was before, and whether it was changed."""
        self.made_known: list[str] = []
        """The members that were not known before ``begin``, and are now."""

        self.read = 0
        """Bytes of the entries that were read, which are all kept."""

        self._wide = 0
        """Bytes of what large entries have many of."""

    @property
    def weight(self) -> int:
        """About how many bytes the changed entries take."""
        return self._wide + len(self.changed) * ENTRY_BYTES

    def widen(self, items: int) -> None:
        """Count the items of an entry that is to be written and may have many."""
        self._wide += items * ITEM_BYTES

    def begin(self) -> None:
        """Remember where the next input begins."""
        self._before.clear()
        self.made_known.clear()

    def undo(self) -> None:
        """Make all entries what they were at ``begin``."""
        for key, (entry, changed) in self._before.items():
            for entries, value in ((self.entries, entry), (self.changed, changed)):
                if value is _UNREAD:
                    entries.pop(key, None)
                else:
                    entries[key] = value
        self._before.clear()
        self.made_known.clear()

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
            self.read += sum([len(entry) for entry in found if entry])
            self.entries.update(zip(keys, found, strict=True))

    def member(self, member_id: str) -> Member | None:
        """Return a member, None where it is not known here."""
        return self._get(member_key(member_id), _MEMBER)

    def set_member(self, member_id: str, member: Member) -> None:
        """Change a member."""
        if self.member(member_id) is None:
            self.made_known.append(member_id)
        self._set(member_key(member_id), member)

    def progress(self, key: bytes) -> Progress | None:
        """Return the progress with this ``entries.progress_key``."""
        return self._get(key, _PROGRESS)

    def set_progress(self, key: bytes, progress: Progress) -> None:
        """Change a progress."""
        self._set(key, progress, len(progress.reached))

    def logged(self, key: bytes) -> Logged | None:
        """Return what was answered to the challenge log with this ``entries.log_key``."""
        return self._get(key, _LOGGED)

    def set_logged(self, key: bytes, logged: Logged) -> None:
        """Remember a challenge log."""
        self._set(key, logged)

    def reward(self, reward_log_id: str) -> Reward | None:
        """Return a reward log."""
        return self._get(reward_key(reward_log_id), _REWARD)

    def set_reward(self, reward_log_id: str, reward: Reward) -> None:
        """Change a reward log."""
        self._set(reward_key(reward_log_id), reward)

    def answered(self, key: bytes) -> Answered | None:
        """Return the first answer with this ``entries.answer_key``."""
        return self._get(key, _ANSWERED)

    def set_answered(self, key: bytes, answered: Answered) -> None:
        """Remember the first answer to an idempotency key."""
        self._set(key, answered)
        self._wide += memoryview(answered.body).nbytes

    def used(self, key: bytes) -> Used:
        """Return what was used of the limit with this ``entries.used_key``."""
        return self._get(key, _USED) or Used()

    def set_used(self, key: bytes, used: Used) -> None:
        """Change what was used of a limit."""
        self._set(key, used)

    def balances(self, member_id: str) -> Balances:
        """Return a member's points."""
        return self._get(balances_key(member_id), _BALANCES) or Balances()

    def set_balances(self, member_id: str, balances: Balances) -> None:
        """Change a member's points."""
        self._set(balances_key(member_id), balances, len(balances.groups))

    def streak(self, key: bytes) -> State | None:
        """Return the streak with this ``entries.streak_key``."""
        return self._get(key, _STREAK)

    def set_streak(self, key: bytes, streak: State) -> None:
        """Change a streak."""
        self._set(key, streak)

    def seen(self, key: bytes) -> Seen | None:
        """Return whether the activity log with this ``entries.activity_log_key`` was seen."""
        return self._get(key, _SEEN)

    def set_seen(self, key: bytes, seen: Seen) -> None:
        """Remember an activity log."""
        self._set(key, seen)

    def enrolment(self, key: bytes) -> Enrolment | None:
        """Return the member in a pathway with this ``entries.enrolment_key``."""
        return self._get(key, _ENROLMENT)

    def set_enrolment(self, key: bytes, enrolment: Enrolment) -> None:
        """Change a member in a pathway."""
        self._set(key, enrolment, len(enrolment.completed) + len(enrolment.given))

    def worked(self, key: bytes) -> Worked | None:
        """Return what was done at the activity with this ``entries.activity_key``."""
        return self._get(key, _WORKED)

    def set_worked(self, key: bytes, worked: Worked) -> None:
        """Change what was done at an activity."""
        self._set(key, worked)

    def parked(self, member_id: str) -> Parked:
        """Return what waits for a member that is not known yet."""
        return self._get(parked_key(member_id), _PARKED) or Parked()

    def set_parked(self, member_id: str, parked: Parked) -> None:
        """Change what waits for a member."""
        self._set(parked_key(member_id), parked, len(parked.waiting))

    def held(self, key: bytes) -> Held | None:
        """Return the record that waits with this ``entries.held_key``."""
        return self._get(key, _HELD)

    def set_held(self, key: bytes, held: Held) -> None:
        """Keep a record."""
        self._set(key, held)
        self._wide += held.size

    def drop(self, key: bytes) -> None:
        """Delete an entry."""
        self._set(key, None)

    def add_due(self, at: datetime, entry: bytes) -> None:
        """Have a tick look at an entry at a moment."""
        self._set(due_key(at, entry), DueEntry())

    def drop_due(self, at: datetime, entry: bytes) -> None:
        """Take an entry out of the due-index."""
        self._set(due_key(at, entry), None)

    def dues(self, until: datetime, limit: int) -> list[bytes]:
        """Return the first keys of what is due by ``until``, at most ``limit``, in order."""
        first, last = due_range(until)
        changed = {key: entry for key, entry in self.changed.items() if key.startswith(DUE)}
        found = set(self._scan(first, last, limit + len(changed)))
        for key, entry in changed.items():
            if entry is None:
                found.discard(key)
            elif first <= key < last:
                found.add(key)
        return sorted(found)[:limit]

    def changes(self) -> dict[bytes, bytes | None]:
        """Return every entry that was set, as its last value's JSON; None where it was deleted."""
        encode = _ENCODER.encode
        return {
            key: entry if entry is None or entry.__class__ is bytes else encode(entry)
            for key, entry in self.changed.items()
        }

    def _get(self, key: bytes, decoder: msgspec.json.Decoder[E]) -> E | None:
        entry = self.entries.get(key, _UNREAD)
        if entry is _UNREAD:
            (entry,) = self.load([key])
            self.read += len(entry or b"")
        if entry.__class__ is bytes:
            entry = decoder.decode(entry)
        self.entries[key] = entry
        return entry  # type: ignore[return-value]  # a key's first byte is its type

    def _set(self, key: bytes, entry: Entry | None, items: int = 0) -> None:
        """Set or delete an entry; ``items`` is how many it has, where they may become many.

        Raises:
            TooMuch: the changelog does not take it.
        """
        if items > WIDE and len(_ENCODER.encode(entry)) > MAX_VALUE_BYTES:
            raise TooMuch(f"what is kept of it is larger than {MAX_VALUE_BYTES} bytes")
        if items and key not in self.changed:
            self.widen(items)
        if key not in self._before:
            self._before[key] = self.entries.get(key, _UNREAD), self.changed.get(key, _UNREAD)
        self.entries[key] = entry
        self.changed[key] = entry
