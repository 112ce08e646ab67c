"""Checkpoints: how far each read model has come, guarded in the transaction of its rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from psycopg import AsyncConnection

from projections.batch import CheckpointKey

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

_BIND = """
UPDATE milestream.projection_checkpoints AS checkpoint
SET topic_id = wanted.topic_id
FROM unnest(%s::text[], %s::text[], %s::integer[], %s::uuid[])
    AS wanted (projection, topic, partition, topic_id)
WHERE (checkpoint.projection, checkpoint.topic, checkpoint.partition)
    = (wanted.projection, wanted.topic, wanted.partition)
    AND checkpoint.topic_id IS DISTINCT FROM wanted.topic_id
    AND (checkpoint.topic_id IS NULL OR checkpoint.next_offset = 0)
"""

_OTHERS = """
SELECT projection, topic, partition, next_offset
FROM milestream.projection_checkpoints AS checkpoint
JOIN unnest(%s::text[], %s::text[], %s::integer[], %s::uuid[])
    AS wanted (projection, topic, partition, topic_id)
USING (projection, topic, partition)
WHERE checkpoint.topic_id <> wanted.topic_id
ORDER BY projection, topic, partition
"""

_BEGIN_AGAIN = """
UPDATE milestream.projection_checkpoints AS checkpoint
SET topic_id = wanted.topic_id, next_offset = 0, updated_at = now()
FROM unnest(%s::text[], %s::text[], %s::integer[], %s::uuid[])
    AS wanted (projection, topic, partition, topic_id)
WHERE (checkpoint.projection, checkpoint.topic, checkpoint.partition)
    = (wanted.projection, wanted.topic, wanted.partition)
"""

# One statement locks in a fixed order, so that projectors that fight never deadlock; compares,
# after it had to wait; and sets. A read model whose rows several topics change is locked in all of
# them, for what is one member's in one may be another projector's in the other.
_ADVANCE = """
WITH moves AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[], %s::bigint[], %s::bigint[])
        AS move (projection, topic, partition, old_offset, new_offset)
), locked AS MATERIALIZED (
    SELECT projection, topic, partition, next_offset
    FROM milestream.projection_checkpoints
    WHERE (projection, topic, partition) IN (SELECT projection, topic, partition FROM moves)
        OR (projection = ANY (%s) AND (projection, partition) IN (
            SELECT projection, partition FROM moves
        ))
    ORDER BY projection, topic, partition
    FOR UPDATE
)
UPDATE milestream.projection_checkpoints AS checkpoint
SET next_offset = moves.new_offset, updated_at = now()
FROM locked JOIN moves USING (projection, topic, partition)
WHERE locked.next_offset = moves.old_offset
    AND (checkpoint.projection, checkpoint.topic, checkpoint.partition)
    = (locked.projection, locked.topic, locked.partition)
"""


def _arrays(places: Iterable[CheckpointKey]) -> list[list[object]]:
    ordered = list(places)
    return [
        [place.table for place in ordered],
        [place.topic for place in ordered],
        [place.partition for place in ordered],
    ]


async def read(
    connection: Connection, places: Collection[CheckpointKey]
) -> dict[CheckpointKey, int]:
    """Return the next offset at each place; one where nothing was read yet begins at 0."""
    arrays = _arrays(places)
    await connection.execute(_INSERT, arrays)
    return await _offsets(connection, _SELECT, arrays)


async def bind(connection: Connection, ids: Mapping[CheckpointKey, UUID]) -> list[CheckpointKey]:
    """Bind checkpoints to the ids of their topics, where they are not bound or nothing was read.

    Returns those that are bound to another: their topics were deleted and made anew.
    """
    arguments = [*_arrays(ids), list(ids.values())]
    await connection.execute(_BIND, arguments)
    return list(await _offsets(connection, _OTHERS, arguments))


async def begin_again(connection: Connection, ids: Mapping[CheckpointKey, UUID]) -> None:
    """Set checkpoints to the beginning of topics that were made anew, in the caller's transaction.

    Whoever calls has put a read model in place that has nothing of these topics.
    """
    await connection.execute(_BEGIN_AGAIN, [*_arrays(ids), list(ids.values())])


async def lock(connection: Connection, table: str) -> dict[CheckpointKey, int]:
    """Return a read model's next offsets; they stand still until the transaction ends."""
    return await _offsets(connection, _LOCK, [table])


async def advance(
    connection: Connection,
    moves: Mapping[CheckpointKey, tuple[int, int]],
    shared: Sequence[str] = (),
) -> None:
    """Move checkpoints from where they are believed to be, in the caller's transaction. ``shared``
    are the read models whose rows several topics change.

    Raises:
        CheckpointConflict: one is elsewhere; the transaction must be rolled back.
    """
    offsets = [[old for old, _ in moves.values()], [new for _, new in moves.values()]]
    cursor = await connection.execute(_ADVANCE, [*_arrays(moves), *offsets, list(shared)])
    if cursor.rowcount != len(moves):
        raise CheckpointConflict


async def _offsets(
    connection: Connection, query: str, arguments: Sequence[object]
) -> dict[CheckpointKey, int]:
    cursor = await connection.execute(query.encode(), arguments)
    return {
        CheckpointKey(str(table), str(topic), int(str(partition))): int(str(offset))
        for table, topic, partition, offset in await cursor.fetchall()
    }
