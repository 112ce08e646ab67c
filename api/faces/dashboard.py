"""`/`: a plain live page of one project, and the data that it asks for every two seconds."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api import pages, resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http.face import Chapter, Face
from api.http.numbers import exact
from api.http.responses import json_response
from api.http.routing import DirectRoute
from api.queries import dashboard as queries

Reader = Annotated[Caller, Depends(require(Role.ADMIN, Role.ANALYST))]

TAG = "dashboard"

router = APIRouter(tags=[TAG], route_class=DirectRoute)

FLOW_SECONDS = 10
NEWEST = 20


_REFUSALS = {
    "responses": {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in (401, 403, 503)
    }
}


@router.get("/", summary="The live page", response_class=HTMLResponse, openapi_extra=_REFUSALS)
async def page(_caller: Reader) -> Response:
    """Answer the page; a browser asks for keyId and secret as user name and password."""
    return pages.page("dashboard.html")


@router.get("/dashboard/data", summary="What the live page shows", openapi_extra=_REFUSALS)
async def data(request: Request, caller: Reader) -> Response:
    """Answer flow, lag, and the newest milestones and rewards of the caller's project."""
    held = resources.of(request)
    async with held.reads.connection() as connection:
        flow = await queries.logs_per_second(connection, caller.project, FLOW_SECONDS)
        events = await queries.events_per_second(connection, caller.project, FLOW_SECONDS)
        milestones = await queries.newest_milestones(connection, caller.project, NEWEST)
        rewards = await queries.newest_rewards(connection, caller.project, NEWEST)
    shown = {
        "project": caller.project,
        "logsPerSecond": flow,
        "eventsPerSecond": events,
        "lag": {"records": held.lag.records, "seconds": round(held.lag.seconds, 1)},
        "milestones": [{key: exact(value) for key, value in row.items()} for row in milestones],
        "rewards": rewards,
    }
    return json_response(shown, headers={"cache-control": "no-store"})


FACE = Face(router, Chapter(TAG))
