"""Points: every entry of the ledger, the balances after the newest one and before, holds, lots, and
what each day granted."""

from collections.abc import Iterable

import msgspec

from projections.event_table import event_table
from projections.projection import Change, Deleted, Row, SharedData, of_events
from projections.read_models.forgotten import ADDRESSES, forgotten
from schemas.event_types import (
    POINTS_ACTIVATED,
    POINTS_ADJUSTED,
    POINTS_CAPTURED,
    POINTS_EXPIRED,
    POINTS_FORGOTTEN,
    POINTS_GRANTED,
    POINTS_HELD,
    POINTS_REDEEMED,
    POINTS_RELEASED,
    POINTS_REVERSED,
    POINTS_SPENT,
)
from schemas.outputs import Envelope

_ENTRIES = (
    POINTS_GRANTED,
    POINTS_REDEEMED,
    POINTS_SPENT,
    POINTS_CAPTURED,
    POINTS_ADJUSTED,
    POINTS_EXPIRED,
    POINTS_REVERSED,
)
_OF_BALANCES = (*_ENTRIES, POINTS_ACTIVATED)
"""What moves a balance; an activation is no entry, for its grant is one."""

_AFTER = ("held", "available", "pending", "lots", "hold")
_OF_A_VOID = ("what", "voided_id", "portion", "voided_portion", "voided_at")
"""Fields that have no column of the ledger."""

POINTS_LEDGER = event_table(
    "points_ledger",
    _ENTRIES,
    ("project", "id"),
    without=(*_AFTER, *_OF_A_VOID),
    place="place",
    amended_by={POINTS_FORGOTTEN: forgotten},
    amend=ADDRESSES,
)
"""Every grant, and everything that took points or gave them back. Facts: they never change, but for
who is forgotten."""

POINTS_BALANCES = event_table(
    "points_balances",
    (*_OF_BALANCES, POINTS_HELD, POINTS_RELEASED),
    ("project", "member_id", "challenge_group"),
    newest_by="sequence",
    only=(
        "owned_by_id",
        "challenge_group",
        "user_id",
        "balance",
        "held",
        "pending",
        "created_at",
    ),
    renamed={"created_at": "updated_at"},
)
"""Each member's balance in each challenge group, and how much of it is held. The column
``available`` follows from them, and the database makes it."""

POINTS_TOTALS = event_table(
    "points_totals",
    _OF_BALANCES,
    ("project", "member_id"),
    newest_by="sequence",
    only=("owned_by_id", "user_id", "total_balance", "created_at"),
    renamed={"total_balance": "balance", "created_at": "updated_at"},
)
"""Each member's balance in total. A table of its own, because one input can move several groups:
which of the groups' rows had the total last could not be told from their sequence."""


class _Beyond(msgspec.Struct, rename="camel", gc=False):
    """What an event says of a group beyond its balance; in a group where no points are held,
    pending or in lots it says nothing."""

    held: int = 0
    pending: int = 0
    lots: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_something(self) -> bool:
        """Whether there is more than a balance."""
        return self.lots is not msgspec.UNSET or self.held > 0 or self.pending > 0


_BEYOND = SharedData(_Beyond)
"""Most events say nothing, and two read models ask."""


class _Standing(msgspec.Struct, rename="camel", gc=False):
    """How an event left a group of a member."""

    owned_by_id: str
    challenge_group: str
    balance: int
    total_balance: int | None = None


_STANDING = msgspec.json.Decoder(_Standing)
_TOLD = frozenset(event_type.name for event_type in _ENTRIES)
"""Events whose balances the ledger has."""


def _standing(event: Envelope) -> Iterable[Row]:
    """What a group came to, unless its entry in the ledger says it all."""
    beyond = _BEYOND.of(event)
    if event.type in _TOLD and not beyond.is_something:
        return
    after = _STANDING.decode(event.data)
    yield (
        event.project,
        after.owned_by_id,
        after.challenge_group,
        after.balance,
        after.total_balance,
        beyond.held,
        beyond.pending,
        "[]" if isinstance(beyond.lots, msgspec.UnsetType) else str(beyond.lots, "utf-8"),
        int(event.sequence),
        event.place,
    )


POINTS_HISTORY = of_events(
    "points_history",
    columns=(
        "project",
        "member_id",
        "challenge_group",
        "balance",
        "total_balance",
        "held",
        "pending",
        "lots",
        "sequence",
        "place",
    ),
    key=("project", "member_id", "challenge_group", "place"),
    events=dict.fromkeys((*_OF_BALANCES, POINTS_HELD, POINTS_RELEASED), _standing),
)
"""Facts: how points stood in groups where some are held, pending or in lots. Elsewhere the ledger
tells as much: no entry has a row more."""


