"""What the calls of all pages have in common: who may read, how they refuse, exact amounts."""

from collections.abc import Set
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.auth import shares
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http.numbers import exact
from api.http.responses import json_response
from api.http.routing import StrictRoute

TAG = "dashboard"

PAGE_SECONDS = 5.0
"""How long a page's statements may take together: what takes longer is refused, so that a few who
look keep no connection from all others for half a minute."""

_looking = require(Role.ADMIN, Role.ANALYST)


async def _reader(request: Request) -> Caller:
    caller = await _looking(request)
    shares.READER.set(replace(shares.READER.get(), seconds=PAGE_SECONDS))
    return caller


Reader = Annotated[Caller, Depends(_reader)]
"""Who may look."""

NEWEST = 20
"""How many of the newest rows a page shows."""

_FRESH = {"cache-control": "no-store"}


def refusals(*others: int) -> dict[str, Any]:
    """Return the description of a call's refusals: those of any call here, and these."""
    return described({400, 401, 403, 503, *others})


def described(refused: Set[int]) -> dict[str, Any]:
    """Return the description of refusals with these codes."""
    codes = sorted(refused)
    return {"responses": {str(c): {"$ref": f"#/components/responses/{c}"} for c in codes}}


def page_router() -> APIRouter:
    """Return the router of a page's calls."""
    return APIRouter(tags=[TAG], route_class=StrictRoute)


def answer_of(body: bytes) -> Response:
    """Answer JSON that was made before."""
    return json_response(body, headers=_FRESH)


def answer(shown: dict[str, Any]) -> Response:
    """Answer rows, or fields, whose amounts are exact numbers; nobody keeps them."""
    return json_response(exactly(shown), headers=_FRESH)


def exactly(part: Any) -> Any:
    """Return a part of an answer with amounts as exact numbers."""
    if isinstance(part, dict):
        return {key: exactly(value) for key, value in part.items()}
    if isinstance(part, list):
        return [exactly(each) for each in part]
    return exact(part)
