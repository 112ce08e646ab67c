"""Who calls, and whether they may: 401 without good credentials, 403 without the right.

The right is checked before anything is looked up, so that a 403 never tells what exists.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from api import tokens
from api.credentials import Keyring, Role, VerifiedKey
from api.problems import Problem
from api.tokens import EndUser, TokenError

_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Whoever has good credentials: a key with a role, or an end user."""

    project: str
    key: VerifiedKey | None = None
    user: EndUser | None = None

    @property
    def role(self) -> Role | None:
        """The key's role; None for an end user, whatever their token says."""
        return self.key.role if self.key else None


async def identify(request: Request) -> Caller:
    """Return who calls.

    An API key goes before a token, for a backend may pass its user's token along.

    Raises:
        Problem: 401 for a guest, and for credentials that are not good.
    """
    keyring: Keyring = request.app.state.resources.keyring
    given = _api_key_of(request)
    if given is not None:
        key = await keyring.verify(*given)
        if key is None:
            raise Problem(401, "The API key or its secret is not right.")
        return Caller(key.project, key=key)
    token = _token_of(request)
    if token is None:
        raise Problem(401, "Credentials are required: x-api-key and x-api-secret, or Basic.")
    try:
        user = await tokens.verify(token, keyring)
    except TokenError as error:
        raise Problem(401, f"The token is refused: {error}.") from error
    return Caller(user.project, user=user)


def require(*roles: Role) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency that lets keys with one of `roles` pass.

    Raises (the dependency):
        Problem: 401 or 403.
    """

    async def caller(request: Request) -> Caller:
        found = await identify(request)
        if found.role not in roles:
            who = f"Keys with role {found.role.value}" if found.role else "End users"
            raise Problem(403, f"{who} may not do this.")
        _refuse_other_sites(request)
        return found

    return caller


def _refuse_other_sites(request: Request) -> None:
    """Refuse a write that another web site makes with the login that a browser remembers.

    Raises:
        Problem: 403.
    """
    remembered = request.headers.get("authorization", "").lower().startswith("basic ")
    site = request.headers.get("sec-fetch-site", "none")
    if remembered and request.method not in _READING and site in ("cross-site", "same-site"):
        raise Problem(403, "Another web site may not use this login.")


def _api_key_of(request: Request) -> tuple[str, str] | None:
    """Return (key id, secret) from the headers, None where no API key is given.

    Raises:
        Problem: 401, one of the two headers is missing, or Basic is malformed.
    """
    key_id = request.headers.get("x-api-key")
    secret = request.headers.get("x-api-secret")
    if key_id is not None and secret is not None:
        return key_id, secret
    if key_id is not None or secret is not None:
        raise Problem(401, "x-api-key and x-api-secret must be given together.")
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key_id, colon, secret = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        raise Problem(401, "The Basic credentials are malformed.") from None
    if not colon:
        raise Problem(401, "The Basic credentials must be keyId:secret.")
    return key_id, secret


def _token_of(request: Request) -> str | None:
    """Return the end user's token, None where none is given."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-enduser-access-token")
