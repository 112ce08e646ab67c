"""Taking back what was recorded: bodies of voids, the command that they become, its sending.

Two faces have such calls. A record's id does not tell its member, whom a command needs: the tables
do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from fastapi import Request
from msgspec import Raw

from api import resources
from api.auth.access import Caller
from api.http import bodies, dry_runs
from api.http.problems import Problem, clipped, invalid
from api.kafka.processor_client import BEHIND, refusal, unavailable
from api.queries import voids as queries
from schemas import ids, records
from schemas.dead_letter import Reason
from schemas.ids import is_uuid
from schemas.records import ABSENT, Identifier, Name, NaturalKey, RecordError, Text, Void, Voidable
from schemas.replies import Reply
from schemas.topics import MEMBER_COMMANDS


class VoidBody(
    msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """Why a log or an event is taken back, and how much of it: all without `portion`. Rewards that
    were not issued yet are revoked where `rewards` says so."""

    reason: Text
    unique_identifier: Identifier
    portion: Raw = ABSENT
    actor: Name | None = None
    rewards: Literal["keep", "revoke"] | None = "keep"


class NaturalKeyBody(
    NaturalKey, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """What the sender of a thing named it by."""


class UserVoidBody(VoidBody, kw_only=True, rename="camel", omit_defaults=True):
    """What of a user's is taken back, why, and how much of it. A challenge log and an event may be
    named by `id` instead of by what their sender named them."""

    what: Voidable
    id: Text | None = None
    of: NaturalKeyBody | None = None


BODIES = (VoidBody, UserVoidBody, NaturalKeyBody)
Body = TypeVar("Body", bound=VoidBody)

MAX_USER_ID = 256


async def of_log(
    request: Request, caller: Caller, what: Voidable, table: str, record_id: str
) -> Void:
    """Return the void of a log, whose id the path has, that the request's body asks for.

    Raises:
        Problem: 400 naming the field, 413, 404: there is no such log, or 503: the table is too far
            behind to tell.
    """
    body = await _read(request, VoidBody, caller.project)
    member_id = await _member_of(request, caller, table, record_id)
    return _command(body, caller.project, what=what, id=record_id, member_id=member_id)


async def of_user(request: Request, caller: Caller, user_id: str) -> Void:
    """Return the void of something of a user's that the request's body asks for.

    Raises:
        Problem: 400 naming the field, 413, or 404: nobody's id is that long.
    """
    body = await _read(request, UserVoidBody, caller.project)
    command = _command(body, caller.project, user_id=user_id)
    if len(user_id) > MAX_USER_ID:
        detail = f"The user {clipped(user_id)!r} could not be found in the project."
        raise Problem(404, detail, code=Reason.UNKNOWN_MEMBER)
    return command


async def _read(request: Request, type_: type[Body], project: str) -> Body:
    dry_runs.asked(request)  # said before the record is looked for
    body = await bodies.read(request, type_, project)
    body.rewards = body.rewards or "keep"
    with _naming_the_field():
        records.portion_nanos(body.portion)
    return body


def _command(body: VoidBody, project: str, **named: Any) -> Void:
    command = Void(project=project, **msgspec.structs.asdict(body), **named)
    with _naming_the_field():
        records.check_void(command)
    return command


@contextmanager
def _naming_the_field() -> Iterator[None]:
    try:
        yield
    except RecordError as error:
        raise invalid(error.field, error.message) from error


async def _member_of(request: Request, caller: Caller, table: str, record_id: str) -> str:
    """Return the member of a record of the project, once the table is up to date.

    Raises:
        Problem: 404, there is no such record; or 503, the table is too far behind to tell.
    """
    held = resources.of(request)
    if is_uuid(record_id.lower()):
        current = await held.barrier.wait((table,))
        async with held.reads.connection() as connection:
            found = await queries.member_of(connection, caller.project, table, UUID(record_id))
        if found is not None:
            return str(found)
        if not current:
            raise unavailable(BEHIND)
    raise Problem(404, f"There is no log {clipped(record_id)!r}.", code=Reason.UNKNOWN_LOG)


async def send(request: Request, command: Void) -> tuple[str, Reply | None]:
    """Have the processor void something; return the void's id and the answer, None where it does
    not come in time.

    Raises:
        Problem: it refuses, or 503.
    """
    member_id = command.member_id or ids.member_id(command.project, command.user_id or "")
    value = records.encode(command)
    asked = dry_runs.asked(request)
    reply = await resources.of(request).processor.send(MEMBER_COMMANDS, member_id, value, asked)
    if reply is not None and reply.status >= 400:
        raise refusal(reply)
    return ids.void_id(command.project, member_id, command.unique_identifier), reply
