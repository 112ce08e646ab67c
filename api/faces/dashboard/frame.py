"""The page that all others are shown in, and who looks at it."""

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from api import pages
from api.faces.dashboard.answers import Reader, answer, described, page_router, refusals
from api.http.routing import DirectRoute

router = page_router()


async def page(_caller: Reader) -> Response:
    """Answer the page; a browser asks for keyId and secret as user name and password."""
    return pages.page("dashboard.html")


router.add_api_route(
    "/",
    page,
    summary="The dashboard",
    response_class=HTMLResponse,
    openapi_extra=described({401, 403, 503}),
    route_class_override=DirectRoute,  # a link to it may have a query of somebody else's
)


@router.get("/dashboard/session", summary="Who looks", openapi_extra=refusals())
async def session(request: Request, caller: Reader) -> Response:
    """Answer the caller's project and role: admins act, analysts look."""
    return answer({"project": caller.project, "role": caller.role, "version": request.app.version})
