"""`/recalculations`: what history would have come to under other definitions, and correcting it."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec import Raw

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http import actors, bodies
from api.http.component_refs import NULL, Schema, new, ref
from api.http.component_refs import UUID as UUID_SCHEMA
from api.http.face import Chapter, Face
from api.http.problems import Problem, invalid, not_found
from api.http.responses import json_response
from api.http.routing import StrictRoute
from api.kafka.definition_store import parsed, without
from api.queries import recalculations as queries
from api.recalculating import answers, asking, inputs
from api.recalculating.answers import (
    RecalculationAnswer,
    RecalculationBegun,
    RecalculationList,
)
from api.recalculating.asking import Asked
from schemas import definitions as models
from schemas import ids
from schemas.instants import InstantError, utc
from schemas.records import Instant

Writer = Annotated[Caller, Depends(require(Role.ADMIN))]

reader = require(Role.ADMIN, Role.ANALYST)

Reader = Annotated[Caller, Depends(reader)]

TAG = "recalculations"
WHAT = "recalculation"
Total = Annotated[int, msgspec.Meta(ge=0, le=asking.MAX_TOTAL)]

router = APIRouter(tags=[TAG], route_class=StrictRoute)


class RecalculationBody(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be recalculated, and how."""

    definitions: list[Raw] | None = None
    challenge_id: str | None = None
    since: Instant | None = None
    mode: Literal["additive", "exact"] = "additive"
    apply: bool = False
    max_points: Total | None = None
    max_rewards: Total | None = None


_DOCUMENTS: Schema = {
    "type": "array",
    "description": "Challenges and their milestones, as they are to be. One of the two: these, or "
    "`challengeId`.",
    "minItems": 1,
    "maxItems": asking.MAX_DEFINITIONS,
    "items": {"oneOf": [ref("RecalculatedChallenge"), ref("RecalculatedMilestone")]},
}
_SHOWN: Schema = {
    "type": "array",
    "description": "As `milestream apply` takes them.",
    "items": {"type": "object"},
}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(name)}}


def _described(
    good: dict[str, tuple[str, str]], *bad: int, gone: bool = False, **more: Any
) -> dict[str, Any]:
    """Return what `/openapi.json` says: what is good, and which problems may come."""
    responses: dict[str, Any] = {
        status: {"description": text} | ({"content": _json(name)} if name else {})
        for status, (text, name) in good.items()
    }
    responses |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in bad}
    if gone:
        content = {"application/problem+json": {"schema": ref("Problem")}}
        responses["422"] = {
            "description": "Retention took inputs of it (`inputs_gone`).",
            "content": content,
        }
    return {"responses": responses, **more}


_POST = _described(
    {"202": ("It runs; `GET` tells what becomes of it.", "RecalculationBegun")},
    *(400, 401, 403, 404, 409, 413, 503),
    gone=True,
    parameters=[actors.PARAMETER],
    requestBody={"required": True, "content": _json("RecalculationBody")},
)
_LIST = _described({"200": ("The newest ones.", "RecalculationList")}, 401, 403, 503)
_GET = _described({"200": ("It.", "RecalculationAnswer")}, 401, 403, 404, 503)
_DELETE = _described({}, 401, 403, 404, 409, 503)


@router.post("/recalculations", status_code=202, summary="Recalculate", openapi_extra=_POST)
async def begin(request: Request, caller: Writer) -> Response:
    """Replay history under other definitions, or a challenge's present ones: report what changes,
    and correct it with `apply`.

    The same again goes on with the one that runs, where nobody works at it.
    """
    held = resources.of(request)
    actor = actors.named(request)
    body = await bodies.read(request, RecalculationBody, caller.project)
    asked = _asked(body, caller.project, actor)
    definitions = asking.definitions_of(asked, await held.definitions.current())
    await inputs.require(held.settings)
    async with held.pool.connection() as connection:
        begun = await asking.begin(connection, asked, definitions, by_command=False)
    await held.recalculations.start(begun.id, begun.owner)
    location = f"/recalculations/{begun.id}"
    return json_response(RecalculationBegun(id=begun.id), 202, {"location": location})


