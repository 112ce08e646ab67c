"""The route of the pathway logs face."""

import time

from fastapi import APIRouter, Request, Response

from api import resources
from api.faces.pathways import bodies
from api.faces.pathways import openapi as described
from api.faces.pathways.face import PATH, Reader
from api.faces.pathways.logs import MODELS, PathwayLogs
from api.http.routing import StrictRoute

router = APIRouter(tags=[described.TAG], route_class=StrictRoute)


@router.post(f"{PATH}/pathway-logs", summary="Read a pathway's logs", openapi_extra=described.LOGS)
async def pathway_logs(request: Request, caller: Reader) -> Response:
    """Answer what every enrolled member did at each activity, as far as the filters let it pass.

    The body is JSON whatever its content type says; keys need no quotes.
    """
    began = time.perf_counter()
    query = bodies.parse(await request.body(), caller.project)
    held = resources.of(request)
    await held.barrier.wait(MODELS)
    return PathwayLogs(held, caller.project, query, began)
