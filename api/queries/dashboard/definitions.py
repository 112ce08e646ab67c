"""Definitions of a project: what there is of each, and every version of one."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

Rows = list[dict[str, Any]]


LOOKED_THROUGH = 20_000
"""Versions that the list is made from at most, the newest."""


async def newest(connection: AsyncConnection, project: str, limit: int) -> Rows:
    """Return the last version of each definition, those written last first; deleted ones too. Only
    those that the newest `LOOKED_THROUGH` versions are of."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT * FROM (
                SELECT DISTINCT ON (kind, id) kind, id, version, at, actor,
                    coalesce(definition ->> 'name', definition ->> 'title') AS name,
                    definition ->> 'status' AS status, definition IS NULL AS deleted
                FROM (
                    SELECT * FROM milestream.definition_history WHERE project = %s
                    ORDER BY at DESC LIMIT %s
                ) AS newest
                ORDER BY kind, id, version DESC
            ) AS last
            ORDER BY version DESC LIMIT %s
            """,
            (project, LOOKED_THROUGH, limit),
        )
        return await cursor.fetchall()


async def are_many(connection: AsyncConnection, project: str) -> bool:
    """Tell whether there are more versions than the list is made from."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM milestream.definition_history WHERE project = %s
                ORDER BY at DESC OFFSET %s LIMIT 1
            )
            """,
            (project, LOOKED_THROUGH),
        )
        return bool(await cursor.fetchone())


async def versions(
    connection: AsyncConnection, project: str, kind: str, id_: str, limit: int
) -> Rows:
    """Return when a definition was written and by whom, the newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT version, at, actor, definition IS NULL AS deleted
            FROM milestream.definition_history WHERE project = %s AND kind = %s AND id = %s
            ORDER BY version DESC LIMIT %s
            """,
            (project, kind, id_, limit),
        )
        return await cursor.fetchall()


async def version(
    connection: AsyncConnection, project: str, kind: str, id_: str, version: int
) -> dict[str, Any] | None:
    """Return a version with its definition as JSON (null: it was deleted) and the number of the one
    before it; None where there is no such version."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT version, at, actor, definition::text AS definition, (
                SELECT max(version) FROM milestream.definition_history AS earlier
                WHERE earlier.project = one.project AND earlier.kind = one.kind
                    AND earlier.id = one.id AND earlier.version < one.version
            ) AS before
            FROM milestream.definition_history AS one
            WHERE project = %s AND kind = %s AND id = %s AND version = %s
            """,
            (project, kind, id_, version),
        )
        return await cursor.fetchone()
