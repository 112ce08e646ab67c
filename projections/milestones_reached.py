"""``milestones_reached``: that a member reached a milestone, once per period."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import MILESTONE_REACHED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "member_id",
    "milestone_id",
    "linked_schema_slug",
    "linked_schema_record_id",
    "period_key",
    "value",
    "reached_at",
    "definition_version",
    "sequence",
)


class _Reached(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.MilestoneReached``."""

    id: str
    owned_by_id: str
    milestone_id: str
    linked_schema_slug: str
    linked_schema_record_id: str
    period_key: str
    value: msgspec.Raw
    reached_at: str
    definition_version: int


_REACHED = msgspec.json.Decoder(_Reached)


def reached(event: Envelope) -> Iterable[Row]:
    """The fact. It stays, whatever becomes of the milestone or the progress."""
    fact = _REACHED.decode(event.data)
    yield (
        event.project,
        fact.id,
        fact.owned_by_id,
        fact.milestone_id,
        fact.linked_schema_slug,
        fact.linked_schema_record_id,
        fact.period_key,
        str(fact.value, "ascii"),
        fact.reached_at,
        fact.definition_version,
        int(event.sequence),
    )


PROJECTION = of_events(
    table="milestones_reached",
    columns=COLUMNS,
    key=("project", "id"),
    events={MILESTONE_REACHED: reached},
)
