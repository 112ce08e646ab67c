"""Streaks: each member's newest state in each."""

from projections.event_table import event_table
from schemas.event_types import (
    STREAK_ADVANCED,
    STREAK_BROKEN,
    STREAK_COMPLETED,
    STREAK_REVERTED,
)

STREAK_PROGRESS = event_table(
    "streak_progress",
    (STREAK_ADVANCED, STREAK_BROKEN, STREAK_COMPLETED, STREAK_REVERTED),
    ("project", "streak_id", "member_id"),
    newest_by="sequence",
    without=("healed", "void_id", "reason"),
)
"""One input may lead to several events; the last of them stays."""
