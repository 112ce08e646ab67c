"""What sets this face apart before any route: the shape of its errors, and who may read."""

from typing import Annotated, Any

from fastapi import Depends, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http import problems
from api.http.problems import Problem
from api.http.responses import answer

PATH = "/v1/logs"
"""What the paths of this face begin with."""

LOGIN = 'Basic realm="milestream", charset="UTF-8"'
"""What a 401 asks for."""

reader = require(
    Role.ADMIN, Role.ANALYST, wanted="Basic credentials are required: keyId:secret of an API key."
)

Reader = Annotated[Caller, Depends(reader)]
"""Who may read: keys with role admin or analyst."""


class PathwaysFace:
    """ASGI middleware: gives the requests to this face its errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and is_ours(scope["path"]):
            scope = {**scope, problems.RENDERER: refused}
        await self._app(scope, receive, send)


def is_ours(path: str) -> bool:
    """Tell whether a path is of this face."""
    return path == PATH or path.startswith(f"{PATH}/")


def refused(problem: Problem) -> Response:
    """Return a problem as this face answers it."""
    headers = problem.headers
    if problem.status == 401:
        headers = {"www-authenticate": LOGIN, **headers}
    body: dict[str, Any] = {"status": "error", "message": problem.detail}
    return answer(body, problem.status, headers)
