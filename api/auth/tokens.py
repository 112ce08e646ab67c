"""Tokens of end users: JSON Web Tokens, verified strictly."""

from dataclasses import dataclass
from typing import Any

import jwt

from api.auth.credentials import Keyring, TokenKey
from schemas.ids import is_project

_MAX_LENGTH = 16_384
_LEEWAY_SECONDS = 30
"""The permitted difference between an issuer's clock and ours."""


class TokenError(Exception):
    """A token is refused; the message says why, without repeating it."""


@dataclass(frozen=True)
class EndUser:
    """The end user that a token authenticates. `is_admin` permits access to other users'
    records."""

    project: str
    user_id: str
    is_admin: bool
    expires_at: int = 0
    """Unix time."""


async def verify(token: str, keyring: Keyring) -> EndUser:
    """Return the end user that a token speaks for.

    Raises:
        TokenError: it is malformed, unsigned, expired, or not of a known project.
        CredentialsError: the project's secret cannot be decrypted.
    """
    project = claimed_project(token)
    key = await keyring.token_key(project)
    if key is not None and key.previous is not None and not _is_signed(token, key):
        key = TokenKey(key.algorithm, key.previous)
    return check(token, project, key)


def _is_signed(token: str, key: TokenKey) -> bool:
    """Tell whether a token is signed with the newest secret; its claims are not checked."""
    try:
        jwt.api_jws.decode(token, key.key, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError, RecursionError):
        return False
    return True


def claimed_project(token: str) -> str:
    """Return the project that a token claims, before anything is verified.

    Raises:
        TokenError: it names none.
    """
    if len(token) > _MAX_LENGTH:
        raise TokenError("the token is too long")
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenError("the token is no JSON Web Token") from error
    project = claims.get("aud")
    if not isinstance(project, str) or not is_project(project):
        raise TokenError("the token's aud must be one project")
    return project


def check(token: str, project: str, key: TokenKey | None) -> EndUser:
    """Return the end user of a token that claims to be for `project`.

    A key has exactly one algorithm, whatever the token's header says, so a public key can never be
    taken for a shared secret.

    Raises:
        TokenError: the signature or a claim is not as it must be.
    """
    if key is None:
        raise TokenError("its project has no key for tokens")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=project,
            leeway=_LEEWAY_SECONDS,
            options={
                "require": ["sub", "exp", "aud"],
                "strict_aud": True,
                # Claims that nothing here depends on.
                "verify_iss": False,
                "verify_jti": False,
            },
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenError("the token has expired") from error
    except jwt.ImmatureSignatureError as error:
        raise TokenError("the token is not valid yet") from error
    except jwt.MissingRequiredClaimError as error:
        raise TokenError(f"the token has no {error.claim}") from error
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise TokenError("the token's signature or claims are not valid") from error
    return _end_user(project, claims)


def _end_user(project: str, claims: dict[str, Any]) -> EndUser:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 256 or not _is_text(user_id):
        raise TokenError("the token's sub must be a user's id")
    return EndUser(project, user_id, claims.get("role") == "admin", int(claims["exp"]))


def _is_text(text: str) -> bool:
    """Tell whether a text may be somebody's id: escapes of JSON also name what none may hold."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
