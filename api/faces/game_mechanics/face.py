"""What sets this face apart before any route: whatever goes wrong is answered in its envelope."""

from collections.abc import Callable

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.faces.game_mechanics import parameters
from api.faces.game_mechanics.errors import from_problem
from api.faces.game_mechanics.presentation import Presentation, wanted
from api.http import problems
from api.http.problems import Problem

PREFIX = "/gm."
"""What the paths of this face begin with."""


class GameMechanicsFace:
    """ASGI middleware: gives a request to this face its errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            # Until a body is read, the query tells how to answer.
            presentation, _ = wanted(parameters.of_query(scope["query_string"]))
            scope = {**scope, problems.RENDERER: renderer(presentation)}
        await self._app(scope, receive, send)


def renderer(presentation: Presentation) -> Callable[[Problem], Response]:
    """Return how problems are answered to a caller that wants to be answered so."""

    def rendered(problem: Problem) -> Response:
        if problem.status in (404, 405):  # a path or method that is none of this face
            return problems.response(problem)
        return presentation.failure(from_problem(problem), problem.headers)

    return rendered
