"""Dead letters of a project: how many by reason, a page of them, and one with its bytes.

Whether a letter waits is asked of `api.dead_letters.redriven`, whose positions these statements
are given: see `Redriven`.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Rows = list[dict[str, Any]]

# Of a letter of before there were places nobody knows whether it waits: null, as its id; it is sent
# back by its reason alone.
_LETTERS: LiteralString = """
WITH letters AS (
    SELECT *, CASE WHEN place IS NOT NULL THEN NOT place = ANY(%(chosen)s::bigint[]) AND (
        place = ANY(%(failed)s::bigint[]) OR NOT EXISTS (
            SELECT FROM unnest(%(reasons)s::text[], %(passed)s::bigint[]) AS run (reason, passed)
            WHERE (run.reason IS NULL OR run.reason = letter.reason)
                AND run.passed >> 48 = letter.place >> 48 AND letter.place < run.passed
        )
    ) END AS waits
    FROM milestream.dead_letters AS letter WHERE project = %(project)s
)
"""
_SHOWN: LiteralString = """
SELECT (place >> 48) || '-' || (place & 281474976710655) AS id, reason, message, topic, partition,
    "offset", attempts, at, waits
FROM letters
"""


_REASONS: LiteralString = f"""
{_LETTERS}
SELECT reason, count(*) AS letters, count(*) FILTER (WHERE waits) AS waiting,
    count(*) FILTER (WHERE waits IS NULL) AS unplaced, max(at) AS newest
FROM letters GROUP BY reason ORDER BY waiting DESC, reason
"""  # noqa: S608  (of this module's own texts)
_PAGE: LiteralString = f"""
{_LETTERS} {_SHOWN}
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (waits IS NOT FALSE OR NOT %(waiting)s::boolean)
ORDER BY at DESC, topic, partition, "offset" DESC
LIMIT %(limit)s OFFSET %(offset)s
"""


class Passed:
    """What was redriven, as parameters of the statements here."""

    def __init__(
        self, passed: Sequence[tuple[str | None, int]], failed: Sequence[int], chosen: Sequence[int]
    ) -> None:
        self.parameters: dict[str, object] = {
            "reasons": [reason for reason, _ in passed],
            "passed": [place for _, place in passed],
            "failed": list(failed),
            "chosen": list(chosen),
        }


async def reasons(connection: AsyncConnection, project: str, passed: Passed) -> Rows:
    """Return for each reason how many letters there are, how many of them wait, of how many that
    is not known, and the newest."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_REASONS, {"project": project, **passed.parameters})
        return await cursor.fetchall()


async def page(
    connection: AsyncConnection,
    project: str,
    passed: Passed,
    *,
    reason: str | None,
    waiting: bool,
    offset: int,
    limit: int,
) -> Rows:
    """Return letters, the newest first: of a reason, or all; those that may wait, or all."""
    page = {"reason": reason, "waiting": waiting, "limit": limit, "offset": offset}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_PAGE, {"project": project, **page, **passed.parameters})
        return await cursor.fetchall()


async def one(connection: AsyncConnection, project: str, place: int) -> dict[str, Any] | None:
    """Return what was refused, bytes as base64; None where the project has no such letter."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT reason, message, topic, partition, "offset", key, key_encoding AS "keyEncoding",
                value, headers, attempts, at
            FROM milestream.dead_letters WHERE project = %s AND place = %s
            """,
            (project, place),
        )
        return await cursor.fetchone()
