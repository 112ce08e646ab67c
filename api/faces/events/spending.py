"""`/user/{id}/spend`, `hold`, `capture`, `release` and `adjust`: commands that move points.

A hold's identifier and a user's id may hold slashes. In a path that has both, the identifier is the
one segment that the path as it was sent has behind `hold`.
"""

from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Request, Response

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.faces.events import point_bodies
from api.faces.events.access import WANTED, is_end_user, require_own
from api.faces.events.face import body_of
from api.http import dry_runs
from api.http.problems import Problem, clipped, nothing_at
from api.http.responses import json_response
from api.kafka.processor_client import refusal
from schemas import ids, records
from schemas.dead_letter import Reason
from schemas.records import PointsCommand
from schemas.topics import MEMBER_COMMANDS

Mover = Annotated[
    Caller, Depends(require(Role.ADMIN, Role.PRODUCER, end_users=True, wanted=WANTED))
]
"""Who may spend, hold, capture and release: backends, and some of it a project's end users."""

_PENDING = (
    "The command was taken, but its result did not come in time; "
    "repeating it with the same uniqueIdentifier is safe"
)
_MAX_USER_ID, _MAX_IDENTIFIER = 256, 512


async def spend(request: Request, caller: Caller, user_id: str) -> Response:
    """Spend a user's points."""
    await _require_member_spend(request, caller, user_id)
    return await _move(request, caller, user_id, point_bodies.SpendBody)


async def hold(request: Request, caller: Caller, user_id: str) -> Response:
    """Reserve a user's points."""
    await _require_member_spend(request, caller, user_id)
    return await _move(request, caller, user_id, point_bodies.HoldBody)


async def capture(request: Request, caller: Caller) -> Response:
    """Spend what a hold reserves."""
    _require_backend(caller)
    user_id, identifier = await named_hold(request, "capture")
    body = point_bodies.CaptureBody
    return await _move(request, caller, user_id, body, hold_identifier=identifier)


async def release(request: Request, caller: Caller) -> Response:
    """Give back what a hold reserves."""
    _require_backend(caller)
    user_id, identifier = await named_hold(request, "release")
    body = point_bodies.ReleaseBody
    return await _move(request, caller, user_id, body, hold_identifier=identifier)


async def adjust(request: Request, caller: Caller, user_id: str) -> Response:
    """Give a user points by hand, or take them."""
    _require_backend(caller)
    return await _move(request, caller, user_id, point_bodies.AdjustBody)


async def _require_member_spend(request: Request, caller: Caller, user_id: str) -> None:
    """Let an end user move its own points only, where its project lets it.

    Raises:
        Problem: 403, before it is looked up whether there is such a user.
    """
    require_own(caller, user_id)
    if is_end_user(caller):
        definitions = await resources.of(request).definitions.current()
        if not definitions.member_spend(caller.project):
            raise Problem(403, "The project does not let its users spend their points themselves.")


def _require_backend(caller: Caller) -> None:
    """Refuse an end user: who reserved its points, a shop for one, is to get or release them.

    Raises:
        Problem: 403.
    """
    if is_end_user(caller):
        raise Problem(403, "End users may not do this.")


async def named_hold(request: Request, action: str) -> tuple[str, str]:
    """Return the user's id and the hold's identifier that a path names.

    Raises:
        Problem: 404, it names none: a slash of an identifier was sent as it is.
    """
    sent: bytes = request.scope["raw_path"]
    parts = [unquote_to_bytes(part).decode() for part in sent.partition(b"/user/")[2].split(b"/")]
    *user, word, identifier, last = ["", "", "", *parts]
    user_id = "/".join(user[3:])
    # The route saw the path without its encoding.
    if (word, last) != ("hold", action) or not (user_id and identifier):
        raise await nothing_at(request)
    return user_id, identifier


async def _move(
    request: Request,
    caller: Caller,
    user_id: str,
    body: type[Any],
    **named: str,
) -> Response:
    """Send a command to the processor; respond with what it led to."""
    asked = dry_runs.asked(request)
    command = await point_bodies.read(request, body, caller.project, user_id=user_id, **named)
    _check_names(user_id, **named)
    member_id = ids.member_id(caller.project, user_id)
    value = records.encode(command)
    reply = await resources.of(request).processor.send(MEMBER_COMMANDS, member_id, value, asked)
    if reply is None:
        identifier = command.unique_identifier
        answer = body_of(202, _PENDING, id=_id_of(command, member_id), uniqueIdentifier=identifier)
        return json_response(answer, 202)
    if reply.status >= 400:
        raise refusal(reply)
    return json_response(bytes(reply.body), reply.status)


def _check_names(user_id: str, hold_identifier: str = "") -> None:
    """Refuse what is too long to be anything's name.

    Raises:
        Problem: 404.
    """
    if len(user_id) > _MAX_USER_ID:
        detail = f"The user {clipped(user_id)!r} could not be found in the project."
        raise Problem(404, detail, code=Reason.UNKNOWN_MEMBER)
    if len(hold_identifier) > _MAX_IDENTIFIER:
        detail = f"There is no hold {clipped(hold_identifier)!r}."
        raise Problem(404, detail, code=Reason.UNKNOWN_HOLD)


_SOURCES = {
    records.SpendPoints: ids.SPEND,
    records.CaptureHold: ids.CAPTURE,
    records.AdjustPoints: ids.ADJUST,
}


def _id_of(command: PointsCommand, member_id: str) -> str:
    """Return the id of the ledger entry that a command makes, or of its hold."""
    identifier = command.unique_identifier
    if isinstance(command, records.HoldPoints):
        return ids.hold_id(command.project, member_id, identifier)
    if isinstance(command, records.ReleaseHold):
        return ids.hold_id(command.project, member_id, command.hold_identifier)
    source_id = ids.command_source(member_id, identifier)
    return ids.points_entry_id(command.project, _SOURCES[type(command)], source_id)
