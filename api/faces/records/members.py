"""Writes of members: commands to the processor, which replies with the member."""

import contextlib

import msgspec
from fastapi import Request, Response
from msgspec import UNSET

from api import resources
from api.auth.access import Caller
from api.auth.credentials import Role
from api.faces.records.bodies import MemberBody, MemberPatch, check_member, without_nulls
from api.faces.records.reads import row_of, shown
from api.http import bodies
from api.http.preconditions import etag, etag_of, expected_version
from api.http.problems import Problem, invalid
from api.http.responses import json_response, pending
from api.kafka.processor_client import refusal
from api.queries.record_fields import MEMBER
from schemas import ids, records
from schemas.records import PROFILE_FIELDS, DeleteMember, MemberCommand, UpsertMember
from schemas.replies import Reply
from schemas.topics import MEMBER_COMMANDS


async def create(request: Request, caller: Caller) -> Response:
    """Create a member: 201. One that is there is a 200: an admin changes the fields given, a
    producer changes nothing, and learns no more than its id and version."""
    body = await bodies.read(request, MemberBody, caller.project)
    is_producer = caller.role is Role.PRODUCER
    if is_producer and isinstance(body.status, str):
        raise Problem(403, "status: only an admin may set it", errors=[("status", "is an admin's")])
    without_nulls(body)
    check_member(body)
    command = _upsert(body, caller.project, body.external_id)
    command.only_new = is_producer
    member_id = ids.member_id(caller.project, body.external_id)
    reply = await _ask(request, member_id, command)
    respond = _producer_response if is_producer else _member_response
    return await respond(request, caller, member_id, reply)


async def change(request: Request, caller: Caller, record_id: str) -> Response:
    """Change the fields given of a member."""
    body = await bodies.read(request, MemberPatch, caller.project)
    check_member(body)
    row = await row_of(request, caller, MEMBER, record_id)
    if body.external_id not in (UNSET, None, row["externalId"]):
        raise invalid("externalId", "cannot change: the member's id is made of it")
    command = _upsert(body, caller.project, row["externalId"])
    command.must_exist = True
    command.if_version = expected_version(request, row["version"])
    member_id = str(row["id"])
    return await _member_response(
        request, caller, member_id, await _ask(request, member_id, command)
    )


async def delete(request: Request, caller: Caller, record_id: str) -> Response:
    """Erase a member's personal data; its id and counters stay."""
    row = await row_of(request, caller, MEMBER, record_id)
    member_id = str(row["id"])
    command = DeleteMember(
        project=caller.project,
        member_id=member_id,
        if_version=expected_version(request, row["version"]),
    )
    reply = await _ask(request, member_id, command)
    if reply is None:
        return pending(member_id, _location(member_id))
    if reply.status >= 400:
        raise refusal(reply)
    return Response(status_code=204)


def _upsert(body: MemberBody, project: str, external_id: str) -> UpsertMember:
    profile = {name: getattr(body, name) for name in PROFILE_FIELDS}
    status = UNSET if body.status is None else body.status
    return UpsertMember(external_id=external_id, project=project, status=status, **profile)


async def _ask(request: Request, member_id: str, command: MemberCommand) -> Reply | None:
    held = resources.of(request)
    if isinstance(command, UpsertMember):
        await held.sealer.seal(member_id, command)
    value = records.encode(command)
    return await held.processor.send(MEMBER_COMMANDS, member_id, value)


def _location(member_id: str) -> str:
    return f"/schema/member/record/{member_id}"


class _Created(msgspec.Struct):
    """The fields of an existing member that a producer may see."""

    id: str
    version: int


async def _producer_response(
    request: Request, caller: Caller, member_id: str, reply: Reply | None
) -> Response:
    """Respond with the member only if it is exactly as this request made it."""
    if reply is None or reply.status >= 400:
        return await _member_response(request, caller, member_id, reply)
    known = msgspec.json.decode(reply.body, type=_Created)
    headers = {"etag": etag(known.version)}
    if reply.status == 201:
        headers["location"] = _location(member_id)
        with contextlib.suppress(Problem):  # the projection is behind
            record = await shown(request, caller, MEMBER, member_id, MEMBER.names)
            if record.version == known.version:
                return json_response(record.json.encode(), 201, headers)
    return json_response(known, reply.status, headers)


async def _member_response(
    request: Request, caller: Caller, member_id: str, reply: Reply | None
) -> Response:
    """Respond with the member of the read model: the reply has its id and version only."""
    if reply is None:
        return pending(member_id, _location(member_id))
    if reply.status >= 400:
        raise refusal(reply)
    headers = {"location": _location(member_id)} if reply.status == 201 else {}
    try:
        record = await shown(request, caller, MEMBER, member_id, MEMBER.names)
    except Problem:  # the projection is still behind after the barrier
        return json_response(
            bytes(reply.body), reply.status, headers | {"etag": etag_of(reply.body)}
        )
    assert record.version is not None
    return json_response(
        record.json.encode(), reply.status, headers | {"etag": etag(record.version)}
    )
