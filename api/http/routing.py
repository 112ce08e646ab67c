"""Routes that pass an endpoint its request, dependencies and path parameters, and nothing else."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from api.http import dry_runs
from api.http.problems import Problem, clipped, invalid

Dependency = Callable[[Request], Awaitable[object]]


class DirectRoute(APIRoute):
    """A route with a direct handler: request, dependencies of the request, and path parameters.

    FastAPI's own handler took a sixth of the processor time of a read. The documents describe both
    alike.
    """

    changes = False
    """Whether a GET changes something. HEAD is not possible then."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._beginning = path.partition("{")[0]
        described = (self.openapi_extra or {}).get("parameters", ())
        self._known = frozenset(each["name"] for each in described if each["in"] == "query")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the route matches; most often the path's prefix decides."""
        if scope["type"] != "http" or not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        dependant = self.dependant
        _refuse_parameters(dependant)
        endpoint: Callable[..., Coroutine[Any, Any, Response]] = self.endpoint
        dependencies = [_dependency(each) for each in dependant.dependencies]
        texts = [parameter.name for parameter in dependant.path_params]
        check_query = self.check_query

        async def handle(request: Request) -> Response:
            arguments: dict[str, object] = {}
            if dependant.request_param_name is not None:
                arguments[dependant.request_param_name] = request
            for name, dependency in dependencies:
                arguments[name] = await dependency(request)
            for name in texts:
                arguments[name] = request.path_params[name]
            check_query(request)
            return await endpoint(**arguments)

        return handle

    def check_query(self, request: Request) -> None:
        """Accept any query."""


class ChangingRoute(DirectRoute):
    """A route that changes something by any method."""

    changes = True


class StrictRoute(DirectRoute):
    """A route that accepts only the described query parameters, each once.

    A misspelt parameter must not be ignored.
    """

    def check_query(self, request: Request) -> None:
        """Check a query.

        Raises:
            Problem: 400 naming the parameter.
        """
        raw: bytes = request.scope["query_string"]
        if not raw:
            return
        try:
            text = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise Problem(400, "The query is not UTF-8.") from None
        seen: set[str] = set()
        for name, _ in request.query_params.multi_items():
            if name not in self._known:
                if name == dry_runs.DRY_RUN and request.method not in ("GET", "HEAD"):
                    raise dry_runs.unsupported()
                names = ", ".join(sorted(self._known))
                known = f"known: {names}" if names else "there are none"
                raise invalid(clipped(name), f"is not a parameter here; {known}")
            if name in seen:
                raise invalid(name, "must be given once")
            seen.add(name)
        if "\x00" in text:
            named = (n for n, value in request.query_params.items() if "\x00" in value)
            raise invalid(next(named), "must not contain U+0000")


def _dependency(dependant: Dependant) -> tuple[str, Dependency]:
    """Return the name of a dependency's parameter, and the dependency."""
    _refuse_parameters(dependant)
    assert dependant.name is not None
    assert dependant.call is not None
    assert not dependant.path_params
    assert not dependant.dependencies
    return dependant.name, dependant.call


def _refuse_parameters(dependant: Dependant) -> None:
    """Refuse an endpoint that needs FastAPI's own handler."""
    others = (
        dependant.query_params,
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params,
    )
    assert not any(others), f"{dependant.call} wants more than its request"
