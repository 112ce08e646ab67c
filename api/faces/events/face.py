"""The face's paths with their versions, and the shape of its errors."""

import re
from typing import Any

from fastapi import Response
from starlette.datastructures import QueryParams
from starlette.types import Scope

from api.http import moments
from api.http.problems import Problem, Renderer
from api.http.responses import json_response

PATHS = ("/event", "/analytics", "/stats", "/leaderboard", "/user")
"""What the paths of this face begin with, once the version is off."""

COMMANDS = frozenset({"spend", "hold", "capture", "release", "adjust", "tier", "void", "forget"})
"""What the paths of calls end with that move points or a tier, take something back, or forget."""

WHY_NOT = "why-not"
"""What the path of the read ends with whose refusals programs tell apart."""

OF_THEN = frozenset({"points", "streak", "tier"})
"""What the paths of a user's reads end with that take ``asOf``: of an earlier moment, a 503 says
whether tables must be rebuilt first or trying again is enough."""

LOGIN = 'Bearer realm="milestream"'
"""What a 401 asks for. Not Basic: a browser would ask an end user for a name and a password."""

_OURS = re.compile(rf"(?:/v[0-3])?((?:{'|'.join(PATHS)})(?:/.*)?)", re.DOTALL)


def stripped(path: str) -> str | None:
    """Return a path of this face without its version, None where it is not of this face."""
    match = _OURS.fullmatch(path)
    return match[1] if match else None


def body_of(status: int, message: str, **more: Any) -> dict[str, Any]:
    """Return what this face says beside, or in place of, data."""
    return {"statusCode": status, "message": message, **more}


def renderer(scope: Scope) -> Renderer:
    """Return how problems are answered to a request."""
    path: str = scope["path"]
    before, _, last = path.rpartition("/")
    is_command = last in COMMANDS and ("/user/" in before or "/event/" in before)
    if is_command and scope["method"] == "POST":
        return refused_with_code
    of_then = last in OF_THEN and moments.NAME in QueryParams(scope.get("query_string", b""))
    tells_apart = last == WHY_NOT or of_then
    return refused_with_code if tells_apart and "/user/" in before else refused


def refused(problem: Problem) -> Response:
    """Return a problem as this face answers it."""
    body = body_of(problem.status, problem.detail, **problem.tried)
    return json_response(body, problem.status, problem.headers_asking(LOGIN))


def refused_with_code(problem: Problem) -> Response:
    """Return a problem with a word for programs, and, of a command, what is short."""
    body = body_of(
        problem.status, problem.detail, code=problem.code, **problem.more, **problem.tried
    )
    return json_response(body, problem.status, problem.headers_asking(LOGIN))
