"""``challenges``: the challenges in force."""

from projections.in_force import in_force
from schemas.definitions import Challenge

PROJECTION = in_force(
    "challenges",
    Challenge,
    (
        "name",
        "description",
        "status",
        "aggregation_method",
        "aggregation_period",
        "completion_target_value",
        "timezone",
        "starts_at",
        "ends_at",
        "activity_ids",
        "event_ids",
        "value_field",
        "points_on_completion",
        "challenge_group",
    ),
    id_is_uuid=True,
)
