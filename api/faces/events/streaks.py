"""`/analytics/streak` and `/user/{id}/streak`."""

from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.faces.events.parameters import text
from api.faces.events.shapes import StreakAnalytics, StreaksAnswer, UserStreak
from api.faces.events.users import found_in
from api.http.problems import invalid
from api.http.responses import json_response
from api.queries import users as queries


async def analytics(request: Request, caller: Caller) -> Response:
    """Answer a streak's figures; null where nobody has taken part."""
    streak_id = text(request, "streakId")
    if streak_id is None:
        raise invalid("streakId", "is missing")
    held = resources.of(request)
    await held.barrier.wait(("streak_progress",))
    present = await held.clocks.present(held.definitions.followed, caller.project)
    async with held.reads.connection() as connection:
        row = await queries.streak_analytics(connection, caller.project, streak_id, present)
    if row is None:
        return json_response(None)
    return json_response(
        StreakAnalytics(
            streak_id=streak_id,
            total_participants=row["participants"],
            active_participants=row["active"],
            average_streak_length=float(row["average"]),
            longest_user_streak=row["longest"],
            completion_rate=float(row["completed"]),
        )
    )


async def of_user(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer a user's streaks."""
    held = resources.of(request)
    present = await held.clocks.present(held.definitions.followed, caller.project)
    async with found_in(request, caller, user_id, "streak_progress") as (connection, member_id):
        rows = await queries.streaks(connection, caller.project, member_id, present)
    return json_response(StreaksAnswer(streaks=[UserStreak(**row) for row in rows]))
