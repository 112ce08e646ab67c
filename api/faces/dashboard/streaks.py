"""Streaks; leaderboards come from `/leaderboard`."""

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import streaks as queries
from api.queries.operations import snapshot

router = page_router()


@router.get("/dashboard/streaks", summary="Streaks", openapi_extra=refusals())
async def streaks(request: Request, caller: Reader) -> Response:
    """Answer of each streak who takes part and how long; `share` is that of the members whom it is
    counted from."""
    held, found = resources.of(request), []
    async with held.reads.connection() as connection, snapshot(connection):
        in_force = await queries.in_force(connection, caller.project)
        size = queries.size_of_sample(len(in_force))
        for each in in_force:
            sample = await queries.figures(connection, caller.project, each["id"], size)
            found.append({**each, **sample.rows[0], "share": sample.share})
    return answer({"streaks": found})
