"""`/user/{id}/export` and `/user/{id}/forget`: all that is held of a user, and the end of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api import resources
from api.auth.access import Caller
from api.faces.events.access import is_end_user
from api.faces.events.face import body_of
from api.faces.events.parameters import MAX_LENGTH
from api.faces.events.users import unknown
from api.http import bodies
from api.http.problems import Problem, clipped
from api.http.responses import MEDIA_TYPE, json_response
from api.kafka.processor_client import BEHIND, refusal, unavailable
from api.queries import exports
from api.queries.operations import snapshot
from schemas import ids, records
from schemas.dead_letter import Reason
from schemas.topics import MEMBER_COMMANDS

_IN_MEMORY = 1024 * 1024
"""An export that is larger lies on the disk until it is sent: a slow client holds no connection of
the database, and no memory."""
_SENT_AT_ONCE = 64 * 1024
_PENDING = "The command was taken, but its result did not come in time; repeating it is safe"


async def export(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer all that is held of a user, as of one moment."""
    _require_admin(caller)
    if len(user_id) > MAX_LENGTH:
        raise unknown(user_id)
    member_id = UUID(ids.member_id(caller.project, user_id))
    held = resources.of(request)
    if not await held.barrier.wait(exports.READ_MODELS):
        raise unavailable(BEHIND)  # an export that lacks something is none
    async with contextlib.AsyncExitStack() as stack:
        made = stack.enter_context(SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        async with held.reads.connection() as connection, snapshot(connection):
            profile = await exports.member(connection, caller.project, member_id)
            if profile is None:
                raise unknown(user_id)
            async for piece in exports.pieces(connection, caller.project, member_id, profile):
                await asyncio.to_thread(made.write, piece.encode())
        size = made.tell()
        made.seek(0)
        kept = stack.pop_all()
    headers = {"content-length": str(size)}
    return StreamingResponse(_sent(made, kept), media_type=MEDIA_TYPE, headers=headers)


async def _sent(
    made: "SpooledTemporaryFile[bytes]", kept: contextlib.AsyncExitStack
) -> AsyncIterator[bytes]:
    async with kept:
        while chunk := await asyncio.to_thread(made.read, _SENT_AT_ONCE):
            yield chunk


async def forget(request: Request, caller: Caller, user_id: str) -> Response:
    """Have the processor forget a user."""
    _require_admin(caller)
    await bodies.read_nothing(request, caller.project)
    if len(user_id) > MAX_LENGTH:
        detail = f"The user {clipped(user_id)!r} could not be found in the project."
        raise Problem(404, detail, code=Reason.UNKNOWN_MEMBER)
    member_id = ids.member_id(caller.project, user_id)
    held = resources.of(request)
    command = records.ForgetMember(
        project=caller.project,
        user_id=user_id,
        keys_before=await held.sealer.forgetting(member_id),
    )
    reply = await held.processor.send(MEMBER_COMMANDS, member_id, records.encode(command))
    if reply is None:
        return json_response(body_of(202, _PENDING, id=member_id), 202)
    if reply.status >= 400:
        held.sealer.kept(member_id)
        raise refusal(reply)
    return json_response(bytes(reply.body), reply.status)


def _require_admin(caller: Caller) -> None:
    """Refuse an end user, whose own data it may be: who asks is to be made sure of by a person.

    Raises:
        Problem: 403.
    """
    if is_end_user(caller):
        raise Problem(403, "Only an admin may export or forget a user.")
