"""`/`: the live page of one project, and what it asks for: flow, challenges, members."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api import pages, resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http.component_refs import text
from api.http.face import Chapter, Face
from api.http.numbers import exact
from api.http.problems import Problem, invalid
from api.http.responses import json_response
from api.http.routing import DirectRoute
from api.queries import dashboard as queries
from api.queries import member_page
from schemas.ids import is_uuid

Reader = Annotated[Caller, Depends(require(Role.ADMIN, Role.ANALYST))]

TAG = "dashboard"

router = APIRouter(tags=[TAG], route_class=DirectRoute)

FLOW_SECONDS = 10
NEWEST = 20
MAX_SEARCH = 256
"""Characters of what members are looked for by."""

_FRESH = {"cache-control": "no-store"}


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
        "milestones": _exact(milestones),
        "rewards": rewards,
    }
    return json_response(shown, headers=_FRESH)


_SEARCH = {
    "parameters": [
        {
            "name": "search",
            "in": "query",
            "required": True,
            "description": "An id, an external id or its beginning, an e-mail, a part of a name.",
            "schema": text(minLength=1, maxLength=MAX_SEARCH),
        }
    ],
    "responses": _REFUSALS["responses"] | {"400": {"$ref": "#/components/responses/400"}},
}
_MEMBER = {
    "responses": _REFUSALS["responses"] | {"404": {"$ref": "#/components/responses/404"}},
}


@router.get("/dashboard/challenges", summary="How far members are", openapi_extra=_REFUSALS)
async def challenges(request: Request, caller: Reader) -> Response:
    """Answer, of each live challenge's newest period, who began, completed, reached what."""
    held = resources.of(request)
    async with held.reads.connection() as connection:
        found = await queries.funnels(connection, caller.project)
    return json_response({"challenges": found}, headers=_FRESH)


@router.get("/dashboard/members", summary="Find members", openapi_extra=_SEARCH)
async def members(request: Request, caller: Reader) -> Response:
    """Answer the members that a text names."""
    wanted = request.query_params.get("search", "").strip()
    if not 0 < len(wanted) <= MAX_SEARCH or "\x00" in wanted:
        raise invalid("search", f"must have 1 to {MAX_SEARCH} characters, and none of them U+0000")
    member_id = UUID(wanted) if is_uuid(wanted) else None
    held = resources.of(request)
    async with held.reads.connection() as connection:
        found = await member_page.search(connection, caller.project, wanted, member_id, NEWEST)
    return json_response({"members": found}, headers=_FRESH)


@router.get("/dashboard/members/{id}", summary="A member's page", openapi_extra=_MEMBER)
async def member(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a member: balances, lots, tiers, streaks, progress, rewards, and what it did."""
    held, found = resources.of(request), None
    if is_uuid(id):
        async with held.reads.connection() as connection:
            found = await member_page.page(connection, caller.project, UUID(id), NEWEST)
    if found is None:
        raise Problem(404, "There is no such member.")
    shown = {name: _exact(part) for name, part in found.items()}
    return json_response(shown, headers=_FRESH)


def _exact(part: Any) -> Any:
    """Return rows whose amounts are exact numbers."""
    if isinstance(part, dict):
        return {key: exact(value) for key, value in part.items()}
    return [_exact(row) for row in part]


FACE = Face(router, Chapter(TAG))
