"""The entries that a chunk works on: decoded once, changed in memory, encoded once."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from processor.domain.challenge import Progress
from processor.domain.entries import member_key, reward_key
from processor.domain.logged import Logged
from processor.domain.member import Member
from processor.domain.reward import Reward

Load = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Reads entries of the partition's store, in the order of the keys; None where there is none."""

Scan = Callable[[bytes, bytes, int], Sequence[bytes]]
"""Returns the keys of the partition's store in [first, last), in order, at most so many."""

_MEMBER = msgspec.json.Decoder(Member)
_PROGRESS = msgspec.json.Decoder(Progress)
_LOGGED = msgspec.json.Decoder(Logged)
_REWARD = msgspec.json.Decoder(Reward)
_ENCODER = msgspec.json.Encoder()

_UNREAD = b"unread"

E = TypeVar("E", bound=msgspec.Struct)


class WorkingSet:
    """A view of the store in which a chunk's own changes are seen at once."""

    def __init__(self, load: Load, scan: Scan) -> None:
        self._load = load
        self._scan = scan
        self._entries: dict[bytes, msgspec.Struct | bytes | None] = {}
        """What was read, as JSON until it is first asked for; None where the store has nothing."""
        self._changed: dict[bytes, msgspec.Struct] = {}

    def prefetch(self, keys: Iterable[bytes]) -> None:
        """Read many entries in one call."""
        wanted = list(dict.fromkeys(keys))
        self._entries.update(zip(wanted, self._load(wanted), strict=True))

    def member(self, member_id: str) -> Member | None:
        """Return a member, None where it is not known here."""
        return self._get(member_key(member_id), _MEMBER)

    def set_member(self, member_id: str, member: Member) -> None:
        """Change a member."""
        self._set(member_key(member_id), member)

    def progress(self, key: bytes) -> Progress | None:
        """Return the progress with this ``entries.progress_key``."""
        return self._get(key, _PROGRESS)

    def set_progress(self, key: bytes, progress: Progress) -> None:
        """Change a progress."""
        self._set(key, progress)

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

    def changes(self) -> dict[bytes, bytes | None]:
        """Return every entry that was set, as its last value's JSON."""
        encode = _ENCODER.encode
        return {key: encode(entry) for key, entry in self._changed.items()}

    def _get(self, key: bytes, decoder: msgspec.json.Decoder[E]) -> E | None:
        entry = self._entries.get(key, _UNREAD)
        if entry is _UNREAD:
            entry = self._load([key])[0]
        if entry.__class__ is bytes:
            entry = decoder.decode(entry)
        self._entries[key] = entry
        return entry  # type: ignore[return-value]  # a key's first byte is its type

    def _set(self, key: bytes, entry: msgspec.Struct) -> None:
        self._entries[key] = entry
        self._changed[key] = entry
