"""`/definitions/{kind}`: definitions of every kind, as `milestream apply` takes them."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from typing_extensions import override

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http import actors, bodies
from api.http.component_refs import Schema, new, ref, text
from api.http.face import Chapter, Face
from api.http.preconditions import etag, expected_version
from api.http.problems import Problem, clipped, not_found
from api.http.responses import encoded, json_response
from api.http.routing import StrictRoute
from api.http.streaming import Body, StreamedResponse
from api.kafka.definition_store import parsed, without
from api.kafka.processor_client import unavailable
from api.queries import clocks
from api.queries import users as queries
from api.queries.record_listing import MAX_LIMIT, MAX_OFFSET, whole
from schemas import definitions as models
from schemas.clocks import KEPT
from schemas.definition_set import Stored

Writer = Annotated[Caller, Depends(require(Role.ADMIN))]

reader = require(Role.ADMIN, Role.ANALYST)

Reader = Annotated[Caller, Depends(reader)]

TAG = "definitions"

router = APIRouter(tags=[TAG], route_class=StrictRoute)

_DOCUMENT = {
    "type": "object",
    "description": "The fields of the kind's component, with `kind` and `project` beside them.",
}
_WRITTEN = {
    "description": "Of the kind in the path, as an id in it is.",
    "anyOf": [ref(new(model.__name__)) for model in models.KINDS.values()],
}
_PAGE = {
    "type": "object",
    "required": ["data", "paging"],
    "properties": {"data": {"type": "array", "items": _DOCUMENT}, "paging": ref("Paging")},
}
_IF_MATCH = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _described(
    good: dict[str, str], *bad: int, schema: dict[str, Any] = _DOCUMENT, **more: Any
) -> dict[str, Any]:
    """Return what `/openapi.json` says: what is good, by status, and which problems may come."""
    responses: dict[str, Any] = {
        status: {"description": text, "content": _json(schema)} for status, text in good.items()
    }
    responses |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in bad}
    return {"responses": responses, **more}


_LIST = _described(
    {"200": "The definitions."},
    *(401, 403, 404, 503),
    schema=_PAGE,
    parameters=[
        {
            "name": "offset",
            "in": "query",
            "schema": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
        },
        {
            "name": "limit",
            "in": "query",
            "description": "All without it.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        },
    ],
)
_GET = _described({"200": "The definition."}, 401, 403, 404, 503)
_PUT = _described(
    {"200": "The definition, which was there already.", "201": "The definition, which is new."},
    *(400, 401, 403, 404, 409, 412, 413, 503),
    parameters=[_IF_MATCH, actors.PARAMETER],
    requestBody={"required": True, "content": _json(_WRITTEN)},
)
_DELETE = _described(
    {}, *(400, 401, 403, 404, 409, 412, 503), parameters=[_IF_MATCH, actors.PARAMETER]
)


@router.get("/definitions/{kind}", summary="List the definitions of a kind", openapi_extra=_LIST)
async def list_(request: Request, caller: Reader, kind: str) -> Response:
    """Answer a project's definitions of a kind, in the order they were first written: all, or a
    page of them."""
    _known(kind)
    query = request.query_params
    offset = whole("offset", query.get("offset"), default=0, least=0, most=MAX_OFFSET)
    limit = whole("limit", query.get("limit"), default=MAX_OFFSET, least=1, most=MAX_LIMIT)
    definitions = await resources.of(request).definitions.current()
    total = definitions.count(caller.project, kind)
    shown = islice(definitions.of(caller.project, kind), offset, offset + limit)
    return _Page(tuple(shown), offset, total)


class _Page(StreamedResponse):
    """Definitions, made into JSON one by one as they are sent: together they may be many MiB."""

    def __init__(self, shown: Sequence[Stored], offset: int, total: int) -> None:
        super().__init__()
        self._shown = shown
        self._offset = offset
        self._total = total

    @override
    async def write(self, body: Body) -> None:
        await body.put(b'{"data":[')
        comma = b""
        for stored in self._shown:
            await body.put(comma + encoded(document(stored)))
            comma = b","
        paging = {"offset": self._offset, "limit": len(self._shown), "totalCount": self._total}
        await body.end(b'],"paging":' + encoded(paging) + b"}")


@router.get("/definitions/{kind}/{id}", summary="Get a definition", openapi_extra=_GET)
async def get(request: Request, caller: Reader, kind: str, id: str) -> Response:  # noqa: A002
    """Answer a definition, as it can be put or applied again."""
    _known(kind)
    definitions = await resources.of(request).definitions.current()
    stored = definitions.get(caller.project, kind, spelled(kind, id))
    if stored is None:
        raise not_found(kind, id)
    return json_response(document(stored), headers={"etag": etag(stored.version)})


@router.put(
    "/definitions/{kind}/{id}", summary="Create or replace a definition", openapi_extra=_PUT
)
async def put(request: Request, caller: Writer, kind: str, id: str) -> Response:  # noqa: A002
    """Put a definition in force: 201 where there was none, else 200."""
    _known(kind)
    if kind == models.Project.kind and id != caller.project:
        raise not_found(kind, id)
    actor = actors.named(request)
    fields = await bodies.read_object(request)
    fields = without(fields, {"kind": kind, "project": caller.project})
    if fields.get("id") is None:
        fields["id"] = id
    definition = parsed(kind, fields)
    if definition.id != spelled(kind, id):
        raise Problem(400, "id: must be the id in the path", errors=[("id", "must be the path's")])

    store = resources.of(request).definitions
    clock = await _clock_to_keep(request, caller.project, definition)

    def judge(before: Stored | None) -> models.Definition:
        if before is not None:
            expected_version(request, before.version)
        elif "if-match" in request.headers:
            raise not_found(kind, id)
        _same_clock(before, clock)
        return definition

    before, after = await store.write(caller.project, kind, definition.id, judge, actor=actor)
    if after is None:
        raise Problem(409, "The definition was deleted by somebody else meanwhile.")
    status = 201 if before is None else 200
    return json_response(document(after), status, {"etag": etag(after.version)})


@router.delete(
    "/definitions/{kind}/{id}",
    summary="Delete a definition",
    status_code=204,
    openapi_extra=_DELETE,
)
async def delete(request: Request, caller: Writer, kind: str, id: str) -> Response:  # noqa: A002
    """Delete a definition; what was given under it stays. A wallet goes when nobody has points in
    it, the settings of a project on a test clock while it has no members."""
    _known(kind)
    actor = actors.named(request)
    store = resources.of(request).definitions
    name = spelled(kind, id)
    gone = models.Project(id=caller.project) if kind == models.Project.kind else None
    clock = await _clock_to_keep(request, caller.project, gone)

    def judge(before: Stored | None) -> None:
        if before is None:
            raise not_found(kind, id)
        expected_version(request, before.version)
        _same_clock(before, clock)

    if kind == models.Wallet.kind:
        judge((await store.current()).get(caller.project, kind, name))
        await require_empty(request, caller.project, name)
    await store.write(caller.project, kind, name, judge, actor=actor)
    return Response(status_code=204)


async def require_empty(request: Request, project: str, wallet: str) -> None:
    """Refuse to delete a wallet in which somebody has points: they would live for ever.

    Raises:
        Problem: 409; or 503, the balances are not up to date.
    """
    held = resources.of(request)
    if not await held.barrier.wait(("points_balances",)):
        raise unavailable("The balances are not up to date; try again.")
    async with held.reads.connection() as connection:
        if await queries.has_points(connection, project, wallet):
            detail = f"Members have points in the wallet {clipped(wallet)!r}."
            raise Problem(409, detail, code="wallet_in_use")


async def _clock_to_keep(
    request: Request, project: str, after: models.Definition | None
) -> str | None:
    """Return the clock that a project has, where its settings are to give it another one; None
    where nothing is said of its clock.

    Raises:
        Problem: 409, the project has members, which keep theirs; or 503, it is not known whether.
    """
    if not isinstance(after, models.Project):
        return None
    held = resources.of(request)
    definitions = await held.definitions.current()
    clock = models.MANUAL if definitions.is_manual(project) else models.LIVE
    if not definitions.changes_clock(project, after):
        return clock
    if not await held.barrier.wait(("members",)):
        raise unavailable("The members are not up to date; try again.")
    async with held.reads.connection() as connection:
        if await clocks.has_members(connection, project):
            raise Problem(409, f"The clock {KEPT}.", code="clock_in_use")
    return clock


def _same_clock(before: Stored | None, clock: str | None) -> None:
    """Refuse a write where the clock is not what it was when the members were looked for.

    Raises:
        Problem: 409.
    """
    if clock is None:
        return
    settings = None if before is None else before.definition
    was = settings.clock if isinstance(settings, models.Project) else models.LIVE
    if was != clock:
        raise Problem(409, "The project's clock was changed by somebody else meanwhile.")


def document(stored: Stored) -> dict[str, Any]:
    """Return a definition as a document of `milestream apply`."""
    fields = models.wire_fields(stored.definition)
    return {"kind": stored.kind, "project": stored.project, **fields}


def spelled(kind: str, definition_id: str) -> str:
    """Return an id as it is stored: UUIDs in lower case."""
    uuids = (models.Challenge.kind, models.Milestone.kind)
    return definition_id.lower() if kind in uuids else definition_id


def _known(kind: str) -> None:
    if kind not in models.KINDS:
        kinds = ", ".join(models.KINDS)
        raise Problem(404, f"There is no kind {clipped(kind)!r}; there are {kinds}.")


def _path_parameter(name: str) -> Schema:
    return {"enum": list(models.KINDS)} if name == "kind" else text(minLength=1, maxLength=256)


FACE = Face(router, Chapter(TAG, path_parameter=_path_parameter), ("/definitions",), guard=reader)
