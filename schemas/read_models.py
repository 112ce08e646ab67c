"""The catalogue of read models: the tables that analysts and the API read, and what makes each.

The projections fill these tables and keep a checkpoint for each of their topics; the API waits for
the checkpoints of the tables that it is about to read.
"""

from collections.abc import Mapping

from schemas.topics import (
    CLOCK_EVENTS,
    DEAD_LETTERS,
    DEFINITIONS,
    EVENT_RESULTS,
    MEMBER_EVENTS,
    MILESTONE_EVENTS,
    PATHWAY_EVENTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    REWARD_EVENTS,
    STREAK_EVENTS,
    TIER_EVENTS,
)

READ_MODELS: Mapping[str, tuple[str, ...]] = {
    "members": (MEMBER_EVENTS,),
    "member_history": (MEMBER_EVENTS,),
    "challenges": (DEFINITIONS,),
    "milestones": (DEFINITIONS,),
    "event_definitions": (DEFINITIONS,),
    "streaks": (DEFINITIONS,),
    "leaderboards": (DEFINITIONS,),
    "pathways": (DEFINITIONS,),
    "projects": (DEFINITIONS,),
    "wallets": (DEFINITIONS,),
    "boosts": (DEFINITIONS,),
    "tier_sets": (DEFINITIONS,),
    "definition_history": (DEFINITIONS,),
    "challenge_logs": (PROGRESS_EVENTS,),
    "challenge_progress": (PROGRESS_EVENTS,),
    "challenge_progress_history": (PROGRESS_EVENTS,),
    "progress_corrections": (PROGRESS_EVENTS,),
    "milestones_reached": (MILESTONE_EVENTS,),
    "reward_logs": (REWARD_EVENTS,),
    "event_log": (EVENT_RESULTS,),
    "points_ledger": (POINTS_EVENTS,),
    "points_balances": (POINTS_EVENTS,),
    "points_totals": (POINTS_EVENTS,),
    "points_holds": (POINTS_EVENTS,),
    "points_lots": (POINTS_EVENTS,),
    "points_history": (POINTS_EVENTS,),
    "leaderboard_points": (POINTS_EVENTS,),
    "streak_progress": (STREAK_EVENTS,),
    "streak_history": (STREAK_EVENTS,),
    "pathway_profiles": (MEMBER_EVENTS,),
    "pathway_enrolments": (PATHWAY_EVENTS,),
    "pathway_logs": (PATHWAY_EVENTS,),
    "pathway_history": (PATHWAY_EVENTS,),
    "member_tiers": (TIER_EVENTS,),
    "tier_history": (TIER_EVENTS,),
    "project_clocks": (CLOCK_EVENTS,),
    "clock_history": (CLOCK_EVENTS,),
    "voids": (PROGRESS_EVENTS, EVENT_RESULTS, POINTS_EVENTS, PATHWAY_EVENTS),
    "dead_letters": (DEAD_LETTERS,),
    "event_user_days": (EVENT_RESULTS,),
    "event_stats_hourly": (EVENT_RESULTS,),
    "event_stats_daily": (EVENT_RESULTS,),
    "event_stats_hourly_all": (EVENT_RESULTS,),
    "pathway_standings": (PATHWAY_EVENTS,),
    "leaderboard_days": (POINTS_EVENTS, MEMBER_EVENTS),
}
"""Each table in schema ``milestream``, and the topics (without prefix) that it is made from. Where
there are several, a member lies on the same partition of each."""
