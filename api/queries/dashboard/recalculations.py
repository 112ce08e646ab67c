"""Recalculations of a project: what was asked for, how far each is, and what it changes."""

from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Rows = list[dict[str, Any]]

_SHOWN: LiteralString = """
SELECT r.id, r.status, r.code, r.mode, r.challenge_id AS "challengeId", r.since, r.apply,
    r.max_points AS "maxPoints", r.max_rewards AS "maxRewards", r.members, r.completions, r.rewards,
    r.points, r.created_at AS "createdAt", r.ended_at AS "endedAt", (
        SELECT array_agg(coalesce(each ->> 'name', each ->> 'id'))
        FROM jsonb_array_elements(r.definitions) AS each
    ) AS names, c.name AS challenge,
    w.step, w.next_partition AS "partitionsDone", (
        SELECT count(*) FROM jsonb_object_keys(w.ends)
    ) AS partitions
FROM milestream.recalculations AS r
LEFT JOIN milestream_private.recalculation_work AS w USING (id)
LEFT JOIN milestream.challenges AS c ON c.project = r.project AND c.id = r.challenge_id
WHERE r.project = %(project)s
"""
_LIST: LiteralString = f"{_SHOWN} ORDER BY r.created_at DESC, r.id LIMIT %(limit)s"
_ONE: LiteralString = f"{_SHOWN} AND r.id = %(id)s"
_DEFINITIONS: LiteralString = """
SELECT definitions::text AS definitions, definitions_offset AS "definitionsEnd"
FROM milestream.recalculations
WHERE project = %(project)s AND id = %(id)s
"""
# What is only proposed has no row of its own.
_PROPOSED: LiteralString = """(
    SELECT max(each ->> 'name')
    FROM milestream.recalculations AS r, jsonb_array_elements(r.definitions) AS each
    WHERE r.project = %(project)s AND r.id = %(id)s AND each ->> 'id' = change.id::text
)"""
_SUMS: LiteralString = f"""
SELECT change.kind, change.id, coalesce(c.name, m.name, {_PROPOSED}) AS name,
    change.members, change.points, change.before, change.after
FROM milestream.recalculations AS r
CROSS JOIN jsonb_to_recordset(r.sums) AS change (
    kind text, id uuid, members bigint, points numeric, before numeric, after numeric
)
LEFT JOIN milestream.challenges AS c ON c.project = r.project AND c.id = change.id
LEFT JOIN milestream.milestones AS m ON m.project = r.project AND m.id = change.id
WHERE r.project = %(project)s AND r.id = %(id)s
ORDER BY change.kind, name, change.id LIMIT %(limit)s
"""  # noqa: S608  (of this module's own texts)
# What is given or taken comes first: progress, last by its kind, is listed where it stays too.
_CHANGES: LiteralString = f"""
SELECT change.kind, change.id, change.member_id AS "memberId", who.external_id AS "externalId",
    nullif(concat_ws(' ', who.first_name, who.last_name), '') AS member,
    coalesce(c.name, m.name, {_PROPOSED}) AS name, change.period_key AS "periodKey", change.before,
    change.after, change.points
FROM (
    SELECT * FROM milestream.recalculation_changes
    WHERE project = %(project)s AND recalculation_id = %(id)s
    ORDER BY recalculation_id DESC, kind DESC, id DESC, member_id DESC, period_key DESC
    LIMIT %(limit)s
) AS change
LEFT JOIN milestream.members AS who
    ON who.project = change.project AND who.member_id = change.member_id
LEFT JOIN milestream.challenges AS c ON c.project = change.project AND c.id = change.id
LEFT JOIN milestream.milestones AS m ON m.project = change.project AND m.id = change.id
ORDER BY change.kind DESC, name, change.member_id, change.period_key
"""  # noqa: S608  (of this module's own texts)


async def newest(connection: AsyncConnection, project: str, limit: int) -> Rows:
    """Return the newest ones: what was asked for, and how far each is."""
    return await _rows(connection, _LIST, {"project": project, "limit": limit})


async def one(connection: AsyncConnection, project: str, id_: UUID) -> dict[str, Any] | None:
    """Return one of them: beside that its definitions as JSON, and the offset of `definitions`
    before which lies what it counted as in force, None where that is not known."""
    named: dict[str, object] = {"project": project, "id": id_}
    found = await _rows(connection, _ONE, named)
    if not found:
        return None
    (definitions,) = await _rows(connection, _DEFINITIONS, named)
    return {**found[0], **definitions}


async def changes(
    connection: AsyncConnection, project: str, found: Mapping[str, Any], limit: int
) -> dict[str, Rows]:
    """Return what changes by one of them: by definition (`sums`), as it was added up when that was
    known, and `changes` of members, what is given or taken first. While it runs there are none."""
    if found["status"] == "running":
        return {"sums": [], "changes": []}
    named = {"project": project, "id": found["id"], "limit": limit}
    return {
        "sums": await _rows(connection, _SUMS, named),
        "changes": await _rows(connection, _CHANGES, named),
    }


async def _rows(
    connection: AsyncConnection, statement: LiteralString, named: dict[str, object]
) -> Rows:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, named)
        return await cursor.fetchall()
