"""``milestones``: the milestones in force."""

from projections.in_force import in_force
from schemas.definitions import Milestone

PROJECTION = in_force(
    "milestones",
    Milestone,
    (
        "linked_schema_slug",
        "linked_schema_record_id",
        "name",
        "description",
        "milestone_target_value",
        "status",
        "points",
    ),
    id_is_uuid=True,
)
