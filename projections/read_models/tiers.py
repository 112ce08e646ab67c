"""Tiers: each member's in each set, and every change of one."""

from projections.event_table import event_table
from schemas.event_types import TIER_CHANGED

MEMBER_TIERS = event_table(
    "member_tiers",
    (TIER_CHANGED,),
    ("project", "member_id", "tier_set_id"),
    newest_by="version",
    only=(
        "owned_by_id",
        "tier_set_id",
        "user_id",
        "to",
        "since",
        "until",
        "assigned",
        "value",
        "created_at",
        "version",
        "definition_version",
    ),
    renamed={"to": "tier_id", "value": "basis_value", "created_at": "updated_at"},
)
"""Who was never judged has no row: its tier is the one that needs nothing."""

TIER_HISTORY = event_table(
    "tier_history",
    (TIER_CHANGED,),
    ("project", "member_id", "tier_set_id", "version"),
    without=("id",),
    place="place",
    renamed={"from_": "from_tier_id", "to": "tier_id", "value": "basis_value"},
)
"""Facts: they never change."""
