"""The kinds of entries in the state store, and their keys.

One store a partition holds entries of several kinds, told apart by a key's first byte. Each entry
is one record of the changelog. Ids are UUIDs and go in as their 16 bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from processor.domain.aggregates.activity_history import History, Recent
from processor.domain.aggregates.challenge import Apart, Progress, RecordedLog
from processor.domain.aggregates.clock import Clock, Move, OnClock
from processor.domain.aggregates.correction import Corrected
from processor.domain.aggregates.event import Answered, LimitUsage, LoggedEvent
from processor.domain.aggregates.hold import Hold
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.parked import Held, Parked
from processor.domain.aggregates.pathway import ActivityState, Enrolment, SeenMarker
from processor.domain.aggregates.points import Balances, Granted, Moved, Redeemed, Unearned
from processor.domain.aggregates.reward import Reward
from processor.domain.aggregates.streak import Hits as StreakHits
from processor.domain.aggregates.streak import State as Streak
from processor.domain.aggregates.tier import State as Tier
from processor.domain.aggregates.void import Voided
from processor.domain.aggregates.wallet import Earned, Lot, Place
from schemas.ids import uuid_bytes, uuid_text
from schemas.instants import from_millis, millis_of

E = TypeVar("E", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, eq=False)
class StateKind(Generic[E]):
    """One kind of entry: the first byte of its keys, and the struct that its JSON has."""

    prefix: bytes
    struct: type[E]
    once: bool = False
    """Whether each log has an entry of its own, which is hardly ever read again."""
    items: Callable[[E], int] | None = None
    """How many items an entry has, where they may become many."""
    extra_bytes: Callable[[E], int] | None = None
    """How many bytes an entry takes besides, where they may be many: about, and at least as many
    as its JSON where that may be more than the changelog takes."""
    decode: Callable[[bytes], E] = field(init=False)
    """Returns the entry of its JSON."""

    def __post_init__(self) -> None:
        """Make the decoder."""
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.struct).decode)


_ENCODER = msgspec.json.Encoder()


def json_bytes(entry: msgspec.Struct) -> int:
    """Return the bytes of an entry's JSON; for what is written once and may be large."""
    return len(_ENCODER.encode(entry))


POSITION = b"o"
"""The one entry about the partition itself: how far its inputs were folded."""


