"""Members: found by what names them, and each with all that is known of it."""

from uuid import UUID

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import NEWEST, Reader, answer, page_router, refusals
from api.http.component_refs import text
from api.http.problems import Problem, invalid
from api.queries.dashboard import members as queries
from api.queries.operations import snapshot
from schemas.ids import is_uuid

router = page_router()

MAX_SEARCH = 256
"""Characters of what members are looked for by."""

_SEARCH = {
    "parameters": [
        {
            "name": "search",
            "in": "query",
            "required": True,
            "description": "An id, or the beginning of an external id, an e-mail or a name.",
            "schema": text(minLength=1, maxLength=MAX_SEARCH),
        }
    ],
    **refusals(),
}


@router.get("/dashboard/members", summary="Find members", openapi_extra=_SEARCH)
async def members(request: Request, caller: Reader) -> Response:
    """Answer the members that a text names; `more`: further ones are.

    A part in the middle of a name is found too, of all members where `whole`, else of some only.
    """
    wanted = request.query_params.get("search", "").strip()
    if not 0 < len(wanted) <= MAX_SEARCH or "\x00" in wanted:
        raise invalid("search", f"must have 1 to {MAX_SEARCH} characters, and none of them U+0000")
    member_id = UUID(wanted) if is_uuid(wanted) else None
    held = resources.of(request)
    async with held.reads.connection() as connection:
        found = await queries.search(connection, caller.project, wanted, member_id, NEWEST + 1)
        many = await queries.are_many(connection, caller.project)
    more = len(found) > NEWEST
    return answer({"members": found[:NEWEST], "more": more, "whole": not many})


@router.get("/dashboard/members/{id}", summary="A member's page", openapi_extra=refusals(404))
async def member(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a member, by its id or external id: balances, lots, tiers, streaks, progress,
    rewards, pathways (how many of their activities it completed), and what it did."""
    held, found = resources.of(request), None
    async with held.reads.connection() as connection, snapshot(connection):
        member_id = UUID(id) if is_uuid(id) else None
        if member_id is not None:
            found = await queries.page(connection, caller.project, member_id, NEWEST)
        if found is None and "\x00" not in id:
            member_id = await queries.id_of(connection, caller.project, id)
            if member_id is not None:
                found = await queries.page(connection, caller.project, member_id, NEWEST)
    if found is None:
        raise Problem(404, "There is no such member.")
    return answer(found)
