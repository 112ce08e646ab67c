"""How far members are on each pathway."""

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import pathways as queries

router = page_router()


@router.get("/dashboard/pathways", summary="Pathways", openapi_extra=refusals())
async def pathways(request: Request, caller: Reader) -> Response:
    """Answer of each pathway how many are enrolled, and completed each activity."""
    held = resources.of(request)
    async with held.reads.connection() as connection:
        found = await queries.pathways(connection, caller.project)
    return answer({"pathways": found})
