"""Milestones that members reached, and the rewards that they were given for them."""

from projections.event_table import event_table
from schemas.event_types import (
    MILESTONE_REACHED,
    REWARD_GRANTED,
    REWARD_REVOKED,
    REWARD_UPDATED,
)

MILESTONES_REACHED = event_table(
    "milestones_reached", (MILESTONE_REACHED,), ("project", "id"), without=("milestone",)
)
"""Facts: they stay, whatever becomes of the milestone or the progress; one that is reached again
after a void is as it was the first time."""

REWARD_LOGS = event_table(
    "reward_logs",
    (REWARD_GRANTED, REWARD_UPDATED, REWARD_REVOKED),
    ("project", "id"),
    newest_by="sequence",
    without=("milestone", "status", "void_id", "reason"),
)
"""One reward per member, milestone and period, and how it was fulfilled. The column ``status``
follows from it, and the database makes it."""
