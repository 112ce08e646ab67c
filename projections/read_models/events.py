"""Events that were logged, with what each gave, and how much of it was voided."""

from projections.event_table import event_table
from projections.read_models.forgotten import PORTIONS_AND_ADDRESSES, forgotten
from projections.read_models.voids import portion
from schemas.event_types import EVENT_FORGOTTEN, EVENT_LOGGED, EVENT_VOIDED

EVENT_LOG = event_table(
    "event_log",
    (EVENT_LOGGED,),
    ("project", "id"),
    without=("limit", "maximum_reward"),
    amended_by={EVENT_VOIDED: portion, EVENT_FORGOTTEN: forgotten},
    amend=PORTIONS_AND_ADDRESSES,
)
"""Facts: they never change, but for what is voided, and for who is forgotten."""
