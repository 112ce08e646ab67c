"""Points: every entry of the ledger, the balances after the newest one, what each day granted."""

from collections.abc import Iterable

import msgspec

from projections.event_table import event_table
from projections.projection import Row, of_events
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED
from schemas.outputs import Envelope

_ENTRIES = (POINTS_GRANTED, POINTS_REDEEMED)

_AFTER = ("held", "pending", "cut", "cut_by", "lots", "base", "bonus", "boosts", "tier")
"""Fields that have no column yet."""

POINTS_LEDGER = event_table("points_ledger", _ENTRIES, ("project", "id"), without=_AFTER)
"""Every grant and redemption. Facts: they never change."""

POINTS_BALANCES = event_table(
    "points_balances",
    _ENTRIES,
    ("project", "member_id", "challenge_group"),
    newest_by="sequence",
    only=("owned_by_id", "challenge_group", "user_id", "balance", "created_at"),
    renamed={"created_at": "updated_at"},
)
"""Each member's balance in each challenge group."""

POINTS_TOTALS = event_table(
    "points_totals",
    _ENTRIES,
    ("project", "member_id"),
    newest_by="sequence",
    only=("owned_by_id", "user_id", "total_balance", "created_at"),
    renamed={"total_balance": "balance", "created_at": "updated_at"},
)
"""Each member's balance in total. A table of its own, because one input can move several groups:
which of the groups' rows had the total last could not be told from their sequence."""

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


LEADERBOARD_POINTS = of_events(
    "leaderboard_points",
    columns=(*_DAY, "user_id", "points"),
    key=_DAY,
    combined={"points": "sum"},
    events={POINTS_GRANTED: _granted},
)
"""What was granted on each day; redemptions take nothing away."""
