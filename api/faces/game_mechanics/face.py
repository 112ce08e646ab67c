"""The face's paths; errors are answered in its envelope."""

from fastapi import Response
from starlette.types import Scope

from api.faces.game_mechanics.errors import from_problem
from api.faces.game_mechanics.parameters import of_query
from api.faces.game_mechanics.presentation import Presentation, presentation_of
from api.http import problems
from api.http.problems import Problem, Renderer

PREFIX = "/gm."
"""What the paths of this face begin with."""


def path_of(path: str) -> str | None:
    """Return a path of this face, None where it is not of this face."""
    return path if path.startswith(PREFIX) else None


def renderer(scope: Scope) -> Renderer:
    """Return how problems are answered until a body is read: as the query wants it."""
    presentation, _ = presentation_of(of_query(scope["query_string"]))
    return rendering(presentation)


def rendering(presentation: Presentation) -> Renderer:
    """Return how problems are answered to a caller that wants to be answered so."""

    def rendered(problem: Problem) -> Response:
        if problem.status in (404, 405):  # a path or method that is none of this face
            return problems.response(problem)
        return presentation.failure(from_problem(problem), problem.headers)

    return rendered
