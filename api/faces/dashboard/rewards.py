"""Milestones and rewards."""

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import rewards as queries
from api.queries.operations import snapshot

router = page_router()

SHOWN = 50


@router.get("/dashboard/rewards", summary="Milestones and rewards", openapi_extra=refusals())
async def rewards(request: Request, caller: Reader) -> Response:
    """Answer the newest rewards, and of the newest milestones how many were reached of each and on
    each day (UTC); `counted` is how many those are at most."""
    held = resources.of(request)
    async with held.reads.connection() as connection, snapshot(connection):
        milestones = await queries.by_milestone(connection, caller.project)
        days = await queries.by_day(connection, caller.project)
        newest = await queries.newest(connection, caller.project, SHOWN)
    shown = {"milestones": milestones, "days": days, "rewards": newest}
    return answer({**shown, "counted": queries.COUNTED})
