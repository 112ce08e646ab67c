"""What sets this face apart before any route: versions in its paths, the shape of its errors."""

import re
from typing import Any

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from api.http.problems import Problem
from api.http.responses import answer

PATHS = ("/event", "/analytics", "/stats", "/leaderboard", "/user")
"""What the paths of this face begin with, once the version is off."""

LOGIN = 'Bearer realm="milestream"'
"""What a 401 asks for. Not Basic: a browser would ask an end user for a name and a password."""

_OURS = re.compile(rf"(?:/v[0-3])?((?:{'|'.join(PATHS)})(?:/.*)?)", re.DOTALL)


class EventsFace:
    """ASGI middleware: takes the version off a path of this face, and gives it its errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its path as the routes have it."""
        if scope["type"] == "http" and (path := stripped(scope["path"])) is not None:
            scope = {**scope, "path": path, problems.RENDERER: refused}
        await self._app(scope, receive, send)


def stripped(path: str) -> str | None:
    """Return a path of this face without its version, None where it is not of this face."""
    match = _OURS.fullmatch(path)
    return match[1] if match else None


def body_of(status: int, message: str, **more: Any) -> dict[str, Any]:
    """Return what this face says beside, or in place of, data."""
    return {"statusCode": status, "message": message, **more}


def refused(problem: Problem) -> Response:
    """Return a problem as this face answers it."""
    headers = problem.headers
    if problem.status == 401:
        headers = {"www-authenticate": LOGIN, **headers}
    return answer(body_of(problem.status, problem.detail), problem.status, headers)
