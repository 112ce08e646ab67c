"""API keys, and the keys that tokens are verified with: creation, storage, verification.

A key's secret has 256 random bits and cannot be guessed, so it needs no slow, salted password hash:
SHA-256 and a comparison in constant time cost a microsecond a request. The database reveals no
secret.
"""

import base64
import hmac
import math
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Generic, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.database_deadline import quick_connection
from api.queries import credentials as queries
from api.queries import sessions
from schemas import sealing

CACHE_SECONDS = 2.0
"""How long a key is cached: a revoked key stops working within this time."""

_PLAIN, _ENCRYPTED = b"\x00", b"\x01"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

T = TypeVar("T")


class Role(StrEnum):
    """What an API key may do."""

    ADMIN = "admin"
    PRODUCER = "producer"
    ANALYST = "analyst"


class CredentialsError(Exception):
    """A key cannot be made, registered or decrypted; the message says why."""


@dataclass(frozen=True)
class NewKey:
    """A key as it is shown to its owner, once."""

    key_id: str
    secret: str


@dataclass(frozen=True)
class VerifiedKey:
    """A key whose secret was right."""

    key_id: str
    project: str
    role: Role


@dataclass(frozen=True)
class TokenKey:
    """A project's key for tokens: the secret's text, or the public key as PEM."""

    algorithm: str
    key: str
    previous: str | None = None
    """The secret before a rotation, while it is still valid."""


async def create_key(
    connection: AsyncConnection,
    project: str,
    role: Role,
    master_key: bytes | None,
    *,
    signing: bool,
) -> NewKey:
    """Make an API key and keep the hash of its secret; a signing key's secret also encrypted.

    Raises:
        CredentialsError: a signing key is wanted, but there is no master key.
    """
    key = NewKey(secrets.token_hex(12), _random_secret(signing=signing))
    sealed = _sealed(master_key, key) if signing else None
    await queries.insert_api_key(
        connection,
        key_id=key.key_id,
        project=project,
        role=role.value,
        secret_hash=hash_of(key.secret),
        signing_secret=sealed,
    )
    return key


async def rotate_key(
    connection: AsyncConnection,
    project: str,
    key_id: str,
    master_key: bytes | None,
    until: datetime,
) -> NewKey:
    """Rotate a key's secret. The present one stays valid until `until`, an older one does not.

    Raises:
        CredentialsError: the project has no such key, it was revoked, or it signs and there is no
            master key.
    """
    known = {key.key_id: key for key in await queries.api_keys(connection, project)}
    if key_id not in known:
        raise CredentialsError(f"project {project} has no key {key_id!r}")
    if known[key_id].revoked_at is not None:
        raise CredentialsError(f"the key {key_id} was revoked")
    signing = known[key_id].signing
    key = NewKey(key_id, _random_secret(signing=signing))
    await queries.rotate_api_key(
        connection,
        key_id=key_id,
        secret_hash=hash_of(key.secret),
        signing_secret=_sealed(master_key, key) if signing else None,
        until=until,
    )
    return key


def _sealed(master_key: bytes | None, key: NewKey) -> bytes:
    if master_key is None:
        raise CredentialsError("MILESTREAM_MASTER_KEY must be set to make a signing key")
    return seal(master_key, key.key_id, key.secret)


def _random_secret(*, signing: bool) -> str:
    """Return 256 random bits as text; a signature's key has to be base64."""
    bits = secrets.token_bytes(32)
    encode = base64.b64encode if signing else base64.urlsafe_b64encode
    return encode(bits).decode("ascii").rstrip("" if signing else "=")


def hash_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).digest()


def seal(master_key: bytes | None, label: str, secret: str) -> bytes:
    """Return `secret` for the database: under AES-256-GCM where there is a master key.

    `label` (whose secret it is) is authenticated with it, so that no row can be given the secret
    of another.
    """
    if master_key is None:
        return _PLAIN + secret.encode()
    return _ENCRYPTED + sealing.seal(master_key, label, secret.encode())


def unseal(master_key: bytes | None, label: str, sealed: bytes) -> str:
    """Return the secret that `seal` kept.

    Raises:
        CredentialsError: it was encrypted, and not under this master key.
    """
    mark, rest = sealed[:1], sealed[1:]
    if mark == _PLAIN:
        return rest.decode()
    if master_key is None:
        raise CredentialsError(
            "MILESTREAM_MASTER_KEY must be set: the secret is encrypted under it"
        )
    try:
        return sealing.unseal(master_key, label, rest).decode()
    except sealing.SealError:
        message = "MILESTREAM_MASTER_KEY is not the one that the secret was encrypted under"
        raise CredentialsError(message) from None


async def jwt_secret(connection: AsyncConnection, project: str, master_key: bytes | None) -> str:
    """Return the project's HS256 secret, made at the first call.

    Raises:
        CredentialsError: the project has a public key instead, or the secret is encrypted under
            another master key.
    """
    made = seal(master_key, _jwt_label(project), secrets.token_urlsafe(48))
    await queries.insert_jwt_secret_once(connection, project, made)
    kept = await queries.jwt_key(connection, project)
    if kept is None or kept.secret is None:
        raise CredentialsError(f"project {project} has a public key for its tokens, no secret")
    return unseal(master_key, _jwt_label(project), kept.secret)


