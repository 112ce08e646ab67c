"""A face: paths with common errors, a common guard and a chapter in `/openapi.json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from api.http.component_refs import Schema, text
from api.http.problems import Guard, Renderer

Security = Sequence[Mapping[str, Sequence[str]]]

API_KEY: Security = ({"apiKey": [], "apiSecret": []}, {"basic": []})
"""An API key, in headers of its own or as Basic credentials."""


@dataclass(frozen=True)
class ErrorSchema:
    """A face's errors: their component, and the prefix of their responses' names."""

    component: str
    schema: Schema
    response_prefix: str


def _any_id(_name: str) -> Schema:
    return text(minLength=1, maxLength=256)


@dataclass(frozen=True)
class Chapter:
    """What a face adds to `/openapi.json` beside its routes.

    Attributes:
        tag: the tag of its operations.
        description: of the tag; empty: the tag is not described.
        security: what its operations take; each of them is enough. Empty: they are open.
        security_schemes: logins that only this face has.
        schemas: components that are made by hand.
        structs: what it answers and takes; components are made of them.
        bodies: those of `structs`, or inside them, that callers send.
        derived: given the components of all structs, returns those made of them.
        errors: the shape of its errors, where they are no problem documents.
        common_errors: whether its operations refer to the errors that any request may meet.
        path_parameter: given the name of a part of its paths, returns the schema.
    """

    tag: str
    description: str = ""
    security: Security = API_KEY
    security_schemes: Mapping[str, Schema] = field(default_factory=dict)
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    structs: tuple[type[Any], ...] = ()
    bodies: tuple[type[Any], ...] = ()
    derived: Callable[[Mapping[str, Schema]], dict[str, Schema]] | None = None
    errors: ErrorSchema | None = None
    common_errors: bool = True
    path_parameter: Callable[[str], Schema] = _any_id


@dataclass(frozen=True)
class Face:
    """One face of the API; `api.app` serves those that it lists.

    Attributes:
        router: the routes.
        openapi: the chapter of the OpenAPI document.
        prefixes: what the paths begin with, without the slash.
        guard: asked before a path below `prefixes` is said not to be there.
        path_of: given a path, returns it as the routes have it; None: it is not of this face.
        renderer: given a request's scope, returns how its problems are answered. None: as problem
            documents; then `path_of` is not asked.
    """

    router: APIRouter
    openapi: Chapter
    prefixes: tuple[str, ...] = ()
    guard: Guard | None = None
    path_of: Callable[[str], str | None] = lambda _path: None
    renderer: Callable[[Scope], Renderer] | None = None


class FaceMiddleware:
    """ASGI middleware: selects a request's face by its path."""

    def __init__(self, app: ASGIApp, faces: Sequence[Face]) -> None:
        self._app = app
        self._faces = [(each.path_of, each.renderer) for each in faces if each.renderer is not None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its path as the routes have it."""
        if scope["type"] == "http":
            for path_of, renderer in self._faces:
                if (path := path_of(scope["path"])) is not None:
                    scope = {**scope, "path": path, problems.RENDERER: renderer(scope)}
                    break
        await self._app(scope, receive, send)


def guards(faces: Sequence[Face]) -> dict[str, Guard]:
    """Return the faces' guards by path prefix."""
    return {f"{p}/": each.guard for each in faces if each.guard for p in each.prefixes}
