"""Links to the dashboard and browser sessions, in the private schema."""

from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True)
class KeyOfSession:
    """The API key that a browser acts as, and for how long it does."""

    key_id: str
    project: str
    role: str
    seconds_left: float


async def insert_link(
    connection: AsyncConnection, link_hash: bytes, key_id: str, seconds: int
) -> None:
    """Insert a link that can be opened for so many seconds."""
    await connection.execute(
        """
        INSERT INTO milestream_private.login_links (link_hash, key_id, expires_at)
        VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
        """,
        (link_hash, key_id, seconds),
    )


async def open_link(
    connection: AsyncConnection, link_hash: bytes, session_hash: bytes, seconds: int
) -> bool:
    """Replace a link by a session of so many seconds, in one statement: of two that open it, one
    gets in. Return False where there is no such link, or not any more, or its key was revoked."""
    cursor = await connection.execute(
        """
        WITH opened AS (
            DELETE FROM milestream_private.login_links WHERE link_hash = %s
            RETURNING key_id, expires_at
        )
        INSERT INTO milestream_private.sessions (session_hash, key_id, expires_at)
        SELECT %s, key_id, clock_timestamp() + make_interval(secs => %s) FROM opened
        JOIN milestream_private.api_keys USING (key_id)
        WHERE opened.expires_at > clock_timestamp() AND revoked_at IS NULL
        """,
        (link_hash, session_hash, seconds),
    )
    return cursor.rowcount == 1


async def key_of_session(connection: AsyncConnection, session_hash: bytes) -> KeyOfSession | None:
    """Return the key that a session acts as; None where it is over, or its key was revoked."""
    async with connection.cursor(row_factory=class_row(KeyOfSession)) as cursor:
        await cursor.execute(
            """
            SELECT key_id, project, role,
                extract(epoch FROM expires_at - clock_timestamp())::float AS seconds_left
            FROM milestream_private.sessions
            JOIN milestream_private.api_keys USING (key_id)
            WHERE session_hash = %s AND expires_at > clock_timestamp() AND revoked_at IS NULL
            """,
            (session_hash,),
        )
        return await cursor.fetchone()


async def delete_session(connection: AsyncConnection, session_hash: bytes) -> None:
    """End a session."""
    await connection.execute(
        "DELETE FROM milestream_private.sessions WHERE session_hash = %s", (session_hash,)
    )


async def delete_expired(connection: AsyncConnection) -> None:
    """Forget links that nobody opened in time, and sessions that are over."""
    await connection.execute(
        "DELETE FROM milestream_private.login_links WHERE expires_at < clock_timestamp()"
    )
    await connection.execute(
        "DELETE FROM milestream_private.sessions WHERE expires_at < clock_timestamp()"
    )