async def rotate_jwt_secret(
    connection: AsyncConnection, project: str, master_key: bytes | None, until: datetime
) -> str:
    """Rotate a project's HS256 secret and return the new one. The present one stays valid until
    then.

    Raises:
        CredentialsError: the project has no secret.
    """
    made = secrets.token_urlsafe(48)
    sealed = seal(master_key, _jwt_label(project), made)
    if not await queries.rotate_jwt_secret(connection, project, sealed, until):
        raise CredentialsError(f"project {project} has no secret for its tokens to rotate")
    return made


def _jwt_label(project: str) -> str:
    return f"jwt:{project}"


async def register_public_key(connection: AsyncConnection, project: str, pem: bytes) -> str:
    """Replace a project's key for tokens by a public key; return its algorithm.

    Raises:
        CredentialsError: not an RSA key of 2048 bits or more, nor one on P-256, in PEM.
    """
    algorithm = public_key_algorithm(pem)
    text = pem.decode("ascii", "ignore")  # text around the key is ignored
    await queries.upsert_jwt_public_key(connection, project, algorithm, text)
    return algorithm


def public_key_algorithm(pem: bytes) -> str:
    """Return the algorithm that tokens of this public key have: RS256 or ES256.

    Raises:
        CredentialsError: as `register_public_key`.
    """
    if b"PRIVATE KEY" in pem:
        raise CredentialsError("this is a private key; register the public one")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise CredentialsError("not a public key in PEM") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise CredentialsError("must be an RSA key of at least 2048 bits, or an EC key on P-256")


class _Cached(Generic[T]):
    """A cache with a time to live."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, T]] = {}

    def get(self, key: str) -> T | None:
        entry = self._entries.get(key)
        return entry[1] if entry and time.monotonic() < entry[0] else None

    def put(self, key: str, value: T, seconds: float = math.inf) -> None:
        """Keep a value for `CACHE_SECONDS`, or for fewer."""
        if len(self._entries) >= 10_000:
            self._entries.clear()
        self._entries[key] = (time.monotonic() + min(seconds, CACHE_SECONDS), value)

    def drop(self, key: str) -> None:
        self._entries.pop(key, None)


def _is_secret_of(key: queries.ApiKey, given: bytes) -> bool:
    # Both are always compared, so that the time reveals nothing.
    right = hmac.compare_digest(given, key.secret_hash)
    right |= hmac.compare_digest(given, key.previous_secret_hash or b"")
    return right


class Keyring:
    """Looks up keys in the database, through a cache.

    Only existing keys are cached, and the cache refuses none, so that a new key or secret works at
    once. A revoked one stops working within `CACHE_SECONDS`.
    """

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection], master_key: bytes | None
    ) -> None:
        self._pool = pool
        self._master_key = master_key
        self._api_keys = _Cached[queries.ApiKey]()
        self._token_keys = _Cached[TokenKey]()
        self._sessions = _Cached[VerifiedKey]()

    async def verify(self, key_id: str, secret: str) -> VerifiedKey | None:
        """Return the key of this id if the secret is right, else None."""
        if not _KEY_ID.fullmatch(key_id) or len(secret) > 256:
            return None
        given = hash_of(secret)
        key = self._api_keys.get(key_id)
        if key is None or not _is_secret_of(key, given):  # or its secret is a new one
            async with quick_connection(self._pool) as connection:
                key = await queries.api_key(connection, key_id)
            if key is None or not _is_secret_of(key, given):
                return None
            self._api_keys.put(key_id, key)
        return VerifiedKey(key_id, key.project, Role(key.role))

    async def of_session(self, session: str, *, acts: bool) -> VerifiedKey | None:
        """Return the key that a browser's session acts as; None where it is over.

        Where it is to do something the database is asked: who has signed out, at whatever process,
        does nothing from then on.
        """
        hashed = hash_of(session)
        name = hashed.hex()
        key = None if acts else self._sessions.get(name)
        if key is None:
            async with quick_connection(self._pool) as connection:
                found = await sessions.key_of_session(connection, hashed)
            if found is None:
                self._sessions.drop(name)
                return None
            key = VerifiedKey(found.key_id, found.project, Role(found.role))
            self._sessions.put(name, key, found.seconds_left)
        return key

    async def end_session(self, session: str) -> None:
        """End a browser's session: here at once, in other processes within `CACHE_SECONDS`."""
        hashed = hash_of(session)
        async with quick_connection(self._pool) as connection:
            await sessions.delete_session(connection, hashed)
        self._sessions.drop(hashed.hex())

    async def token_key(self, project: str) -> TokenKey | None:
        """Return a project's key for tokens, None where it has none.

        Raises:
            CredentialsError: its secret is encrypted under another master key.
        """
        key = self._token_keys.get(project)
        if key is not None:
            return key
        async with quick_connection(self._pool) as connection:
            kept = await queries.jwt_key(connection, project)
        if kept is None:
            return None
        text, previous, label = kept.public_key, None, _jwt_label(project)
        if kept.secret is not None:
            text = unseal(self._master_key, label, kept.secret)
        if kept.previous_secret is not None:
            previous = unseal(self._master_key, label, kept.previous_secret)
        assert text is not None
        key = TokenKey(kept.algorithm, text, previous)
        self._token_keys.put(project, key)
        return key
