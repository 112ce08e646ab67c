"""API keys, signatures and the keys of tokens, in the private schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True)
class ApiKey:
    """A stored API key."""

    project: str
    role: str
    secret_hash: bytes
    previous_secret_hash: bytes | None
    """The hash of the secret before a rotation, while it is valid."""


@dataclass(frozen=True)
class ListedKey:
    """An API key as it is listed."""

    key_id: str
    role: str
    signing: bool
    created_at: datetime
    revoked_at: datetime | None
    previous_until: datetime | None


@dataclass(frozen=True)
class JwtKey:
    """A project's key for tokens: an encrypted secret, or a public key as PEM."""

    algorithm: str
    secret: bytes | None
    public_key: str | None
    previous_secret: bytes | None
    """The secret before a rotation, encrypted, while it is valid."""


async def insert_api_key(
    connection: AsyncConnection,
    *,
    key_id: str,
    project: str,
    role: str,
    secret_hash: bytes,
    signing_secret: bytes | None,
) -> None:
    """Insert an API key."""
    await connection.execute(
        """
        INSERT INTO milestream_private.api_keys
            (key_id, project, role, secret_hash, signing_secret)
        VALUES (%s, %s, %s, %s, %s)
        """,
        (key_id, project, role, secret_hash, signing_secret),
    )


async def api_key(connection: AsyncConnection, key_id: str) -> ApiKey | None:
    """Return the key of this id, None where there is none or it was revoked."""
    async with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        await cursor.execute(
            """
            SELECT project, role, secret_hash,
                CASE WHEN previous_until > clock_timestamp() THEN previous_secret_hash END
                    AS previous_secret_hash
            FROM milestream_private.api_keys
            WHERE key_id = %s AND revoked_at IS NULL
            """,
            (key_id,),
        )
        return await cursor.fetchone()


async def api_keys(connection: AsyncConnection, project: str) -> Sequence[ListedKey]:
    """Return a project's keys, revoked ones too, the oldest first."""
    async with connection.cursor(row_factory=class_row(ListedKey)) as cursor:
        await cursor.execute(
            """
            SELECT key_id, role, signing_secret IS NOT NULL AS signing, created_at, revoked_at,
                CASE WHEN previous_until > clock_timestamp() THEN previous_until END
                    AS previous_until
            FROM milestream_private.api_keys WHERE project = %s ORDER BY created_at, key_id
            """,
            (project,),
        )
        return await cursor.fetchall()


async def revoke_api_key(connection: AsyncConnection, project: str, key_id: str) -> bool:
    """Revoke a key; return False where the project has no such key."""
    cursor = await connection.execute(
        """
        UPDATE milestream_private.api_keys
        SET revoked_at = coalesce(revoked_at, clock_timestamp()), previous_secret_hash = NULL,
            previous_signing_secret = NULL, previous_until = NULL
        WHERE project = %s AND key_id = %s
        """,
        (project, key_id),
    )
    return cursor.rowcount == 1


async def rotate_api_key(
    connection: AsyncConnection,
    *,
    key_id: str,
    secret_hash: bytes,
    signing_secret: bytes | None,
    until: datetime,
) -> None:
    """Replace a key's secret; the present one stays valid until `until`."""
    await connection.execute(
        """
        UPDATE milestream_private.api_keys
        SET previous_secret_hash = secret_hash, previous_signing_secret = signing_secret,
            previous_until = %s, secret_hash = %s, signing_secret = %s
        WHERE key_id = %s
        """,
        (until, secret_hash, signing_secret, key_id),
    )


async def insert_jwt_secret_once(connection: AsyncConnection, project: str, sealed: bytes) -> None:
    """Insert a project's HS256 secret unless it has a key."""
    await connection.execute(
        """
        INSERT INTO milestream_private.jwt_keys (project, algorithm, secret)
        VALUES (%s, 'HS256', %s) ON CONFLICT (project) DO NOTHING
        """,
        (project, sealed),
    )


