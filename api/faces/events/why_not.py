"""`/user/{id}/why-not`: why a user has not reached a milestone."""

from fastapi import Request, Response

from api.auth.access import Caller
from api.explaining import why_not
from api.explaining.why_not import Question
from api.faces.events.parameters import MAX_LENGTH, text
from api.faces.events.users import unknown
from api.http.problems import invalid
from api.http.responses import json_response

MAX_IDENTIFIER = 512


async def of_user(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer how far a user is from a milestone, and which of its logs are nothing to it."""
    milestone_id = text(request, "milestoneId")
    if milestone_id is None:
        raise invalid("milestoneId", "is required")
    identifier = request.query_params.get("uniqueIdentifier")
    if identifier is not None and not 1 <= len(identifier) <= MAX_IDENTIFIER:
        raise invalid("uniqueIdentifier", f"must have 1 to {MAX_IDENTIFIER} characters")
    if len(user_id) > MAX_LENGTH:
        raise unknown(user_id)
    question = Question(milestone_id, text(request, "periodKey"), identifier)
    return json_response(await why_not.answer(request, caller, user_id, question))
