"""Signed calls: the keys that they are signed with, and the nonces that were used."""

from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import class_row

NONCES_FORGOTTEN = 10
"""How many aged nonces each new one takes with it, at most: the table stays as small as the calls
of a few minutes are many."""


@dataclass(frozen=True)
class SigningKey:
    """What is kept of an API key that can sign; the secret is encrypted."""

    project: str
    role: str
    signing_secret: bytes
    previous_signing_secret: bytes | None
    """That before a rotation, encrypted, while it is good."""


async def signing_key(connection: AsyncConnection, key_id: str) -> SigningKey | None:
    """Return the good signing key of this id, None where there is none."""
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
    """Write down that a nonce was used, for as long as its timestamp is good.

    The database's clock judges the timestamp, so that all API processes agree on when a nonce may
    be forgotten.

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
    """Forget some nonces that no good timestamp can come with any more.

    The minute is for a statement that looked at the clock a while before it wrote.
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
