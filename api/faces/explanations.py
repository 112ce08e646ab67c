"""`/explain/{kind}/{id}`: which inputs led to something, and by which rules."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.explaining import answers, explaining
from api.http.component_refs import Schema, ref, text
from api.http.face import API_KEY, Chapter, Face
from api.http.problems import Problem, clipped, invalid, not_found
from api.http.responses import json_response
from api.http.routing import StrictRoute

TAG = "explanations"

USER = "userId"
MAX_LENGTH = 256

KINDS = ("reward_log", "points", "progress")

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
_USER = {
    "name": USER,
    "in": "query",
    "description": "Whose; an end user's own by default.",
    "schema": text(minLength=1, maxLength=MAX_LENGTH),
}
_OF_A_USER: dict[str, Any] = {"parameters": [_USER], **_EXPLAIN}


@router.get("/explain/streak/{id}", summary="Explain a streak", openapi_extra=_OF_A_USER)
async def explain_streak(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer which events hit the periods of the latest run of a user's streak."""
    return await _of_a_user(request, caller, "streak", id)


@router.get("/explain/tier/{id}", summary="Explain a tier", openapi_extra=_OF_A_USER)
async def explain_tier(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer what a user's tier in a set was judged by when it last changed."""
    return await _of_a_user(request, caller, "tier", id)


async def _of_a_user(request: Request, caller: Caller, kind: str, id_: str) -> Response:
    """Answer what is of the user that is asked about, or of the one who asks: a key is none."""
    user_id = request.query_params.get(USER, "" if caller.user is None else caller.user.user_id)
    if USER in request.query_params and not 1 <= len(user_id) <= MAX_LENGTH:
        raise invalid(USER, f"must have 1 to {MAX_LENGTH} characters")
    if "\x00" in id_ or len(id_) > MAX_LENGTH:
        raise not_found(kind, id_)
    if not user_id:
        raise invalid(USER, "is required: a key has none of its own")
    return json_response(await explaining.explain_of_user(request, caller, kind, id_, user_id))


@router.get("/explain/{kind}/{id}", summary="Explain how it came about", openapi_extra=_EXPLAIN)
async def explain(request: Request, caller: Reader, kind: str, id: str) -> Response:  # noqa: A002
    """Answer which inputs led to a reward, an entry of the ledger, or a progress."""
    if kind not in KINDS:
        kinds = ", ".join((*KINDS, "streak", "tier"))
        raise Problem(404, f"There is no kind {clipped(kind)!r}; there are {kinds}.")
    return json_response(await explaining.explain(request, caller, kind, id))


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
