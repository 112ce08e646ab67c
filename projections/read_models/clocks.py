"""Test clocks: what each partition of a project that has one shows, and showed."""

from projections.event_table import event_table
from schemas.event_types import CLOCK_MOVED

PROJECT_CLOCKS = event_table(
    "project_clocks",
    (CLOCK_MOVED,),
    ("project", "partition"),
    newest_by="version",
    without=("id",),
    renamed={"created_at": "moved_at"},
)
"""A clock that was never moved has no row."""

CLOCK_HISTORY = event_table(
    "clock_history",
    (CLOCK_MOVED,),
    ("project", "partition", "version"),
    without=("id",),
    renamed={"created_at": "moved_at"},
    place="place",
)
"""Facts: they never change."""
