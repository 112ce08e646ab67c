"""How far the read models are."""

from psycopg import AsyncConnection


async def checkpoints(connection: AsyncConnection) -> dict[tuple[str, str, int], int]:
    """Return the next offset by (read model, topic without prefix, partition)."""
    cursor = await connection.execute(
        "SELECT projection, topic, partition, next_offset FROM milestream.projection_checkpoints"
    )
    return {
        (projection, topic, partition): next_offset
        async for projection, topic, partition, next_offset in cursor
    }
