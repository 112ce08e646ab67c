"""`/login` and `/logout`: a link that opens once signs a browser in to the dashboard."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api import pages, resources
from api.auth import sessions
from api.http.component_refs import text
from api.http.face import Chapter, Face
from api.http.routing import ChangingRoute

TAG = "sessions"

router = APIRouter(tags=[TAG], route_class=ChangingRoute)

_LOGIN = {
    "parameters": [
        {
            "name": "token",
            "in": "query",
            "description": "What `milestream keys link` printed; it opens once.",
            "schema": text(maxLength=128),
        }
    ],
    "responses": {"401": {"description": "The link was opened before, or is too old."}},
}
_LOGOUT = {"responses": {"204": {"description": "The session is over."}}}


@router.get(
    "/login", summary="Sign a browser in", response_class=HTMLResponse, openapi_extra=_LOGIN
)
async def login(request: Request) -> Response:
    """Answer a page that leads to the dashboard, with the session as a cookie."""
    held = resources.of(request)
    async with held.pool.connection() as connection:
        session = await sessions.open_link(connection, request.query_params.get("token", ""))
    if session is None:
        response = pages.page("link-over.html")
        response.status_code = 401
        return response
    # It leads there by itself: to a redirect from another site no cookie would be sent.
    response = pages.page("signed-in.html")
    response.headers["cache-control"] = "no-store"
    response.set_cookie(
        sessions.COOKIE,
        session,
        max_age=sessions.SESSION_SECONDS,
        secure=held.settings.public_url.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/logout", summary="Sign a browser out", status_code=204, openapi_extra=_LOGOUT)
async def logout(request: Request) -> Response:
    """End the browser's session; where it has none, nothing is done."""
    session = sessions.cookie_of(request)
    response = Response(status_code=204)
    if session is not None:
        await resources.of(request).keyring.end_session(session)
        response.delete_cookie(sessions.COOKIE)
    return response


FACE = Face(router, Chapter(TAG, security=()))
