"""Authorization: an API key with its secret, or with a signature made with its secret."""

import logging

from fastapi import Request

from api import resources
from api.auth import access
from api.auth.credentials import CredentialsError, Role, VerifiedKey, unseal
from api.faces.game_mechanics import signature
from api.faces.game_mechanics.errors import (
    BAD_VALUE,
    NO_RIGHT,
    SERVER_ERROR,
    STALE_SIGNATURE,
    CallError,
    unauthorized,
)
from api.faces.game_mechanics.parameters import Parameters
from api.queries import credentials as queries
from api.resources import Resources

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 120
"""The permitted difference between a signature's timestamp and the clock."""

MAX_TIMESTAMP = 10**11
_WANTED = "apiKey and secret are required, or apiKey, timestamp, nonce and sig"
_NOT_SIGNED = "the signature is not right, or the key cannot sign"


async def authorize(request: Request, parameters: Parameters, *roles: Role) -> VerifiedKey:
    """Return the caller's key if it has one of `roles`.

    Raises:
        CallError: the credentials are not there, not good, or without the right.
        Problem: 429, it calls too often.
    """
    key = await _identify(request, parameters)
    access.count(request, access.Caller(key.project, key=key))
    if key.role not in roles:
        raise CallError(NO_RIGHT, f"keys with role {key.role.value} may not do this")
    return key


async def _identify(request: Request, parameters: Parameters) -> VerifiedKey:
    key_id, secret, sig = (
        parameters.text("apiKey"),
        parameters.text("secret"),
        parameters.text("sig"),
    )
    parameters.text("nonce")
    parameters.whole("timestamp", 0, MAX_TIMESTAMP)  # validated with a secret too
    if secret is not None and sig is not None:
        raise CallError(BAD_VALUE, "secret and sig exclude each other")
    if key_id is None or (secret is None and sig is None):
        raise unauthorized(_WANTED)
    if sig is not None:
        return await _signed(request, parameters, key_id, _plus(sig))
    key = await resources.of(request).keyring.verify(key_id, _plus(secret or ""))
    if key is None:
        raise unauthorized("apiKey or secret is not right")
    return key


def _plus(text: str) -> str:
    """Return base64 in which unencoded plus signs arrived as blanks."""
    return text.replace(" ", "+")


async def _signed(request: Request, parameters: Parameters, key_id: str, sig: str) -> VerifiedKey:
    parameters.required("timestamp")
    nonce = parameters.required("nonce")
    timestamp = parameters.whole("timestamp", 0, MAX_TIMESTAMP)
    assert timestamp is not None
    held = resources.of(request)
    async with held.pool.connection() as connection, connection.transaction():
        key = await queries.signing_key(connection, key_id)
        if key is None:
            raise unauthorized(_NOT_SIGNED)
        url = held.settings.public_url + request.scope["path"]
        agreed = False
        for sealed in filter(None, (key.signing_secret, key.previous_signing_secret)):
            secret = _secret(held, key_id, sealed)
            right = signature.expected(secret, request.method, url, parameters.values)
            agreed |= signature.agrees(sig, right)
        if not agreed:
            raise unauthorized(_NOT_SIGNED)
        if not await queries.use_nonce(connection, key_id, nonce, timestamp, WINDOW_SECONDS):
            details = f"timestamp is more than {WINDOW_SECONDS} s off, or nonce was used before"
            raise CallError(STALE_SIGNATURE, details)
    return VerifiedKey(key_id, key.project, Role(key.role))


def _secret(held: Resources, key_id: str, sealed: bytes) -> str:
    try:
        return unseal(held.settings.master_key, key_id, sealed)
    except CredentialsError as error:
        logger.warning("signatures of key %s cannot be checked: %s", key_id, error)
        details = "signatures of this key cannot be checked: its secret cannot be decrypted"
        raise CallError(SERVER_ERROR, details) from error
