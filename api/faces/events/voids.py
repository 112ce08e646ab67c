"""`/event/{id}/void` and `/user/{id}/void`: what was recorded is taken back."""

from fastapi import Request, Response

from api import voiding
from api.auth.access import Caller
from api.faces.events.access import is_end_user
from api.faces.events.face import body_of
from api.http.problems import Problem
from api.http.responses import json_response
from schemas.records import Void

_PENDING = (
    "The command was taken, but its result did not come in time; "
    "repeating it with the same uniqueIdentifier is safe"
)


async def event(request: Request, caller: Caller, log_id: str) -> Response:
    """Void an event by the id of its log."""
    _require_backend(caller)
    command = await voiding.of_log(request, caller, "event", "event_log", log_id)
    return await _answer(request, command)


async def of_user(request: Request, caller: Caller, user_id: str) -> Response:
    """Void something of a user's by what its sender named it."""
    _require_backend(caller)
    return await _answer(request, await voiding.of_user(request, caller, user_id))


def _require_backend(caller: Caller) -> None:
    """Refuse an end user.

    Raises:
        Problem: 403.
    """
    if is_end_user(caller):
        raise Problem(403, "Only an admin may void something.")


async def _answer(request: Request, command: Void) -> Response:
    void_id, reply = await voiding.send(request, command)
    if reply is None:
        named = {"id": void_id, "uniqueIdentifier": command.unique_identifier}
        return json_response(body_of(202, _PENDING, **named), 202)
    return json_response(bytes(reply.body), reply.status)
