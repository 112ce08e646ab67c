"""Events that were logged, with what each gave."""

from projections.event_table import event_table
from schemas.event_types import EVENT_LOGGED

EVENT_LOG = event_table(
    "event_log", (EVENT_LOGGED,), ("project", "id"), without=("limit", "maximum_reward")
)
"""Facts: they never change."""
