"""Checkpoints: how far each read model has come, guarded in the transaction of its rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from psycopg import AsyncConnection

from projections.batch import Place

Connection = AsyncConnection[tuple[object, ...]]


class CheckpointConflict(Exception):
    """A checkpoint is not where it was: another projector has been there. Nothing was written."""


_INSERT = """
INSERT INTO milestream.projection_checkpoints (projection, topic, partition, next_offset)
SELECT projection, topic, partition, 0
FROM unnest(%s::text[], %s::text[], %s::integer[]) AS wanted (projection, topic, partition)
ORDER BY projection, topic, partition
ON CONFLICT DO NOTHING
"""

_SELECT = """
SELECT projection, topic, partition, next_offset
FROM milestream.projection_checkpoints
JOIN unnest(%s::text[], %s::text[], %s::integer[]) AS wanted (projection, topic, partition)
USING (projection, topic, partition)
"""

_LOCK = """
SELECT projection, topic, partition, next_offset
FROM milestream.projection_checkpoints
WHERE projection = %s
ORDER BY projection, topic, partition
FOR UPDATE
"""

# One statement locks in a fixed order, so that projectors that fight never deadlock; compares,
# again after it had to wait; and sets.
_ADVANCE = """
WITH moves AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[], %s::bigint[], %s::bigint[])
        AS move (projection, topic, partition, old_offset, new_offset)
), locked AS MATERIALIZED (
    SELECT projection, topic, partition, new_offset
    FROM milestream.projection_checkpoints AS checkpoint
    JOIN moves USING (projection, topic, partition)
    WHERE checkpoint.next_offset = moves.old_offset
    ORDER BY projection, topic, partition
    FOR UPDATE OF checkpoint
)
UPDATE milestream.projection_checkpoints AS checkpoint
SET next_offset = locked.new_offset, updated_at = now()
FROM locked
WHERE (checkpoint.projection, checkpoint.topic, checkpoint.partition)
    = (locked.projection, locked.topic, locked.partition)
"""


def _arrays(places: Iterable[Place]) -> list[list[object]]:
    ordered = list(places)
    return [
        [place.table for place in ordered],
        [place.topic for place in ordered],
        [place.partition for place in ordered],
    ]


async def read(connection: Connection, places: Collection[Place]) -> dict[Place, int]:
    """Return the next offset at each place; one where nothing was read yet begins at 0."""
    arrays = _arrays(places)
    await connection.execute(_INSERT, arrays)
    return await _offsets(connection, _SELECT, arrays)


async def lock(connection: Connection, table: str) -> dict[Place, int]:
    """Return a read model's next offsets; they stand still until the transaction ends."""
    return await _offsets(connection, _LOCK, [table])


async def advance(connection: Connection, moves: Mapping[Place, tuple[int, int]]) -> None:
    """Move checkpoints from where they are believed to be, in the caller's transaction.

    Raises:
        CheckpointConflict: one is elsewhere; the transaction must be rolled back.
    """
    offsets = [[old for old, _ in moves.values()], [new for _, new in moves.values()]]
    cursor = await connection.execute(_ADVANCE, [*_arrays(moves), *offsets])
    if cursor.rowcount != len(moves):
        raise CheckpointConflict


async def _offsets(
    connection: Connection, query: str, arguments: Sequence[object]
) -> dict[Place, int]:
    cursor = await connection.execute(query.encode(), arguments)
    return {
        Place(str(table), str(topic), int(str(partition))): int(str(offset))
        for table, topic, partition, offset in await cursor.fetchall()
    }
