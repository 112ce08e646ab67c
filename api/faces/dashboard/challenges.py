"""How far members are in each challenge."""

from typing import Any

from fastapi import Request, Response
from psycopg import AsyncConnection

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import challenges as queries
from api.queries.operations import snapshot

router = page_router()


@router.get("/dashboard/challenges", summary="How far members are", openapi_extra=refusals())
async def challenges(request: Request, caller: Reader) -> Response:
    """Answer, of each live challenge's newest period, who began, completed, reached what; `share`
    is that of the members whom this is counted from."""
    held = resources.of(request)
    async with held.reads.connection() as connection, snapshot(connection):
        live = await queries.live(connection, caller.project)
        size = queries.size_of_sample(len(live))
        found = [
            shown
            for each in live
            if (shown := await _funnel(connection, caller.project, each, size)) is not None
        ]
    return answer({"challenges": sorted(found, key=lambda each: -each["started"])})


async def _funnel(
    connection: AsyncConnection, project: str, challenge: dict[str, Any], size: int
) -> dict[str, Any] | None:
    """Return a challenge with its figures; None where nobody began it."""
    sample = await queries.periods(connection, project, challenge["id"], size)
    if not sample.rows:
        return None
    newest, *earlier = sample.rows
    key = newest["periodKey"]
    milestones = await queries.milestones(connection, project, challenge["id"], key, size)
    return {
        **challenge,
        **newest,
        "share": sample.share,
        "milestones": milestones,
        "earlier": earlier,
    }