class DueMarker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of the due-index: its key says everything."""


MEMBER = StateKind(b"m", Member)
PROGRESS = StateKind(b"p", Progress, items=lambda progress: len(progress.reached))
APART = StateKind(b"A", Apart)
LOG = StateKind(b"l", RecordedLog, once=True)
REWARD = StateKind(b"r", Reward)
ANSWER = StateKind(b"e", LoggedEvent, once=True, extra_bytes=json_bytes)
REDEMPTION = StateKind(b"q", Redeemed, once=True, extra_bytes=json_bytes)
GRANTED = StateKind(b"g", Granted, once=True)
LIMIT = StateKind(b"n", LimitUsage)
BALANCES = StateKind(b"b", Balances, items=lambda balances: len(balances.groups))
UNEARNED = StateKind(b"U", Unearned, items=lambda unearned: len(unearned.groups))
LOT = StateKind(b"c", Lot)
EARNED = StateKind(b"u", Earned)
NOTICE = StateKind(b"i", DueMarker)
"""No entry is of this kind: under its prefix the notices of a lot are due."""
MOVED = StateKind(b"x", Moved, once=True)
HOLD = StateKind(b"d", Hold)
STREAK = StateKind(b"s", Streak)
STREAK_HITS = StateKind(b"S", StreakHits)
TIER = StateKind(b"y", Tier, items=lambda tier: len(tier.days))
ASSIGNMENT = StateKind(b"z", Answered, once=True)
VOIDED = StateKind(b"f", Voided, once=True)
VOID = StateKind(b"j", Answered, once=True, extra_bytes=json_bytes)
CORRECTION = StateKind(b"K", Corrected, once=True)
ACTIVITY_LOG = StateKind(b"a", SeenMarker, once=True)
ENROLMENT = StateKind(
    b"w", Enrolment, items=lambda enrolment: len(enrolment.completed) + len(enrolment.given)
)
ACTIVITY = StateKind(b"v", ActivityState)
ACTIVITY_RECENT = StateKind(b"R", Recent, extra_bytes=lambda recent: recent.size)
ACTIVITY_HISTORY = StateKind(b"H", History, extra_bytes=lambda history: history.size)
PARKED = StateKind(b"k", Parked, items=lambda parked: len(parked.waiting))
HELD = StateKind(b"h", Held, once=True, extra_bytes=lambda held: held.size)
DUE = StateKind(b"t", DueMarker, once=True)
CLOCK = StateKind(b"C", Clock)
MOVE = StateKind(b"M", Move)
ON_CLOCK = StateKind(b"O", OnClock)
CLOCK_DUE = StateKind(b"T", DueMarker, once=True)


def by_prefix(*kinds: StateKind[Any]) -> Mapping[bytes, StateKind[Any]]:
    """Return kinds by their prefix.

    Raises:
        ValueError: two have the same one, or that of the position: their keys could be the same.
    """
    found: dict[bytes, StateKind[Any]] = {}
    for kind in kinds:
        if kind.prefix in found or kind.prefix == POSITION[:1] or len(kind.prefix) != 1:
            raise ValueError(f"{kind.struct.__name__} has no prefix of its own: {kind.prefix!r}")
        found[kind.prefix] = kind
    return found


STATE_KINDS = by_prefix(
    MEMBER,
    PROGRESS,
    APART,
    LOG,
    REWARD,
    ANSWER,
    REDEMPTION,
    GRANTED,
    LIMIT,
    BALANCES,
    UNEARNED,
    LOT,
    EARNED,
    NOTICE,
    MOVED,
    HOLD,
    STREAK,
    STREAK_HITS,
    TIER,
    ASSIGNMENT,
    VOIDED,
    VOID,
    CORRECTION,
    ACTIVITY_LOG,
    ENROLMENT,
    ACTIVITY,
    ACTIVITY_RECENT,
    ACTIVITY_HISTORY,
    PARKED,
    HELD,
    DUE,
    CLOCK,
    MOVE,
    ON_CLOCK,
    CLOCK_DUE,
)
"""Every kind by its prefix."""

_ONCE = tuple(kind.prefix for kind in STATE_KINDS.values() if kind.once)


def kind_of(key: bytes) -> bytes:
    """Return the prefix of a key's kind."""
    return key[:1]


def is_of_a_log(key: bytes) -> bool:
    """Tell whether a key is a log's, or a due's: such an entry is hardly ever read again."""
    return key.startswith(_ONCE)


@lru_cache(maxsize=65536)
def member_key(member_id: str) -> bytes:
    """Return the key of a member."""
    return MEMBER.prefix + uuid_bytes(member_id)


@lru_cache(maxsize=65536)
def progress_key(member_id: str, challenge_id: str, period_key: str) -> bytes:
    """Return the key of a member's progress in one period of a challenge."""
    return (
        PROGRESS.prefix
        + member_key(member_id)[1:]
        + challenge_bytes(challenge_id)
        + period_key.encode()
    )


def apart_key(progress: bytes) -> bytes:
    """Return the key of what is kept apart of a progress, by the progress' key."""
    return APART.prefix + progress[1:]


def log_key(challenge_log_id: str) -> bytes:
    """Return the key of a challenge log: the id is made of challenge, member and identifier, so a
    duplicate has the same. One small entry a log: what was seen of a busy member grows without end
    and must not weigh on each of its records."""
    return LOG.prefix + uuid_bytes(challenge_log_id)


def answer_key(event_log_id: str) -> bytes:
    """Return the key of an event with an idempotency key."""
    return ANSWER.prefix + uuid_bytes(event_log_id)


def redemption_key(points_entry_id: str) -> bytes:
    """Return the key of the first answer to a redemption."""
    return REDEMPTION.prefix + uuid_bytes(points_entry_id)


def granted_key(points_entry_id: str) -> bytes:
    """Return the key of what a source gave, by the id of its first entry of earned points."""
    return GRANTED.prefix + uuid_bytes(points_entry_id)


def activity_log_key(activity_log_id: str) -> bytes:
    """Return the key of an activity log that was seen."""
    return ACTIVITY_LOG.prefix + uuid_bytes(activity_log_id)


