"""Errors as `application/problem+json` (RFC 9457), or in the shape of the request's face."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import msgspec
from fastapi import FastAPI, Request, Response
from msgspec import Raw
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from schemas.replies import FieldError

MEDIA_TYPE = "application/problem+json"

CODES = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "too_large",
    500: "internal",
    503: "unavailable",
}
"""The default `code` of a problem, by status."""

Renderer = Callable[["Problem"], Response]
"""Returns the response of a problem."""

RENDERER = "milestream.problem_response"
"""Key of a request's scope: the `Renderer` of its face, `response` by default."""

REFUSAL = "milestream.refusal"
"""Key of a request's state: the problem for which the server refuses it or stops reading."""

CHALLENGE = 'Basic realm="milestream", charset="UTF-8", Bearer realm="milestream"'
"""What a 401 asks for (`WWW-Authenticate`)."""


class Problem(Exception):
    """A request is refused; raised anywhere below a route, answered as a problem document.

    Attributes:
        status: the HTTP status.
        detail: what is wrong, in words for the caller; never anything internal.
        code: a stable word for programs.
        errors: (field, message) of each field at fault, by its name on the wire.
        record: for a duplicate, the JSON of the first answer.
        more: what a program may want beside the code; a problem document shows of it the `id` of
            what is in the way, and `since` when inputs are there, other faces what is theirs.
        tried: what a dry run, and a trace, add at the end.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[tuple[str, str]] = (),
        record: Raw | None = None,
        more: Mapping[str, object] | None = None,
        tried: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or CODES.get(status, "error")
        self.errors = errors
        self.record = record
        self.more = dict(more or {})
        self.tried = dict(tried or {})
        self.headers = dict(headers or {})

    def headers_asking(self, login: str) -> dict[str, str]:
        """Return the answer's headers; those of a 401 ask for this login (`WWW-Authenticate`)."""
        if self.status != 401:
            return self.headers
        return {"www-authenticate": login, **self.headers}


def invalid(field: str, message: str) -> Problem:
    """Return a 400 that names one field; an empty name stands for the whole body."""
    if not field:
        return Problem(400, f"The body {message}.")
    return Problem(400, f"{field}: {message}", errors=[(field, message)])


def not_found(what: str, record_id: str) -> Problem:
    """Return the 404 of a record that does not exist, or belongs to somebody else."""
    return Problem(404, f"There is no {what} {clipped(record_id)!r}.")


def clipped(text: str) -> str:
    """Return a caller's text, shortened to be repeated in a message."""
    return text if len(text) <= 80 else text[:80] + "…"


class _Document(msgspec.Struct, omit_defaults=True):
    """The members of a problem document, in the order on the wire."""

    type: str | None = None
    title: str = ""
    status: int = 0
    detail: str = ""
    code: str = ""
    errors: list[FieldError] = []
    record: Raw | None = None
    id: str | None = None
    since: str | None = None
    trace: Raw | None = None
    dry_run: bool = msgspec.field(name="dryRun", default=False)


def response(problem: Problem) -> Response:
    """Return a problem as a problem document."""
    document = _Document(
        # No page describes problems; programs read `code`.
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        errors=[FieldError(field, message) for field, message in problem.errors],
        record=problem.record,
        id=cast("str | None", problem.more.get("id")),
        since=cast("str | None", problem.more.get("since")),
        trace=cast("Raw | None", problem.tried.get("trace")),
        dry_run=bool(problem.tried.get("dryRun")),
    )
    return Response(
        msgspec.json.encode(document),
        problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers_asking(CHALLENGE),
    )


def response_to(scope: Scope, problem: Problem) -> Response:
    """Return the response of a problem, in the shape of the request's face."""
    render: Renderer = scope.get(RENDERER, response)
    return render(problem)


Guard = Callable[[Request], Awaitable[object]]
"""Lets a request pass, or raises a `Problem`."""


def install(app: FastAPI, guards: Mapping[str, Guard]) -> None:
    """Install the handlers of problems, the framework's own errors included.

    `guards`, by path prefix, are called before an unknown path is a 404.
    """

    app.state.guards = guards

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        try:
            problem = await _from_framework(request, error)
        except Problem as refused:
            problem = refused
        return response_to(request.scope, problem)

    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return response_to(request.scope, error)


async def _from_framework(request: Request, error: HTTPException) -> Problem:
    """Return the problem of an unknown path or method."""
    if error.status_code == 405:
        return not_allowed(request.method, methods_at(request))
    if error.status_code == 404:
        return await nothing_at(request)
    return Problem(error.status_code, HTTPStatus(error.status_code).phrase)


def not_allowed(method: str, allowed: str) -> Problem:
    """Return the 405 of a method that a path does not have; `allowed` is the `Allow` header."""
    detail = f"{method} is not possible here; possible: {allowed}."
    return Problem(405, detail, headers={"allow": allowed})


async def nothing_at(request: Request) -> Problem:
    """Return the 404 of an unknown path, after its face's guard.

    Raises:
        Problem: 401 or 403, for anybody else.
    """
    guards: Mapping[str, Guard] = request.app.state.guards
    for beginning, guard in guards.items():
        if request.url.path.startswith(beginning):
            await guard(request)
    return Problem(404, f"There is nothing at {clipped(request.url.path)!r}.")


def methods_at(request: Request) -> str:
    """Return a path's methods as an `Allow` header.

    HEAD is possible where GET is and changes nothing.
    """
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods: Any = getattr(route, "methods", None) or ()
            found.update(methods)
            if "GET" in methods and not getattr(route, "changes", False):
                found.add("HEAD")
    if found:
        found.add("OPTIONS")
    return ", ".join(sorted(found))
