"""The face's paths, the shape of its errors, and its readers."""

from typing import Annotated, Any

from fastapi import Depends, Response
from starlette.types import Scope

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http.problems import Problem, Renderer
from api.http.responses import json_response

PATH = "/v1/logs"
"""What the paths of this face begin with."""

LOGIN = 'Basic realm="milestream", charset="UTF-8"'
"""What a 401 asks for."""

reader = require(
    Role.ADMIN, Role.ANALYST, wanted="Basic credentials are required: keyId:secret of an API key."
)

Reader = Annotated[Caller, Depends(reader)]
"""Who may read: keys with role admin or analyst."""


def path_of(path: str) -> str | None:
    """Return a path of this face, None where it is not of this face."""
    return path if path == PATH or path.startswith(f"{PATH}/") else None


def renderer(_scope: Scope) -> Renderer:
    """Return how problems are answered to any request."""
    return refused


def refused(problem: Problem) -> Response:
    """Return a problem as this face answers it."""
    body: dict[str, Any] = {"status": "error", "message": problem.detail}
    return json_response(body, problem.status, problem.headers_asking(LOGIN))
