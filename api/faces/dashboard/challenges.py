"""How far members are in each challenge."""

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import challenges as queries

router = page_router()


@router.get("/dashboard/challenges", summary="How far members are", openapi_extra=refusals())
async def challenges(request: Request, caller: Reader) -> Response:
    """Answer, of each live challenge's newest period, who began, completed, reached what."""
    held = resources.of(request)
    async with held.reads.connection() as connection:
        found = await queries.funnels(connection, caller.project)
    return answer({"challenges": found})
