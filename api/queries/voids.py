"""Whose a log is."""

from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

_MEMBER: dict[str, LiteralString] = {
    "challenge_logs": (
        "SELECT member_id FROM milestream.challenge_logs WHERE project = %s AND id = %s"
    ),
    "event_log": "SELECT member_id FROM milestream.event_log WHERE project = %s AND id = %s",
}


async def member_of(
    connection: AsyncConnection, project: str, table: str, record_id: UUID
) -> UUID | None:
    """Return the member of a row of ``challenge_logs`` or ``event_log``, None where it has none."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_MEMBER[table], (project, record_id))
        found: UUID | None = await cursor.fetchone()
        return found
