"""Tokens of end users, signed as a project's own backend would sign them: for trying things out."""

import time

import jwt


def end_user_token(
    secret: str, project: str, user_id: str, seconds: int, *, admin: bool = False
) -> str:
    """Return a token (JWT, HS256).

    Args:
        secret: what `milestream keys jwt-secret` prints.
        project: whom it is for.
        user_id: the member's external id.
        seconds: how long it is good for.
        admin: whether it may act for everybody.
    """
    claims: dict[str, object] = {"sub": user_id, "aud": project, "exp": int(time.time()) + seconds}
    if admin:
        claims["role"] = "admin"
    return jwt.encode(claims, secret, algorithm="HS256")
