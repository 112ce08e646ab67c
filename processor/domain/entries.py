"""The keys of the state store.

One store a partition holds entries of several kinds, told apart by a key's first byte. Each entry
is one record of the changelog. Ids are UUIDs and go in as their 16 bytes.
"""

from functools import lru_cache

from schemas.ids import uuid_bytes

POSITION = b"o"
"""The one entry about the partition itself: how far its inputs were folded."""


@lru_cache(maxsize=65536)
def member_key(member_id: str) -> bytes:
    """Return the key of a member."""
    return b"m" + uuid_bytes(member_id)


@lru_cache(maxsize=65536)
def progress_key(member_id: str, challenge_id: str, period_key: str) -> bytes:
    """Return the key of a member's progress in one period of a challenge."""
    return b"p" + member_key(member_id)[1:] + _challenge(challenge_id) + period_key.encode()


def log_key(challenge_log_id: str) -> bytes:
    """Return the key of a challenge log: the id is made of challenge, member and identifier, so a
    duplicate has the same. One small entry a log: what was seen of a busy member grows without end
    and must not weigh on each of its records."""
    return b"l" + uuid_bytes(challenge_log_id)


def is_of_a_log(key: bytes) -> bool:
    """Tell whether a key is a challenge log's: such an entry is hardly ever read again."""
    return key.startswith(b"l")


def reward_key(reward_log_id: str) -> bytes:
    """Return the key of a reward log."""
    return b"r" + uuid_bytes(reward_log_id)


_challenge = lru_cache(maxsize=4096)(uuid_bytes)
