"""What this face answers, field by field, in its published shape: the routes fill these in, and
`/openapi.json` is made from them."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from schemas.outputs import EventAnswer, ForgottenAnswer, TierAnswer


class _Shape(msgspec.Struct, kw_only=True, rename="camel"):
    """The base: camel-case names, every field present."""


class EventPosted(_Shape):
    """What became of an event."""

    status_code: int
    message: str
    data: EventAnswer


class EventDefinition(_Shape):
    """An event as it is defined; `/definitions/event/{id}` has the fields that are not here."""

    event_id: str
    title: str
    description: str
    status: str
    limit: int | None
    maximum_reward: Raw
    reward: dict[str, Any]
    conditions: dict[str, Any] | None
    metadata_fields: list[dict[str, Any]]
    type: str


class EventShare(_Shape):
    """What one event has of everything."""

    count: int
    users: int
    points: int


class GlobalDay(_Shape):
    """All events of a day. `hourly_distribution` has 24 counts, or none for a calendar month."""

    events: int
    users: int
    points: int
    hourly_distribution: list[int]


class EventDay(_Shape):
    """One event's day."""

    count: int
    users: int
    points: int
    hourly_distribution: list[int]


class StatsMetadata(_Shape):
    """How unique users were counted."""

    unique_users_calculation_method: str
    unique_users_note: str | None = None


class GlobalStats(_Shape):
    """All events of a span of days; days without events are left out."""

    total_events: int
    unique_users: int
    total_points: int
    event_breakdown: dict[str, EventShare]
    top_events: list[str]
    daily_data: dict[str, GlobalDay]
    metadata: StatsMetadata = msgspec.field(name="_metadata")


class EventStats(_Shape):
    """One event in a span of days; days without it are left out."""

    total_count: int
    unique_users: int
    points_awarded: int
    condition_met: int
    condition_failed: int
    limit_reached: int
    daily_data: dict[str, EventDay]


class _StatsAnswer(_Shape):
    """Statistics, and the days that they are of, both ends included."""

    period: str
    event_id: str | None
    start_date: str
    end_date: str


class GlobalStatsAnswer(_StatsAnswer):
    """What all events came to."""

    data: GlobalStats


class EventStatsAnswer(_StatsAnswer):
    """What one event came to."""

    data: EventStats


class StreakAnalytics(_Shape):
    """A streak over all who ever took part in it."""

    streak_id: str
    total_participants: int
    active_participants: int
    average_streak_length: float
    longest_user_streak: int
    completion_rate: float


class Ranked(_Shape):
    """A place on a leaderboard; equal points share a rank."""

    user_id: str
    username: str
    points: int
    rank: int


class LeaderboardAnswer(_Shape):
    """The top of a leaderboard."""

    group_id: str | None
    users: list[Ranked]


class Neighbours(_Shape):
    """Who stands right before a user, and right after; the best first."""

    users_before: list[Ranked]
    users_after: list[Ranked]


class RankAnswer(_Shape):
    """A user's points and ranks; a rank is null where the user has no points in that time.

    `users_before` and `users_after` are the neighbours of the 30 days.
    """

    user_id: str
    group_id: str | None
    points_7d: int = msgspec.field(name="points7d")
    rank_7d: int | None = msgspec.field(name="rank7d")
    neighbours_7d: Neighbours = msgspec.field(name="neighbours7d")
    points_30d: int = msgspec.field(name="points30d")
    rank_30d: int | None = msgspec.field(name="rank30d")
    neighbours_30d: Neighbours = msgspec.field(name="neighbours30d")
    points_365d: int = msgspec.field(name="points365d")
    rank_365d: int | None = msgspec.field(name="rank365d")
    neighbours_365d: Neighbours = msgspec.field(name="neighbours365d")
    users_before: list[Ranked]
    users_after: list[Ranked]


class Expiring(_Shape):
    """Points that lapse at one moment."""

    at: datetime
    points: int


class Wallet(_Shape):
    """A user's points of one challenge group.

    Of `balance`, `held` are reserved and `available` can be spent; `pending` do not count yet.
    `expiring` is what lapses of the balance, soonest first, at most a hundred moments.
    """

    balance: int
    held: int
    available: int
    pending: int
    expiring: list[Expiring]


class PointsAnswer(_Shape):
    """A user's balance in all, and of each challenge group; `wallets` has the groups in which there
    are points, in more detail."""

    user_id: str
    points: int
    held: int
    available: int
    groups: dict[str, int]
    wallets: dict[str, Wallet]


class PointsMovedAnswer(_Shape):
    """What a command that moves points did; `points` are as in the command (those taken, where a
    capture names none), and the balance is the group's afterwards. `until` is a hold's."""

    user_id: str
    unique_identifier: str
    challenge_group: str
    points: int
    balance: int
    held: int
    available: int
    until: datetime | UnsetType = UNSET


class UserStreak(_Shape):
    """A user's streak as it stands now."""

    streak_id: str
    current_length: int
    longest_length: int
    status: str
    freezes_left: int


class StreaksAnswer(_Shape):
    """The streaks that a user takes or took part in."""

    streaks: list[UserStreak]


class NextTier(_Shape):
    """The tier above a user's, and what is missing to reach it."""

    tier_id: str
    threshold: Raw
    missing: Raw


class UserTier(_Shape):
    """A user's tier in a set. `value` is what it is judged by, as of now; `to_keep` is what is
    missing for the present tier to be deserved, null where there is none."""

    tier_set_id: str
    tier_id: str | None
    name: str | None
    since: datetime | None
    until: datetime | None
    value: Raw
    to_keep: Raw
    next: NextTier | None


class TiersAnswer(_Shape):
    """A user's tier in each set of the project."""

    tiers: list[UserTier]


class UserChallenge(_Shape):
    """A challenge that runs, and how far the user is in its period of now."""

    challenge_id: str
    title: str
    description: str
    status: str
    challenge_group: str
    aggregation_period: str
    period_key: str
    goal: Raw
    progress: Raw
    completed: bool
    completed_date: datetime | None
    points: int
    created_at: datetime
    updated_at: datetime


class ChallengesAnswer(_Shape):
    """A user's challenges."""

    challenges: list[UserChallenge]


STRUCTS = (
    EventPosted,
    EventDefinition,
    GlobalStatsAnswer,
    EventStatsAnswer,
    StreakAnalytics,
    LeaderboardAnswer,
    RankAnswer,
    PointsAnswer,
    PointsMovedAnswer,
    StreaksAnswer,
    TiersAnswer,
    TierAnswer,
    ForgottenAnswer,
    ChallengesAnswer,
)
"""Every answer, for `/openapi.json`."""
