"""``leaderboard_points``: what was granted on each day; redemptions take nothing away."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import POINTS_GRANTED
from schemas.outputs import Envelope

KEY = ("project", "day", "member_id", "user_group_id", "event_id")
NO_EVENT = ""


class _Granted(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.PointsChanged``."""

    owned_by_id: str
    user_id: str
    points: int
    event_id: str | None
    user_group_id: str
    occurred_at: str


_GRANTED = msgspec.json.Decoder(_Granted)


def granted(event: Envelope) -> Iterable[Row]:
    """What a grant adds to its member's day."""
    grant = _GRANTED.decode(event.data)
    yield (
        event.project,
        grant.occurred_at[:10],  # outputs' times are in UTC
        grant.owned_by_id,
        grant.user_group_id,
        grant.event_id or NO_EVENT,
        grant.user_id,
        grant.points,
    )


PROJECTION = of_events(
    table="leaderboard_points",
    columns=(*KEY, "user_id", "points"),
    key=KEY,
    combined={"points": "sum"},
    events={POINTS_GRANTED: granted},
)
