"""All projections. A new read model is a module, a line here, one in
``schemas.read_models`` and a migration.

Each has checkpoints of its own, so that one added later fills itself from the first offset on,
while the others go on.
"""

from collections.abc import Mapping

from projections import (
    challenge_logs,
    challenge_progress,
    challenges,
    dead_letters,
    event_definitions,
    event_log,
    event_stats_daily,
    event_stats_hourly,
    event_stats_hourly_all,
    event_user_days,
    leaderboard_days,
    leaderboard_points,
    leaderboards,
    members,
    milestones,
    milestones_reached,
    pathway_enrolments,
    pathway_logs,
    pathway_profiles,
    pathway_standings,
    pathways,
    points_balances,
    points_ledger,
    points_totals,
    reward_logs,
    streak_progress,
    streaks,
)
from projections.projection import Projection

PROJECTIONS: Mapping[str, Projection] = {
    module.PROJECTION.table: module.PROJECTION
    for module in (
        members,
        challenges,
        milestones,
        event_definitions,
        streaks,
        leaderboards,
        pathways,
        challenge_logs,
        challenge_progress,
        milestones_reached,
        reward_logs,
        event_log,
        points_ledger,
        points_balances,
        points_totals,
        leaderboard_points,
        streak_progress,
        pathway_profiles,
        pathway_enrolments,
        pathway_logs,
        dead_letters,
        # Last what projectors of other partitions add to as well: they wait for each other there.
        event_user_days,
        event_stats_hourly,
        event_stats_daily,
        event_stats_hourly_all,
        pathway_standings,
        leaderboard_days,
    )
}
"""By table; a transaction writes them in this order."""