def _asked(body: RecalculationBody, project: str, actor: str | None) -> Asked:
    """Return what a body asks for.

    Raises:
        Problem: 400 naming the field.
    """
    if body.definitions is not None and body.challenge_id is not None:
        raise invalid("definitions", "give definitions or a challengeId, one of the two")
    definitions = [
        _definition(project, number, each) for number, each in enumerate(body.definitions or ())
    ]
    challenge_id = None if body.challenge_id is None else body.challenge_id.lower()
    if challenge_id is not None and not ids.is_uuid(challenge_id):
        raise invalid("challengeId", "must be a UUID")
    try:
        since = None if body.since is None else utc(body.since)
    except InstantError as error:
        raise invalid("since", str(error)) from error
    return Asked(
        project=project,
        definitions=definitions,
        challenge_id=challenge_id,
        since=since,
        mode=body.mode,
        apply=body.apply,
        max_points=body.max_points,
        max_rewards=body.max_rewards,
        actor=actor,
    )


def _definition(project: str, number: int, raw: Raw) -> models.Definition:
    """Return the definition of a document.

    Raises:
        Problem: 400 naming the field.
    """
    try:
        fields = bodies.object_of(bytes(raw))
        kind = fields.get("kind")
        if kind not in asking.KINDS:
            raise asking.not_recalculable()
        return parsed(kind, without(fields, {"kind": kind, "project": project}))
    except Problem as problem:
        raise asking.of_definition(number, problem) from None


@router.get("/recalculations", summary="List recalculations", openapi_extra=_LIST)
async def list_(request: Request, caller: Reader) -> Response:
    """Answer the project's recalculations, the newest first."""
    async with resources.of(request).reads.connection() as connection:
        return json_response(await answers.newest(connection, caller.project))


@router.get("/recalculations/{id}", summary="Get a recalculation", openapi_extra=_GET)
async def get(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer how far a recalculation is, and what it comes to."""
    async with resources.of(request).reads.connection() as connection:
        found = await answers.one(connection, caller.project, _id(id))
    if found is None:
        raise not_found(WHAT, id)
    return json_response(found)


@router.delete(
    "/recalculations/{id}",
    status_code=204,
    summary="Cancel a recalculation",
    openapi_extra=_DELETE,
)
async def cancel(request: Request, caller: Writer, id: str) -> Response:  # noqa: A002
    """Cancel a recalculation that runs: when this returns, it changes nothing any more.

    What it has put in force and corrected by then stays; another recalculation corrects the rest.
    """
    async with resources.of(request).pool.connection() as connection:
        status = await queries.cancel(connection, caller.project, _id(id))
    if status is None:
        raise not_found(WHAT, id)
    if status != "cancelled":
        detail = f"The recalculation has ended: it is {status}."
        raise Problem(409, detail, code="recalculation_ended")
    return Response(status_code=204)


def _id(text: str) -> UUID:
    """Return the id in a path.

    Raises:
        Problem: 404, none is spelled so.
    """
    if not ids.is_uuid(text.lower()):
        raise not_found(WHAT, text)
    return UUID(text)


def _derived(components: Any) -> dict[str, Schema]:
    """Return the components of a body's definitions, which name their kind, and those of what has
    definitions inside."""
    derived: dict[str, Schema] = {}
    for name, schema in (
        (RecalculationBody.__name__, {"anyOf": [_DOCUMENTS, NULL]}),
        (RecalculationAnswer.__name__, _SHOWN),
    ):
        component = components[name]
        properties = component["properties"] | {"definitions": schema}
        derived[name] = {**component, "properties": properties}
    for model in (models.Challenge, models.Milestone):
        name = model.__name__
        written = components[new(name)]
        derived[f"Recalculated{name}"] = {
            **written,
            "title": f"Recalculated{name}",
            "properties": written["properties"]
            | {"id": UUID_SCHEMA, "kind": {"const": model.kind}},
            "required": [*written["required"], "kind", "id"],
        }
    slug = {"const": "challenge"}
    derived["RecalculatedMilestone"]["properties"] |= {
        "linkedSchemaSlug": slug,
        "linkedSchemaRecordId": UUID_SCHEMA,
    }
    return derived


FACE = Face(
    router,
    Chapter(
        TAG,
        description="History under other definitions.",
        structs=(
            RecalculationBody,
            RecalculationAnswer,
            RecalculationList,
            RecalculationBegun,
        ),
        bodies=(RecalculationBody,),
        derived=_derived,
    ),
    ("/recalculations",),
    guard=reader,
)
