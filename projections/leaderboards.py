"""``leaderboards``: the leaderboards in force."""

from projections.in_force import in_force
from schemas.definitions import Leaderboard

PROJECTION = in_force("leaderboards", Leaderboard, ("event_ids", "groups"))