def enrolment_key(member_id: str, pathway_id: str) -> bytes:
    """Return the key of a member in a pathway."""
    return ENROLMENT.prefix + member_key(member_id)[1:] + pathway_id.encode()


def activity_key(member_id: str, pathway_id: str, activity_id: str) -> bytes:
    """Return the key of what a member did at an activity of a pathway."""
    return ACTIVITY.prefix + member_key(member_id)[1:] + f"{pathway_id}/{activity_id}".encode()


def activity_recent_key(activity: bytes) -> bytes:
    """Return the key of the last logs at an activity, by the key of its state."""
    return ACTIVITY_RECENT.prefix + activity[1:]


def activity_history_key(activity: bytes) -> bytes:
    """Return the key of the logs before those, by the key of the activity's state."""
    return ACTIVITY_HISTORY.prefix + activity[1:]


def parked_key(member_id: str) -> bytes:
    """Return the key of what waits for a member that is not known yet."""
    return PARKED.prefix + member_key(member_id)[1:]


def held_key(member_id: str, sequence: int) -> bytes:
    """Return the key of one record that waits, by the place of its input in line."""
    return HELD.prefix + member_key(member_id)[1:] + sequence.to_bytes(8, "big")


def used_key(member_id: str, event_id: str, period_key: str) -> bytes:
    """Return the key of how much of an event's limit a member used in a period."""
    return LIMIT.prefix + member_key(member_id)[1:] + f"{period_key}/{event_id}".encode()


def slot_of(key: bytes) -> str:
    """Return what names a slot of an event's limit, in the key of how much of it was used."""
    return key[17:].decode()


def slot_key(member_id: str, slot: str) -> bytes:
    """Return the key of how much was used of the limit that a slot is of."""
    return LIMIT.prefix + member_key(member_id)[1:] + slot.encode()


@lru_cache(maxsize=65536)
def balances_key(member_id: str) -> bytes:
    """Return the key of a member's points."""
    return BALANCES.prefix + member_key(member_id)[1:]


def unearned_key(member_id: str) -> bytes:
    """Return the key of how far a member's points are not what it earned."""
    return UNEARNED.prefix + member_key(member_id)[1:]


def lots_family(member_id: str, group: str) -> bytes:
    """Return what the keys of a member's lots in a group begin with. No group has U+0000."""
    return LOT.prefix + member_key(member_id)[1:] + group.encode() + b"\0"


_NO_DAY = 0xFFFFFFFF
_ACTIVE, _PENDING = b"a", b"p"


def lot_key(family: bytes, place: Place) -> bytes:
    """Return the key of a lot: those that count come first, the one that lapses first foremost."""
    expires = (_NO_DAY if place.expires is None else place.expires).to_bytes(4, "big")
    if place.activates is None:
        return family + _ACTIVE + expires
    return family + _PENDING + place.activates.to_bytes(4, "big") + expires


def active_lots(family: bytes) -> tuple[bytes, bytes]:
    """Return the range, first inclusive and last exclusive, of the lots that count."""
    return family + _ACTIVE, family + _PENDING


def all_lots(family: bytes) -> tuple[bytes, bytes]:
    """Return the range, first inclusive and last exclusive, of all lots."""
    return family + _ACTIVE, family + _PENDING + b"\xff" * 9


def lot_place(rest: bytes) -> tuple[str, Place]:
    """Return the group and the days in what follows the member's id in a lot's key."""
    group, _, days = rest.partition(b"\0")
    return group.decode(), lot_days(days)


def lot_days(days: bytes) -> Place:
    """Return the days in what follows the family in a lot's key."""
    expires: int | None = int.from_bytes(days[-4:], "big")
    expires = None if expires == _NO_DAY else expires
    activates = int.from_bytes(days[1:5], "big") if days.startswith(_PENDING) else None
    return Place(activates, expires)


def earned_key(member_id: str, group: str, period_key: str) -> bytes:
    """Return the key of what a period gave a member in a group."""
    return EARNED.prefix + member_key(member_id)[1:] + f"{period_key}/{group}".encode()


def notice_due(lot: bytes) -> bytes:
    """Return what is due where a lot's next notice is, by the lot's key."""
    return NOTICE.prefix + lot[1:]


def lot_of_notice(due: bytes) -> bytes:
    """Return the key of the lot whose notice is due."""
    return LOT.prefix + due[1:]


