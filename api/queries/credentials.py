"""The private schema: API keys, and the keys that tokens are checked with."""

from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True)
class ApiKey:
    """What is kept of an API key."""

    project: str
    role: str
    secret_hash: bytes


@dataclass(frozen=True)
class JwtKey:
    """What a project's tokens are checked with: a sealed secret, or a public key as PEM."""

    algorithm: str
    secret: bytes | None
    public_key: str | None


async def insert_api_key(
    connection: AsyncConnection,
    *,
    key_id: str,
    project: str,
    role: str,
    secret_hash: bytes,
    signing_secret: bytes | None,
) -> None:
    """Keep a new API key."""
    await connection.execute(
        """
        INSERT INTO milestream_private.api_keys
            (key_id, project, role, secret_hash, signing_secret)
        VALUES (%s, %s, %s, %s, %s)
        """,
        (key_id, project, role, secret_hash, signing_secret),
    )


async def api_key(connection: AsyncConnection, key_id: str) -> ApiKey | None:
    """Return the good key of this id, None where there is none or it was revoked."""
    async with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        await cursor.execute(
            """
            SELECT project, role, secret_hash FROM milestream_private.api_keys
            WHERE key_id = %s AND revoked_at IS NULL
            """,
            (key_id,),
        )
        return await cursor.fetchone()


async def insert_jwt_secret_once(connection: AsyncConnection, project: str, sealed: bytes) -> None:
    """Keep a project's HS256 secret; does nothing where it has a key already."""
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
    """Keep the public key of a project's tokens, in place of what it had."""
    await connection.execute(
        """
        INSERT INTO milestream_private.jwt_keys (project, algorithm, public_key)
        VALUES (%s, %s, %s)
        ON CONFLICT (project) DO UPDATE SET
            algorithm = excluded.algorithm, public_key = excluded.public_key,
            secret = NULL, created_at = now()
        """,
        (project, algorithm, pem),
    )


async def jwt_key(connection: AsyncConnection, project: str) -> JwtKey | None:
    """Return what a project's tokens are checked with, None where there is nothing."""
    async with connection.cursor(row_factory=class_row(JwtKey)) as cursor:
        await cursor.execute(
            """
            SELECT algorithm, secret, public_key FROM milestream_private.jwt_keys
            WHERE project = %s
            """,
            (project,),
        )
        return await cursor.fetchone()
