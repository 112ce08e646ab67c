"""Events that were logged, with what each gave, and how much of it was voided."""

from projections.event_table import event_table
from projections.read_models.voids import PORTIONS, portion
from schemas.event_types import EVENT_LOGGED, EVENT_VOIDED

EVENT_LOG = event_table(
    "event_log",
    (EVENT_LOGGED,),
    ("project", "id"),
    without=("limit", "maximum_reward"),
    amended_by={EVENT_VOIDED: portion},
    amend=PORTIONS,
)
"""Facts: they never change, but for what is voided."""
