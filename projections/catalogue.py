"""All projections. A new read model is a module, a line here and a migration.

Each has checkpoints of its own, so that one added later fills itself from the first offset on,
while the others go on.
"""

from collections.abc import Mapping

from projections import (
    challenge_logs,
    challenge_progress,
    challenges,
    dead_letters,
    members,
    milestones,
    milestones_reached,
    reward_logs,
)
from projections.projection import Projection

PROJECTIONS: Mapping[str, Projection] = {
    module.PROJECTION.table: module.PROJECTION
    for module in (
        members,
        challenges,
        milestones,
        challenge_logs,
        challenge_progress,
        milestones_reached,
        reward_logs,
        dead_letters,
    )
}
"""By table."""

EVENT_TYPES = frozenset[str]().union(*(p.types for p in PROJECTIONS.values()))
"""Every type of event that some read model knows."""
