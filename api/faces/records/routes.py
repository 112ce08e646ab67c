"""The routes of the records face: which slug has which methods.

A method that a slug does not have is no route, so that it is 405 for everybody.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.faces.records import challenge_logs, definitions, members, reads, reward_logs
from api.faces.records.openapi import (
    TAG,
    VOID,
    create_operation,
    delete_operation,
    get_operation,
    list_operation,
    patch_operation,
)
from api.http.routing import StrictRoute
from api.queries.record_fields import RECORDS, Records

Admin = Annotated[Caller, Depends(require(Role.ADMIN))]
Producer = Annotated[Caller, Depends(require(Role.ADMIN, Role.PRODUCER))]
"""Who may create, whatever the record is."""

router = APIRouter(tags=[TAG], route_class=StrictRoute)


def _collection(slug: str) -> str:
    return f"/schema/{slug}/record"


def _single(slug: str) -> str:
    return f"/schema/{slug}/record/{{id}}"


def _add_reads(records: Records) -> None:
    async def list_(request: Request, caller: Admin) -> Response:
        return await reads.list_(request, caller, records)

    async def get(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
        return await reads.get(request, caller, records, id)

    slug = records.slug
    router.add_api_route(
        _collection(slug),
        list_,
        methods=["GET"],
        operation_id=f"list_{slug}",
        summary=f"List {slug} records",
        openapi_extra=list_operation(records),
    )
    router.add_api_route(
        _single(slug),
        get,
        methods=["GET"],
        operation_id=f"get_{slug}",
        summary=f"Get a {slug} record",
        openapi_extra=get_operation(records),
    )


def _add_definition_writes(kind: str) -> None:
    async def create(request: Request, caller: Producer) -> Response:
        return await definitions.create(request, caller, kind)

    async def change(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
        return await definitions.change(request, caller, kind, id)

    async def delete(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
        return await definitions.delete(request, caller, kind, id)

    _add_writes(kind, create, change, delete)


def _add_member_writes() -> None:
    async def create(request: Request, caller: Producer) -> Response:
        return await members.create(request, caller)

    async def change(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
        return await members.change(request, caller, id)

    async def delete(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
        return await members.delete(request, caller, id)

    _add_writes("member", create, change, delete)


def _add_writes(slug: str, create: Any, change: Any, delete: Any) -> None:
    router.add_api_route(
        _collection(slug),
        create,
        methods=["POST"],
        operation_id=f"create_{slug}",
        summary=f"Create a {slug} record",
        status_code=201,
        openapi_extra=create_operation(slug),
    )
    router.add_api_route(
        _single(slug),
        change,
        methods=["PATCH"],
        operation_id=f"patch_{slug}",
        summary=f"Change a {slug} record",
        openapi_extra=patch_operation(slug),
    )
    router.add_api_route(
        _single(slug),
        delete,
        methods=["DELETE"],
        operation_id=f"delete_{slug}",
        summary=f"Delete a {slug} record",
        status_code=204,
        openapi_extra=delete_operation(slug),
    )


async def create_log(request: Request, caller: Producer) -> Response:
    """Log what a member did, and learn what it led to.

    A repeat with the same `uniqueIdentifier` is a 409 that carries the first answer as `record`.
    """
    return await challenge_logs.create(request, caller)


async def void_log(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Take a log back, or a part of it: in its own period, as if it had been so much less.

    A repeat with the same `uniqueIdentifier` is answered as the first time, and acts once. Rewards
    that were reached stay, unless `rewards` is `revoke`.
    """
    return await challenge_logs.void(request, caller, id)


async def patch_reward_log(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Write down how a reward was fulfilled."""
    return await reward_logs.change(request, caller, id)


for _records in RECORDS.values():
    _add_reads(_records)
_add_definition_writes("challenge")
_add_definition_writes("milestone")
_add_member_writes()
router.add_api_route(
    _collection("challenge_log"),
    create_log,
    methods=["POST"],
    operation_id="create_challenge_log",
    summary="Create a challenge_log record",
    status_code=201,
    openapi_extra=create_operation("challenge_log"),
)
router.add_api_route(
    f"{_single('challenge_log')}/void",
    void_log,
    methods=["POST"],
    operation_id="void_challenge_log",
    summary="Void a challenge_log record",
    openapi_extra=VOID,
)
router.add_api_route(
    _single("reward_log"),
    patch_reward_log,
    methods=["PATCH"],
    operation_id="patch_reward_log",
    summary="Change a reward_log record",
    openapi_extra=patch_operation("reward_log"),
)
