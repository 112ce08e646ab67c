"""``pathway_logs``: what each member did at each activity of a pathway."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from projections.json_text import storable
from projections.projection import Row, of_events
from schemas.event_types import ACTIVITY_COMPLETED, ACTIVITY_PROGRESSED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "pathway_id",
    "activity_id",
    "member_id",
    "id",
    "user_id",
    "state",
    "complete",
    "progress",
    "timestamp",
    "fulfilment",
    "started_at",
    "completed_at",
    "created_at",
    "updated_at",
    "definition_version",
    "sequence",
)


class _Activity(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.ActivityChanged``."""

    pathway_id: str
    activity_id: str
    owned_by_id: str
    id: str
    user_id: str
    state: str
    complete: bool
    progress: Raw
    timestamp: str
    fulfilment: Raw
    started_at: str
    completed_at: str | None
    created_at: str
    updated_at: str
    definition_version: int


_ACTIVITY = msgspec.json.Decoder(_Activity)


def changed(event: Envelope) -> Iterable[Row]:
    """The activity as it is after a log or a review."""
    activity = _ACTIVITY.decode(event.data)
    yield (
        event.project,
        activity.pathway_id,
        activity.activity_id,
        activity.owned_by_id,
        activity.id,
        activity.user_id,
        activity.state,
        activity.complete,
        bytes(activity.progress).decode(),
        activity.timestamp,
        storable(bytes(activity.fulfilment).decode()),
        activity.started_at,
        activity.completed_at,
        activity.created_at,
        activity.updated_at,
        activity.definition_version,
        int(event.sequence),
    )


PROJECTION = of_events(
    table="pathway_logs",
    columns=COLUMNS,
    key=("project", "pathway_id", "activity_id", "member_id"),
    newest_by="sequence",
    events={ACTIVITY_PROGRESSED: changed, ACTIVITY_COMPLETED: changed},
)