async def upsert_jwt_public_key(
    connection: AsyncConnection, project: str, algorithm: str, pem: str
) -> None:
    """Replace a project's key for tokens by a public key."""
    await connection.execute(
        """
        INSERT INTO milestream_private.jwt_keys (project, algorithm, public_key)
        VALUES (%s, %s, %s)
        ON CONFLICT (project) DO UPDATE SET
            algorithm = excluded.algorithm, public_key = excluded.public_key,
            secret = NULL, previous_secret = NULL, previous_until = NULL, created_at = now()
        """,
        (project, algorithm, pem),
    )


async def jwt_key(connection: AsyncConnection, project: str) -> JwtKey | None:
    """Return a project's key for tokens, None where it has none."""
    async with connection.cursor(row_factory=class_row(JwtKey)) as cursor:
        await cursor.execute(
            """
            SELECT algorithm, secret, public_key,
                CASE WHEN previous_until > clock_timestamp() THEN previous_secret END
                    AS previous_secret
            FROM milestream_private.jwt_keys WHERE project = %s
            """,
            (project,),
        )
        return await cursor.fetchone()


async def rotate_jwt_secret(
    connection: AsyncConnection, project: str, sealed: bytes, until: datetime
) -> bool:
    """Replace a project's HS256 secret; the present one stays valid until `until`.

    Returns:
        False where it has none.
    """
    cursor = await connection.execute(
        """
        UPDATE milestream_private.jwt_keys
        SET previous_secret = secret, previous_until = %s, secret = %s, created_at = now()
        WHERE project = %s AND secret IS NOT NULL
        """,
        (until, sealed, project),
    )
    return cursor.rowcount == 1


NONCES_FORGOTTEN = 10
"""How many expired nonces each new one deletes, at most: the table stays as small as a few minutes
of calls."""


@dataclass(frozen=True)
class SigningKey:
    """A stored API key that can sign; its secret is encrypted."""

    project: str
    role: str
    signing_secret: bytes
    previous_signing_secret: bytes | None
    """The secret before a rotation, encrypted, while it is valid."""


async def signing_key(connection: AsyncConnection, key_id: str) -> SigningKey | None:
    """Return the signing key of this id, None where there is none or it was revoked."""
    async with connection.cursor(row_factory=class_row(SigningKey)) as cursor:
        await cursor.execute(
            """
            SELECT project, role, signing_secret,
                CASE WHEN previous_until > clock_timestamp() THEN previous_signing_secret END
                    AS previous_signing_secret
            FROM milestream_private.api_keys
            WHERE key_id = %s AND signing_secret IS NOT NULL AND revoked_at IS NULL
            """,
            (key_id,),
        )
        return await cursor.fetchone()


async def use_nonce(
    connection: AsyncConnection, key_id: str, nonce: str, timestamp: int, window_seconds: int
) -> bool:
    """Insert a nonce, to be kept as long as its timestamp is valid.

    The database's clock judges the timestamp, so that all API processes agree on when it expires.

    Returns:
        False where the timestamp is further off than the window, or the nonce was used before.
    """
    cursor = await connection.execute(
        """
        INSERT INTO milestream_private.used_nonces (key_id, nonce, expires_at)
        SELECT %(key_id)s, %(nonce)s, said + width
        FROM (
            SELECT to_timestamp(%(timestamp)s) AS said,
                   make_interval(secs => %(window)s) AS width
        ) AS call
        WHERE clock_timestamp() BETWEEN said - width AND said + width
        ON CONFLICT DO NOTHING
        """,
        {"key_id": key_id, "nonce": nonce, "timestamp": timestamp, "window": window_seconds},
    )
    used = cursor.rowcount == 1
    if used:
        await _forget_aged(connection)
    return used


async def _forget_aged(connection: AsyncConnection) -> None:
    """Delete some nonces whose timestamps are no longer valid.

    The minute allows for a statement that read the clock well before it wrote.
    """
    await connection.execute(
        """
        DELETE FROM milestream_private.used_nonces WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM milestream_private.used_nonces
            WHERE expires_at < clock_timestamp() - interval '1 minute'
            ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
        ))
        """,
        (NONCES_FORGOTTEN,),
    )
