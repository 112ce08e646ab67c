"""Streaks: each member's newest state in each, and every state before it."""

from projections.event_table import event_table
from schemas.event_types import (
    STREAK_ADVANCED,
    STREAK_BROKEN,
    STREAK_COMPLETED,
    STREAK_REVERTED,
)

_CHANGES = (STREAK_ADVANCED, STREAK_BROKEN, STREAK_COMPLETED, STREAK_REVERTED)

STREAK_PROGRESS = event_table(
    "streak_progress",
    _CHANGES,
    ("project", "streak_id", "member_id"),
    newest_by="sequence",
    without=("healed", "void_id", "reason"),
)
"""One input may lead to several events; the last of them stays."""

STREAK_HISTORY = event_table(
    "streak_history",
    _CHANGES,
    ("project", "member_id", "streak_id", "place"),
    only=(
        "owned_by_id",
        "streak_id",
        "period_key",
        "current_length",
        "longest_length",
        "freezes_left",
        "status",
        "completed",
        "active_until",
        "occurred_at",
        "definition_version",
    ),
    place="place",
)
"""Facts: they never change."""
