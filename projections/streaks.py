"""``streaks``: the streaks in force."""

from projections.in_force import in_force
from schemas.definitions import Streak

PROJECTION = in_force(
    "streaks",
    Streak,
    ("event_ids", "period", "target_length", "timezone", "freezes"),
    id_column="streak_id",
)
