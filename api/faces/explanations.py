"""`/explain/{kind}/{id}`: which inputs led to something, and by which rules."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.explaining import answers, explaining
from api.http.component_refs import Schema, ref, text
from api.http.face import API_KEY, Chapter, Face
from api.http.problems import Problem, clipped, invalid
from api.http.responses import json_response
from api.http.routing import StrictRoute

TAG = "explanations"

USER = "userId"
MAX_LENGTH = 256

RECORDS = ("reward_log", "points", "progress")
OF_A_USER = ("streak", "tier")
"""What has a definition's id, and is a user's."""
KINDS = (*RECORDS, *OF_A_USER)

reader = require(Role.ADMIN, Role.ANALYST, end_users=True)

Reader = Annotated[Caller, Depends(reader)]

router = APIRouter(tags=[TAG], route_class=StrictRoute)

_GONE = "The topics have the inputs no more (`inputs_gone`)."
_TOO_MANY = (
    "More inputs led to it than are told (`too_many_inputs`), or they are not kept "
    "(`not_explained`)."
)


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": ref("Problem")}}
    return {"description": description, "content": content}


_EXPLAIN: dict[str, Any] = {
    "parameters": [
        {
            "name": USER,
            "in": "query",
            "description": "Whose streak or tier; an end user's own by default.",
            "schema": text(minLength=1, maxLength=MAX_LENGTH),
        }
    ],
    "responses": {
        "200": {
            "description": "The inputs, in the order in which they were folded; the definitions.",
            "content": {"application/json": {"schema": ref(answers.Explanation.__name__)}},
        },
        **{
            str(status): {"$ref": f"#/components/responses/{status}"}
            for status in (400, 401, 403, 404)
        },
        "410": _problem(_GONE),
        "422": _problem(_TOO_MANY),
        "503": {"$ref": "#/components/responses/503"},
    },
}


@router.get("/explain/{kind}/{id}", summary="Explain how it came about", openapi_extra=_EXPLAIN)
async def explain(request: Request, caller: Reader, kind: str, id: str) -> Response:  # noqa: A002
    """Answer which inputs led to a reward, an entry of the ledger, a progress, a streak or a tier.

    A streak and a tier are those of `userId`, for an end user its own.
    """
    if kind not in KINDS:
        raise Problem(404, f"There is no kind {clipped(kind)!r}; there are {', '.join(KINDS)}.")
    if kind in RECORDS:
        if USER in request.query_params:
            raise invalid(USER, f"is not asked for a {kind}")
        return json_response(await explaining.explain(request, caller, kind, id))
    user_id = request.query_params.get(USER, "" if caller.user is None else caller.user.user_id)
    if not 1 <= len(user_id) <= MAX_LENGTH:
        raise invalid(USER, f"is required: 1 to {MAX_LENGTH} characters")
    return json_response(await explaining.explain_of_user(request, caller, kind, id, user_id))


def _path_parameter(name: str) -> Schema:
    return {"enum": list(KINDS)} if name == "kind" else text(minLength=1, maxLength=MAX_LENGTH)


CHAPTER = Chapter(
    TAG,
    description="Which inputs led to something, and by which rules.",
    security=({"bearer": []}, {"endUserToken": []}, *API_KEY),
    structs=(answers.Explanation,),
    path_parameter=_path_parameter,
)

FACE = Face(router, CHAPTER, ("/explain",), guard=reader)
