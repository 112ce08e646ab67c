"""Who calls, and whether they may: 401 without good credentials, 403 without the right.

The right is checked before anything is looked up, so that a 403 never tells what exists.
"""

import base64
import binascii
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import Request

from api.auth import quotas, sessions, shares, tokens
from api.auth.credentials import CredentialsError, Keyring, Role, VerifiedKey
from api.auth.tokens import EndUser, TokenError
from api.http.problems import Problem
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_READING = ("GET", "HEAD", "OPTIONS")
_DAY_SECONDS = 86_400
_LEEWAY_SECONDS = 30
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Caller:
    """A caller with valid credentials: an API key with a role, or an end user."""

    project: str
    key: VerifiedKey | None = None
    user: EndUser | None = None
    session: str | None = field(default=None, repr=False)
    """The browser's session by which it acts as the key."""

    @property
    def role(self) -> Role | None:
        """The key's role; None for an end user, whatever their token says."""
        return self.key.role if self.key else None


_WANTED = "Credentials are required: x-api-key and x-api-secret, or Basic."


async def identify(request: Request, wanted: str = _WANTED) -> Caller:
    """Return the caller of a request.

    `wanted` is the message for a request without credentials. An API key takes precedence over a
    token: a backend may pass its user's token along. Both do over a browser's session.

    Raises:
        Problem: 401 for a guest, and for credentials that are not good; 429 for a caller that
            comes too often; 503 where the secret that the project's tokens are checked with cannot
            be decrypted.
    """
    given = _api_key_of(request)
    token = None if given is not None else _token_of(request)
    if given is None and token is None:
        return await _of_session(request, wanted)
    keyring: Keyring = request.app.state.resources.keyring
    if given is not None:
        key = await keyring.verify(*given)
        if key is None:
            raise Problem(401, "The API key or its secret is not right.")
        caller = Caller(key.project, key=key)
        count(request, caller)
        return caller
    assert token is not None
    try:
        user = await tokens.verify(token, keyring)
    except TokenError as error:
        raise Problem(401, f"The token is refused: {error}.") from error
    except CredentialsError as error:
        logger.warning("tokens cannot be checked: %s", error)
        detail = "Tokens of this project cannot be checked here: its secret cannot be decrypted."
        raise Problem(503, detail) from error
    limits = request.app.state.resources.definitions.limits(user.project)
    if user.expires_at > time.time() + limits.token_days * _DAY_SECONDS + _LEEWAY_SECONDS:
        detail = f"its exp lies more than {limits.token_days} days ahead"
        raise Problem(401, f"The token is refused: {detail}.")
    caller = Caller(user.project, user=user)
    count(request, caller)
    return caller


async def _of_session(request: Request, wanted: str) -> Caller:
    """Return whom a browser that is signed in acts as.

    Raises:
        Problem: 401, it is not signed in, or not any more.
    """
    session = sessions.cookie_of(request)
    if session is None:
        raise Problem(401, wanted)
    keyring: Keyring = request.app.state.resources.keyring
    key = await keyring.of_session(session, acts=request.method not in _READING)
    if key is None:
        raise Problem(401, "The session is over: open a new link, or sign in with an API key.")
    caller = Caller(key.project, key=key, session=session)
    count(request, caller)
    return caller


def count(request: Request, caller: Caller) -> None:
    """Count the request against the caller's quota.

    Raises:
        Problem: 429, it calls too often.
    """
    held = request.app.state.resources
    _read_as(request, caller)
    limits = held.definitions.limits(caller.project)
    key, user = caller.key, caller.user
    rate = limits.user_requests_per_second if key is None else limits.requests_per_second
    if rate:
        key_id = None if key is None else key.key_id
        name = quotas.caller_of(caller.project, key_id, None if user is None else user.user_id)
        held.quotas.take(name, rate, 2 * rate, time.monotonic())


def _read_as(request: Request, caller: Caller) -> None:
    """Count the request's reads against its project's share of connections."""
    seconds = shares.END_USER_SECONDS if caller.key is None else None
    receive = request.receive if request.method in _READING else None
    shares.READER.set(shares.Reader(caller.project, seconds, receive))


def require(
    *roles: Role, end_users: bool = False, wanted: str = _WANTED
) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency that admits keys with one of `roles`, and end users if `end_users`.

    Raises (the dependency):
        Problem: 401 or 403.
    """

    async def caller(request: Request) -> Caller:
        found = await identify(request, wanted)
        if not (end_users if found.role is None else found.role in roles):
            who = f"Keys with role {found.role.value}" if found.role else "End users"
            raise Problem(403, f"{who} may not do this.")
        _refuse_other_sites(request)
        return found

    return caller


def _refuse_other_sites(request: Request) -> None:
    """Refuse a write that another web site makes with Basic credentials that a browser remembers.

    Browsers send `Sec-Fetch-Site` to HTTPS and localhost only, `Origin` with every write.

    Raises:
        Problem: 403.
    """
    scheme, _ = _authorization(request)
    if scheme != "basic" or request.method in _READING:
        return
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    settings: Settings = request.app.state.resources.settings
    if origin is not None and origin.lower() in settings.cors_origins:
        return
    host = request.headers.get("host", "")
    if site in ("cross-site", "same-site") or (
        origin is not None and is_foreign(origin, host, settings.public_url)
    ):
        raise Problem(403, "Another web site may not use this login.")


def is_foreign(origin: str, host: str, public_url: str) -> bool:
    """Tell whether an `Origin` is neither the request's host (`Host`) nor that of the public URL.

    Only host and port are compared: behind a proxy that ends TLS the scheme is unknown here.
    """
    try:
        scheme = urlsplit(origin).scheme
        place = _place(origin)
        return place is None or place not in (_place(f"{scheme}://{host}"), _place(public_url))
    except ValueError:
        return True


def _place(url: str) -> tuple[str, int] | None:
    """Return a URL's host and port, None where it has none.

    Raises:
        ValueError: it is malformed.
    """
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return (parts.hostname, port) if parts.hostname and port else None


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
    scheme, value = _authorization(request)
    if scheme != "basic":
        return None
    try:
        key_id, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Problem(401, "The Basic credentials are malformed.") from None
    if not colon:
        raise Problem(401, "The Basic credentials must be keyId:secret.")
    return key_id, secret


def _token_of(request: Request) -> str | None:
    """Return the end user's token, None where none is given."""
    scheme, value = _authorization(request)
    if scheme == "bearer":
        return value
    return request.headers.get("x-enduser-access-token")


def _authorization(request: Request) -> tuple[str, str]:
    """Return the scheme of `Authorization` in lower case, and what comes after it."""
    scheme, _, value = request.headers.get("authorization", "").replace("\t", " ").partition(" ")
    return scheme.lower(), value.strip()
