"""`/clock`: what time it is in a project; and moving the clock of one that has its own."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http import bodies
from api.http.component_refs import ref
from api.http.face import Chapter, Face
from api.http.problems import Problem, invalid
from api.http.responses import json_response
from api.http.routing import StrictRoute
from schemas.instants import InstantError, utc
from schemas.records import Instant

Writer = Annotated[Caller, Depends(require(Role.ADMIN))]

reader = require(Role.ADMIN, Role.ANALYST)

Reader = Annotated[Caller, Depends(reader)]

TAG = "clock"

router = APIRouter(tags=[TAG], route_class=StrictRoute)


class ClockBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a clock is to be moved."""

    now: Instant


class ClockAnswer(msgspec.Struct, kw_only=True):
    """How a project's clock stands. ``behind`` is the number of partitions on which what is due
    until ``now`` is not done yet."""

    clock: Literal["live", "manual"]
    now: datetime
    behind: int


class ClockMoved(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a clock was moved; with ``behind``, it is on its way."""

    now: datetime
    behind: int = 0


def _described(good: dict[str, tuple[str, str]], *bad: int, **more: Any) -> dict[str, Any]:
    """Return what `/openapi.json` says: what is good and its component, by status, and which
    problems may come."""
    responses: dict[str, Any] = {
        status: {"description": text, "content": {"application/json": {"schema": ref(name)}}}
        for status, (text, name) in good.items()
    }
    responses |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in bad}
    return {"responses": responses, **more}


_GET = _described({"200": ("How it stands.", "ClockAnswer")}, 401, 403, 503)
_POST = _described(
    {
        "200": ("All that was due until then is done.", "ClockMoved"),
        "202": ("It is on its way; `GET /clock` tells when it has arrived.", "ClockMoved"),
    },
    *(400, 401, 403, 413, 503),
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": ref("ClockBody")}},
    },
)


@router.get("/clock", summary="What time it is", openapi_extra=_GET)
async def get(request: Request, caller: Reader) -> Response:
    """Answer what time it is in the project, and whether its clock is on its way."""
    held = resources.of(request)
    definitions = await held.definitions.current()
    if not definitions.is_manual(caller.project):
        return json_response(ClockAnswer(clock="live", now=datetime.now(UTC), behind=0))
    standing = await held.clocks.standing(caller.project, definitions.clocks[caller.project])
    return json_response(ClockAnswer(clock="manual", now=standing.now, behind=standing.behind))


@router.post("/clock", summary="Move the clock", openapi_extra=_POST)
async def move(request: Request, caller: Writer) -> Response:
    """Move the project's clock forward, by at most five years, and do what is due until then.

    To the same moment again it may be moved, and does what was due before it and came late.
    """
    held = resources.of(request)
    definitions = await held.definitions.current()
    if not definitions.is_manual(caller.project):
        detail = "The project's clock is live; only one that is manual can be moved."
        raise Problem(403, detail, code="clock_is_live")
    body = await bodies.read(request, ClockBody, caller.project)
    try:
        to = utc(body.now)
    except InstantError as error:
        raise invalid("now", str(error)) from error
    standing = await held.clocks.move(caller.project, definitions.clocks[caller.project], to)
    moved = ClockMoved(now=standing.now, behind=standing.behind)
    return json_response(moved, 202 if standing.behind else 200)


FACE = Face(
    router,
    Chapter(TAG, structs=(ClockBody, ClockAnswer, ClockMoved), bodies=(ClockBody,)),
    ("/clock",),
    guard=reader,
)
