"""Recalculations: how far each is and what it changes, and applying what was reported. They are
begun and ended at `/recalculations`."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Depends, Request, Response
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.faces.dashboard.answers import NEWEST, Reader, answer, page_router, refusals
from api.http import bodies
from api.http.component_refs import Schema
from api.http.problems import Problem, not_found
from api.http.responses import json_response
from api.kafka.definition_store import parsed
from api.queries.dashboard import recalculations as queries
from api.queries.operations import snapshot
from api.recalculating import asking, inputs, outdated
from api.recalculating.asking import Asked
from schemas import definitions as models
from schemas.ids import is_uuid

router = page_router()

Writer = Annotated[Caller, Depends(require(Role.ADMIN))]
"""Who may apply what was reported."""

CHANGES = 100
MAX_TOTAL = 10**15

_WHAT = "recalculation"
Total = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOTAL)]


class ApplyBody(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Above which totals nothing is applied."""

    max_points: Total | None = None
    max_rewards: Total | None = None


_TOTAL: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_TOTAL}
_APPLY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"maxPoints": _TOTAL, "maxRewards": _TOTAL},
                }
            }
        },
    },
    **refusals(404, 409, 413),
}


@router.get("/dashboard/recalculations", summary="Recalculations", openapi_extra=refusals())
async def list_(request: Request, caller: Reader) -> Response:
    """Answer the newest ones: what was asked for, and how far each is."""
    async with resources.of(request).reads.connection() as connection:
        found = await queries.newest(connection, caller.project, NEWEST)
    return answer({"recalculations": found})


@router.get(
    "/dashboard/recalculations/{id}", summary="A recalculation", openapi_extra=refusals(404)
)
async def one(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer one with its definitions, and once it has ended with what changes: in sums, and for
    the first members."""
    held = resources.of(request)
    async with held.reads.connection() as connection, snapshot(connection):
        found = await _found(connection, caller.project, id)
        changes = await queries.changes(connection, caller.project, found, CHANGES)
    return answer({**found, **changes, "definitions": _formatted(found["definitions"].encode())})


async def _found(connection: AsyncConnection, project: str, given: str) -> dict[str, Any]:
    """Return a recalculation.

    Raises:
        Problem: 404.
    """
    found = None
    if is_uuid(given.lower()):
        found = await queries.one(connection, project, UUID(given))
    if found is None:
        raise not_found(_WHAT, given)
    return found


@router.post(
    "/dashboard/recalculations/{id}/apply",
    status_code=202,
    summary="Apply a report",
    openapi_extra=_APPLY,
)
async def apply(request: Request, caller: Writer, id: str) -> Response:  # noqa: A002
    """Begin another recalculation of what one has reported on, which puts it in force and corrects
    what was given.

    Where other definitions are in force than it was reported from, it is 409 `definitions_changed`.
    """
    held = resources.of(request)
    bounds = await bodies.read(request, ApplyBody, caller.project)
    async with held.reads.connection() as connection:
        report = await _found(connection, caller.project, id)
    if report["status"] != "reported":
        detail = f"Only what was reported can be applied: it is {report['status']}."
        raise Problem(409, detail, code="not_reported")
    asked = _asked(caller.project, report, bounds)
    in_force = await held.definitions.current()
    await outdated.require_current(held.settings, asked, in_force)
    definitions = asking.definitions_of(asked, in_force)
    await inputs.require(held.settings)
    async with held.pool.connection() as connection:
        begun = await asking.begin(connection, asked, definitions, by_command=False)
    await held.recalculations.start(begun.id, begun.owner)
    return json_response({"id": begun.id}, 202, {"location": f"/recalculations/{begun.id}"})


def _asked(project: str, report: dict[str, Any], bounds: ApplyBody) -> Asked:
    """Return what a report was asked for, to be applied."""
    challenge_id = report["challengeId"]
    documents = [] if challenge_id else models.decode_numbers(report["definitions"].encode())
    return Asked(
        project=project,
        definitions=[_definition(each) for each in documents],
        challenge_id=None if challenge_id is None else str(challenge_id),
        since=report["since"],
        mode=report["mode"],
        apply=True,
        max_points=bounds.max_points,
        max_rewards=bounds.max_rewards,
        definitions_end=report["definitionsEnd"],
    )


def _definition(document: dict[str, Any]) -> models.Definition:
    fields = {name: value for name, value in document.items() if name not in ("kind", "project")}
    return parsed(document["kind"], fields)


@router.get(
    "/dashboard/recalculations/of/{id}",
    summary="What can be recalculated of a challenge",
    openapi_extra=refusals(404),
)
async def of(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a challenge and its milestones as JSON text, to be edited."""
    held = resources.of(request)
    asked = Asked(project=caller.project, challenge_id=id.lower())
    definitions = asking.definitions_of(asked, await held.definitions.current())
    documents = [_document(each) for each in definitions]
    return answer({"definitions": _formatted(_JSON.encode(documents))})


_JSON = msgspec.json.Encoder(decimal_format="number")


def _document(definition: models.Definition) -> dict[str, Any]:
    fields = models.wire_fields(definition)
    given = {name: value for name, value in fields.items() if value is not None}
    return {"kind": definition.kind, **given}


def _formatted(raw: bytes) -> str:
    """Return JSON for people: text, for a browser's numbers are not exact."""
    return msgspec.json.format(raw, indent=2).decode()
