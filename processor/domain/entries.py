"""The keys of the state store.

One store a partition holds entries of several kinds, told apart by a key's first byte. Each entry
is one record of the changelog. Ids are UUIDs and go in as their 16 bytes.
"""

from datetime import datetime
from functools import lru_cache

from schemas.ids import uuid_bytes, uuid_text
from schemas.instants import from_millis, millis_of

DUE = b"t"

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


def answer_key(event_log_id: str) -> bytes:
    """Return the key of the first answer to an event with an idempotency key."""
    return b"e" + uuid_bytes(event_log_id)


def redemption_key(points_entry_id: str) -> bytes:
    """Return the key of the first answer to a redemption."""
    return b"q" + uuid_bytes(points_entry_id)


def activity_log_key(activity_log_id: str) -> bytes:
    """Return the key of an activity log that was seen."""
    return b"a" + uuid_bytes(activity_log_id)


def enrolment_key(member_id: str, pathway_id: str) -> bytes:
    """Return the key of a member in a pathway."""
    return b"w" + member_key(member_id)[1:] + pathway_id.encode()


def activity_key(member_id: str, pathway_id: str, activity_id: str) -> bytes:
    """Return the key of what a member did at an activity of a pathway."""
    return b"v" + member_key(member_id)[1:] + f"{pathway_id}/{activity_id}".encode()


def parked_key(member_id: str) -> bytes:
    """Return the key of what waits for a member that is not known yet."""
    return b"k" + member_key(member_id)[1:]


def held_key(member_id: str, sequence: int) -> bytes:
    """Return the key of one record that waits, by the place of its input in line."""
    return b"h" + member_key(member_id)[1:] + sequence.to_bytes(8, "big")


def is_of_a_log(key: bytes) -> bool:
    """Tell whether a key is a log's, or a due's: such an entry is hardly ever read again."""
    return key.startswith((b"l", b"a", b"e", b"q", b"h", DUE))


def used_key(member_id: str, event_id: str, period_key: str) -> bytes:
    """Return the key of how much of an event's limit a member used in a period."""
    return b"n" + member_key(member_id)[1:] + f"{period_key}/{event_id}".encode()


@lru_cache(maxsize=65536)
def balances_key(member_id: str) -> bytes:
    """Return the key of a member's points."""
    return b"b" + member_key(member_id)[1:]


@lru_cache(maxsize=65536)
def streak_key(member_id: str, streak_id: str) -> bytes:
    """Return the key of a member's streak."""
    return b"s" + member_key(member_id)[1:] + streak_id.encode()


def due_key(at: datetime, entry: bytes) -> bytes:
    """Return the key under which an entry waits in the due-index: sorted by the moment."""
    return DUE + millis_of(at).to_bytes(8, "big") + entry


def due_entry(key: bytes) -> tuple[datetime, bytes]:
    """Return the moment and the entry's key of a key of the due-index."""
    return from_millis(int.from_bytes(key[1:9], "big")), key[9:]


def due_range(until: datetime) -> tuple[bytes, bytes]:
    """Return the range, first inclusive and last exclusive, of what is due at ``until``."""
    return DUE, DUE + (millis_of(until) + 1).to_bytes(8, "big")


def member_of(entry: bytes) -> tuple[str, bytes]:
    """Return the member's id in the key of one of its entries, and what follows it there."""
    return uuid_text(entry[1:17]), entry[17:]


def reward_key(reward_log_id: str) -> bytes:
    """Return the key of a reward log."""
    return b"r" + uuid_bytes(reward_log_id)


_challenge = lru_cache(maxsize=4096)(uuid_bytes)
