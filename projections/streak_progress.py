"""``streak_progress``: each member's newest state in each streak."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import STREAK_ADVANCED, STREAK_BROKEN, STREAK_COMPLETED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "streak_id",
    "member_id",
    "user_id",
    "period",
    "timezone",
    "period_key",
    "current_length",
    "run_length",
    "longest_length",
    "target_length",
    "freezes_left",
    "status",
    "completed",
    "started_period_key",
    "active_until",
    "occurred_at",
    "created_at",
    "updated_at",
    "definition_version",
    "sequence",
)


class _Streak(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.StreakChanged``."""

    id: str
    streak_id: str
    owned_by_id: str
    user_id: str
    period: str
    timezone: str
    period_key: str
    current_length: int
    run_length: int
    longest_length: int
    target_length: int
    freezes_left: int
    status: str
    completed: bool
    started_period_key: str
    active_until: str | None
    occurred_at: str
    created_at: str
    updated_at: str
    definition_version: int


_STREAK = msgspec.json.Decoder(_Streak)


def changed(event: Envelope) -> Iterable[Row]:
    """The streak as it advanced, broke or was completed; the last of one input stays."""
    streak = _STREAK.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(streak), int(event.sequence))


PROJECTION = of_events(
    table="streak_progress",
    columns=COLUMNS,
    key=("project", "streak_id", "member_id"),
    newest_by="sequence",
    events={STREAK_ADVANCED: changed, STREAK_BROKEN: changed, STREAK_COMPLETED: changed},
)