def moved_key(points_entry_id: str) -> bytes:
    """Return the key of the first answer to a command that moves points."""
    return MOVED.prefix + uuid_bytes(points_entry_id)


def hold_key(member_id: str, hold_id: str) -> bytes:
    """Return the key of a member's hold."""
    return HOLD.prefix + member_key(member_id)[1:] + uuid_bytes(hold_id)


@lru_cache(maxsize=65536)
def streak_key(member_id: str, streak_id: str) -> bytes:
    """Return the key of a member's streak."""
    return STREAK.prefix + member_key(member_id)[1:] + streak_id.encode()


@lru_cache(maxsize=65536)
def streak_hits_family(member_id: str, streak_id: str) -> bytes:
    """Return what the keys of how many events hit a streak's periods begin with."""
    return STREAK_HITS.prefix + streak_key(member_id, streak_id)[1:] + b"\0"


def streak_hits_key(family: bytes, period_key: str) -> bytes:
    """Return the key of how many events hit a period; keys of a family rise with time."""
    return family + period_key.encode()


def tier_key(member_id: str, tier_set_id: str) -> bytes:
    """Return the key of a member's tier in a set."""
    return TIER.prefix + member_key(member_id)[1:] + tier_set_id.encode()


def assignment_key(assignment_id: str) -> bytes:
    """Return the key of the first answer to a command that assigns a tier."""
    return ASSIGNMENT.prefix + uuid_bytes(assignment_id)


def voided_key(id_: str) -> bytes:
    """Return the key of how much was voided of a thing: a log, or an entry of the ledger."""
    return VOIDED.prefix + uuid_bytes(id_)


def void_key(void_id: str) -> bytes:
    """Return the key of the first answer to a command that voids."""
    return VOID.prefix + uuid_bytes(void_id)


def correction_key(correction_id: str) -> bytes:
    """Return the key of what a command did that corrected a progress."""
    return CORRECTION.prefix + uuid_bytes(correction_id)


def due_key(at: datetime, entry: bytes, index: bytes = DUE.prefix) -> bytes:
    """Return the key under which an entry waits in a due-index: sorted by the moment. ``index`` is
    what all keys of the index begin with."""
    return index + millis_of(at).to_bytes(8, "big") + entry


def due_entry(key: bytes, index: bytes = DUE.prefix) -> tuple[datetime, bytes]:
    """Return the moment and the entry's key of a key of a due-index."""
    begins = len(index)
    return from_millis(int.from_bytes(key[begins : begins + 8], "big")), key[begins + 8 :]


def due_range(until: datetime, index: bytes = DUE.prefix, since: int = 0) -> tuple[bytes, bytes]:
    """Return the range, first inclusive and last exclusive, of what is due at ``until``, and not
    before ``since`` (milliseconds since 1970)."""
    first = index + since.to_bytes(8, "big") if since else index
    return first, index + (millis_of(until) + 1).to_bytes(8, "big")


def clock_key(project: str) -> bytes:
    """Return the key of a project's own clock."""
    return CLOCK.prefix + project.encode()


def move_key(project: str) -> bytes:
    """Return the key of a move of a project's clock that is under way."""
    return MOVE.prefix + project.encode()


MOVES = MOVE.prefix, MOVE.prefix + b"\xff"
"""The range, first inclusive and last exclusive, of all moves."""


def project_of_move(key: bytes) -> str:
    """Return the project in the key of a move."""
    return key[1:].decode()


def on_clock_key(member_id: str) -> bytes:
    """Return the key of what says that a member goes by its project's own clock."""
    return ON_CLOCK.prefix + member_key(member_id)[1:]


@lru_cache(maxsize=4096)
def clock_dues(project: str) -> bytes:
    """Return what the keys of the due-index of a project's own clock begin with. No project has
    U+0000."""
    return CLOCK_DUE.prefix + project.encode() + b"\0"


def member_of(entry: bytes) -> tuple[str, bytes]:
    """Return the member's id in the key of one of its entries, and what follows it there."""
    return uuid_text(entry[1:17]), entry[17:]


def reward_key(reward_log_id: str) -> bytes:
    """Return the key of a reward log."""
    return REWARD.prefix + uuid_bytes(reward_log_id)


challenge_bytes = lru_cache(maxsize=4096)(uuid_bytes)
