"""``points_totals``: each member's balance in total.

A table of its own, because one input can move several groups: which of the groups' rows had the
total last could not be told from their sequence.
"""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "member_id",
    "user_id",
    "balance",
    "updated_at",
    "sequence",
)


class _Entry(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.PointsChanged``."""

    owned_by_id: str
    user_id: str
    total_balance: int
    created_at: str


_ENTRY = msgspec.json.Decoder(_Entry)


def changed(event: Envelope) -> Iterable[Row]:
    """The total after an entry."""
    entry = _ENTRY.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(entry), int(event.sequence))


PROJECTION = of_events(
    table="points_totals",
    columns=COLUMNS,
    key=("project", "member_id"),
    newest_by="sequence",
    events={POINTS_GRANTED: changed, POINTS_REDEEMED: changed},
)
