"""Whether the database answers."""

from psycopg import AsyncConnection


async def answers(connection: AsyncConnection) -> None:
    """Ask the least there is to ask; raises where there is no answer."""
    await connection.execute("SELECT 1 FROM milestream.projection_checkpoints LIMIT 1")
