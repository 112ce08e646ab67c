"""The methods of the game-mechanics face, each by GET and by POST."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from api.auth.credentials import Role
from api.faces.game_mechanics import (
    actions_log,
    challenge_status,
    presentation,
    writing,
)
from api.faces.game_mechanics import openapi as described
from api.faces.game_mechanics.authorization import authorize
from api.faces.game_mechanics.calls import Call
from api.faces.game_mechanics.errors import CallError
from api.faces.game_mechanics.face import PREFIX, rendering
from api.faces.game_mechanics.parameters import read
from api.faces.game_mechanics.presentation import Presentation
from api.http import problems
from api.http.routing import ChangingRoute, DirectRoute

router = APIRouter(tags=[described.TAG])

_READERS = (Role.ADMIN, Role.ANALYST)
_WRITERS = (Role.ADMIN, Role.PRODUCER)


@dataclass(frozen=True)
class Method:
    """A method of the face: its name behind `gm.`, who may call it, what answers it, and whether
    it changes something."""

    name: str
    roles: tuple[Role, ...]
    respond: Callable[[Call, Presentation], Awaitable[Response]]
    changes: bool = False

    async def serve(self, request: Request) -> Response:
        """Answer a call. Only how to answer is looked at before who calls, and no long context."""
        parameters, fault = await read(request)
        shown, unpresentable = presentation.presentation_of(parameters)
        request.scope[problems.RENDERER] = rendering(shown)
        try:
            if error := fault or unpresentable:
                raise error
            key = await authorize(request, parameters, *self.roles)
            shown = presentation.with_context(shown, parameters)
            parameters.flag("dontHandleScreenSet")  # there are none here
            return await self.respond(Call(request, parameters, key.project), shown)
        except CallError as error:
            return shown.failure(error)


METHODS = (
    Method("getActionsLog", _READERS, actions_log.list_actions),
    Method("notifyAction", _WRITERS, writing.notify, changes=True),
    Method("redeemPoints", _WRITERS, writing.redeem, changes=True),
    Method("getChallengeStatus", _READERS, challenge_status.status),
    Method("getTopUsers", _READERS, challenge_status.top),
)

for _method in METHODS:
    for _verb in ("GET", "POST"):
        router.add_api_route(
            PREFIX + _method.name,
            _method.serve,
            methods=[_verb],
            operation_id=f"{_verb.lower()}-gm.{_method.name}",
            summary=described.SUMMARIES[_method.name],
            description=described.ABOUT,
            openapi_extra=described.operation(_method.name, _verb),
            route_class_override=ChangingRoute if _method.changes else DirectRoute,
        )
