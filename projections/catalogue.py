"""All projections. A new read model is declared in its area's module and listed here.

Each has checkpoints of its own, so that one added later fills itself from the first offset on. The
others of its topics wait for it there: a partition is read once for all.
"""

from collections.abc import Mapping

from projections.projection import Projection
from projections.read_models.challenges import (
    CHALLENGE_LOGS,
    CHALLENGE_PROGRESS,
    CHALLENGE_PROGRESS_HISTORY,
)
from projections.read_models.clocks import CLOCK_HISTORY, PROJECT_CLOCKS
from projections.read_models.corrections import PROGRESS_CORRECTIONS
from projections.read_models.dead_letters import DEAD_LETTERS
from projections.read_models.definitions import (
    BOOSTS,
    CHALLENGES,
    DEFINITION_HISTORY,
    EVENT_DEFINITIONS,
    LEADERBOARDS,
    MILESTONES,
    PATHWAYS,
    PROJECTS,
    STREAKS,
    TIER_SETS,
    WALLETS,
)
from projections.read_models.event_stats import (
    EVENT_STATS_DAILY,
    EVENT_STATS_HOURLY,
    EVENT_STATS_HOURLY_ALL,
)
from projections.read_models.event_user_days import EVENT_USER_DAYS
from projections.read_models.events import EVENT_LOG
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS
from projections.read_models.members import MEMBER_HISTORY, MEMBERS
from projections.read_models.milestones import MILESTONES_REACHED, REWARD_LOGS
from projections.read_models.pathway_standings import PATHWAY_STANDINGS
from projections.read_models.pathways import (
    PATHWAY_ENROLMENTS,
    PATHWAY_HISTORY,
    PATHWAY_LOGS,
    PATHWAY_PROFILES,
)
from projections.read_models.points import (
    LEADERBOARD_POINTS,
    POINTS_BALANCES,
    POINTS_HISTORY,
    POINTS_HOLDS,
    POINTS_LEDGER,
    POINTS_LOTS,
    POINTS_TOTALS,
)
from projections.read_models.streaks import STREAK_HISTORY, STREAK_PROGRESS
from projections.read_models.tiers import MEMBER_TIERS, TIER_HISTORY
from projections.read_models.voids import VOIDS

PROJECTIONS: Mapping[str, Projection] = {
    projection.table: projection
    for projection in (
        MEMBERS,
        MEMBER_HISTORY,
        CHALLENGES,
        MILESTONES,
        EVENT_DEFINITIONS,
        STREAKS,
        LEADERBOARDS,
        PATHWAYS,
        PROJECTS,
        WALLETS,
        BOOSTS,
        TIER_SETS,
        DEFINITION_HISTORY,
        CHALLENGE_LOGS,
        CHALLENGE_PROGRESS,
        CHALLENGE_PROGRESS_HISTORY,
        PROGRESS_CORRECTIONS,
        MILESTONES_REACHED,
        REWARD_LOGS,
        EVENT_LOG,
        POINTS_LEDGER,
        POINTS_BALANCES,
        POINTS_TOTALS,
        POINTS_HOLDS,
        POINTS_LOTS,
        POINTS_HISTORY,
        LEADERBOARD_POINTS,
        STREAK_PROGRESS,
        STREAK_HISTORY,
        MEMBER_TIERS,
        TIER_HISTORY,
        PROJECT_CLOCKS,
        CLOCK_HISTORY,
        VOIDS,
        PATHWAY_PROFILES,
        PATHWAY_ENROLMENTS,
        PATHWAY_LOGS,
        PATHWAY_HISTORY,
        DEAD_LETTERS,
        # Last what projectors of other partitions add to as well: they wait for each other there.
        EVENT_USER_DAYS,
        EVENT_STATS_HOURLY,
        EVENT_STATS_DAILY,
        EVENT_STATS_HOURLY_ALL,
        PATHWAY_STANDINGS,
        LEADERBOARD_DAYS,
    )
}
"""By table; a transaction writes them in this order."""
