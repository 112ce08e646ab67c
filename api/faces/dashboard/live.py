"""What happens now: flow, lag, and the newest milestones and rewards."""

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import NEWEST, Reader, answer, page_router, refusals
from api.queries.dashboard import live as queries

router = page_router()

FLOW_SECONDS = 10


@router.get("/dashboard/data", summary="What the live page shows", openapi_extra=refusals())
async def data(request: Request, caller: Reader) -> Response:
    """Answer flow, lag, and the newest milestones and rewards of the caller's project."""
    held = resources.of(request)
    async with held.reads.connection() as connection:
        flow = await queries.logs_per_second(connection, caller.project, FLOW_SECONDS)
        events = await queries.events_per_second(connection, caller.project, FLOW_SECONDS)
        milestones = await queries.newest_milestones(connection, caller.project, NEWEST)
        rewards = await queries.newest_rewards(connection, caller.project, NEWEST)
    return answer(
        {
            "project": caller.project,
            "logsPerSecond": flow,
            "eventsPerSecond": events,
            "lag": {"records": held.lag.records, "seconds": round(held.lag.seconds, 1)},
            "milestones": milestones,
            "rewards": rewards,
        }
    )