class _Hold(msgspec.Struct, rename="camel", gc=False):
    """``outputs.Hold``, its times as text."""

    hold_identifier: str
    challenge_group: str
    points: int
    captured: int
    status: str
    until: str
    opened_at: str
    closed_at: str | None


class _OfHold(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of an event about a hold."""

    owned_by_id: str
    user_id: str
    hold: _Hold


_OF_HOLD = msgspec.json.Decoder(_OfHold)


def _hold(event: Envelope) -> Iterable[Row]:
    """The hold as it is afterwards."""
    data = _OF_HOLD.decode(event.data)
    hold = data.hold
    yield (
        event.project,
        data.owned_by_id,
        hold.hold_identifier,
        data.user_id,
        hold.challenge_group,
        hold.points,
        hold.captured,
        hold.status,
        hold.until,
        hold.opened_at,
        hold.closed_at,
        int(event.sequence),
    )


POINTS_HOLDS = of_events(
    "points_holds",
    columns=(
        "project",
        "member_id",
        "hold_identifier",
        "user_id",
        "challenge_group",
        "points",
        "captured",
        "status",
        "until",
        "opened_at",
        "closed_at",
        "sequence",
    ),
    key=("project", "member_id", "hold_identifier"),
    newest_by="sequence",
    events=dict.fromkeys((POINTS_HELD, POINTS_CAPTURED, POINTS_RELEASED), _hold),
)
"""Every hold, open or closed."""


class _Lot(msgspec.Struct, rename="camel", gc=False):
    """``outputs.Lot``, its times as text."""

    id: str
    points: int
    activates_at: str | None
    expires_at: str | None


class _OfLots(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of an event that changed lots."""

    owned_by_id: str
    user_id: str
    challenge_group: str
    lots: list[_Lot] = []


_OF_LOTS = msgspec.json.Decoder(_OfLots)


def _lots(event: Envelope) -> Iterable[Change]:
    """The lots that changed, as they are afterwards; an empty one is no more."""
    if _BEYOND.of(event).lots is msgspec.UNSET:
        return
    data = _OF_LOTS.decode(event.data)
    for lot in data.lots:
        key = (event.project, data.owned_by_id, data.challenge_group, lot.id)
        if not lot.points:
            yield Deleted(key)
            continue
        yield (
            *key,
            data.user_id,
            lot.points,
            lot.activates_at,
            lot.expires_at,
            int(event.sequence),
        )


_LOT = ("project", "member_id", "challenge_group", "id")

POINTS_LOTS = of_events(
    "points_lots",
    columns=(*_LOT, "user_id", "points", "activates_at", "expires_at", "sequence"),
    key=_LOT,
    newest_by="sequence",
    events=dict.fromkeys(_OF_BALANCES, _lots),
)
"""The points of wallets by when they begin to count and when they lapse."""

_DAY = ("project", "day", "member_id", "user_group_id", "event_id")
_NO_EVENT = ""


class _Granted(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.PointsChanged``."""

    owned_by_id: str
    user_id: str
    points: int
    event_id: str | None
    user_group_id: str
    occurred_at: str


_GRANTED = msgspec.json.Decoder(_Granted)


def _granted(event: Envelope) -> Iterable[Row]:
    """What a grant adds to its member's day."""
    grant = _GRANTED.decode(event.data)
    yield (
        event.project,
        grant.occurred_at[:10],  # outputs' times are in UTC
        grant.owned_by_id,
        grant.user_group_id,
        grant.event_id or _NO_EVENT,
        grant.user_id,
        grant.points,
    )


class Withdrawn(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.PointsReversed``."""

    owned_by_id: str
    user_id: str
    points: int
    event_id: str | None
    user_group_id: str
    not_recovered: int = 0
    granted_at: str | None = None

    @property
    def earned(self) -> int:
        """What a board has more by it: less, recovered or not."""
        return self.points - self.not_recovered


WITHDRAWN = msgspec.json.Decoder(Withdrawn)


def _withdrawn(event: Envelope) -> Iterable[Row]:
    """What a void takes from the day of a grant; points that are given back were no grant."""
    void = WITHDRAWN.decode(event.data)
    if void.granted_at is not None:
        yield (
            event.project,
            void.granted_at[:10],
            void.owned_by_id,
            void.user_group_id,
            void.event_id or _NO_EVENT,
            void.user_id,
            void.earned,
        )


LEADERBOARD_POINTS = of_events(
    "leaderboard_points",
    columns=(*_DAY, "user_id", "points"),
    key=_DAY,
    combined={"points": "sum"},
    events={POINTS_GRANTED: _granted, POINTS_REVERSED: _withdrawn},
)
"""What was granted on each day; of all that takes points, voids alone take anything away."""
