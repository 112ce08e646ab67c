"""Points: granted, taken, lapsing and owed."""

from typing import Any

from fastapi import Request, Response

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.queries.dashboard import points as queries
from api.queries.dashboard.samples import Sample
from api.queries.operations import snapshot

router = page_router()


@router.get("/dashboard/points", summary="Points in all", openapi_extra=refusals())
async def points(request: Request, caller: Reader) -> Response:
    """Answer what members have, what lapses when, and what came and went on each of the last days
    (UTC); each with the `share` of the members whom it is counted from."""
    held = resources.of(request)
    async with held.reads.connection() as connection, snapshot(connection):
        owed = await queries.owed(connection, caller.project)
        lapsing = await queries.lapsing(connection, caller.project)
        flow = await queries.flow(connection, caller.project)
    shown = {"owed": owed, "lapsing": lapsing, "flow": flow}
    return answer({name: _shown(part) for name, part in shown.items()} | {"days": queries.DAYS})


def _shown(sample: Sample) -> dict[str, Any]:
    return {"share": sample.share, "rows": sample.rows}
