"""Who may do what on this face: end users for themselves, backends by their key's role."""

from typing import Annotated

from fastapi import Depends

from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.http.problems import Problem

WANTED = "A valid JWT Bearer token is required, or an API key."

Sender = Annotated[
    Caller, Depends(require(Role.ADMIN, Role.PRODUCER, end_users=True, wanted=WANTED))
]
"""Who may log events."""

Admin = Annotated[Caller, Depends(require(Role.ADMIN, end_users=True, wanted=WANTED))]
"""Who may do what only an admin may; of end users those whose token says so."""

reader = require(Role.ADMIN, Role.ANALYST, end_users=True, wanted=WANTED)

Reader = Annotated[Caller, Depends(reader)]
"""Who may read: definitions, and what is about nobody in particular."""


def is_end_user(caller: Caller) -> bool:
    """Tell whether a caller may act for itself alone: a token without `"role": "admin"`.

    A token with it acts for the backend that gave it out. It may say when an event happened, and
    its `usergroup` counts for whomever it names, as with an API key.
    """
    return caller.user is not None and not caller.user.is_admin


def require_own(caller: Caller, user_id: str) -> None:
    """Let an end user act for nobody else.

    Raises:
        Problem: 403, before it is looked up whether there is such a user.
    """
    if is_end_user(caller) and caller.user is not None and caller.user.user_id != user_id:
        raise Problem(403, "userId: the token may act for its own user only")
