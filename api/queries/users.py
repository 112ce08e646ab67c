"""Users of the events face: members by their ids."""

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row


async def exists(connection: AsyncConnection, project: str, member_id: UUID) -> bool:
    """Tell whether a project has this member, and has not deleted it."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM milestream.members
                WHERE project = %s AND member_id = %s AND status <> 'deleted'
            )
            """,
            (project, member_id),
        )
        return bool(await cursor.fetchone())
