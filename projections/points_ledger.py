"""``points_ledger``: every grant and redemption of points."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "member_id",
    "user_id",
    "action_id",
    "challenge_group",
    "points",
    "balance",
    "total_balance",
    "operation",
    "event_id",
    "user_group_id",
    "source_id",
    "ip",
    "occurred_at",
    "created_at",
    "definition_version",
    "sequence",
)


class _Entry(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.PointsChanged``."""

    id: str
    owned_by_id: str
    user_id: str
    action_id: str
    challenge_group: str
    points: int
    balance: int
    total_balance: int
    operation: str
    event_id: str | None
    user_group_id: str
    source_id: str
    ip: str | None
    occurred_at: str
    created_at: str
    definition_version: int


_ENTRY = msgspec.json.Decoder(_Entry)


def changed(event: Envelope) -> Iterable[Row]:
    """An entry, with the balances after it. A fact: it never changes."""
    entry = _ENTRY.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(entry), int(event.sequence))


PROJECTION = of_events(
    table="points_ledger",
    columns=COLUMNS,
    key=("project", "id"),
    events={POINTS_GRANTED: changed, POINTS_REDEEMED: changed},
)
