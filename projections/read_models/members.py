"""Members: the newest state of each."""

from projections.event_table import event_table
from schemas.event_types import MEMBER_UPSERTED

MEMBERS = event_table(
    "members",
    (MEMBER_UPSERTED,),
    ("project", "member_id"),
    newest_by="sequence",
    renamed={"id": "member_id"},
    place="first_place",
    kept=("first_place",),
)
"""What a deletion erased is null."""
