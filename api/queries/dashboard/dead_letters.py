"""Dead letters of a project: how many by reason, a page of them, and one with its bytes.

Whether a letter waits is asked of `api.dead_letters.redriven`, whose positions these statements
are given: see `Redriven`.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from schemas.places import OFFSET_BITS

Rows = list[dict[str, Any]]

COUNTED = 5_000
"""Letters of each reason that are counted at most, the newest."""
LOOKED_THROUGH = 20_000
"""Letters that a page is made from at most, the newest."""

# Of a letter of before there were places nobody knows whether it waits: null, as its id; it is sent
# back by its reason alone. All that is looked up here is joined, for each may be thousands.
_WAITS: LiteralString = """
SELECT letter.*, CASE WHEN letter.place IS NOT NULL THEN chosen.place IS NULL AND (
    failed.place IS NOT NULL OR (
        letter.place >= coalesce(any_reason.passed, 0)
        AND letter.place >= coalesce(its_reason.passed, 0)
    )
) END AS waits
FROM newest AS letter
LEFT JOIN unnest(%(chosen)s::bigint[]) AS chosen (place) ON chosen.place = letter.place
LEFT JOIN unnest(%(failed)s::bigint[]) AS failed (place) ON failed.place = letter.place
LEFT JOIN unnest(%(any_passed)s::bigint[]) AS any_reason (passed)
    ON any_reason.passed >> 48 = letter.place >> 48
LEFT JOIN unnest(%(reasons)s::text[], %(passed)s::bigint[]) AS its_reason (reason, passed)
    ON its_reason.reason = letter.reason AND its_reason.passed >> 48 = letter.place >> 48
"""

_REASONS: LiteralString = f"""
WITH RECURSIVE known AS (
    (SELECT reason FROM milestream.dead_letters WHERE project = %(project)s
    ORDER BY reason LIMIT 1)
    UNION ALL
    SELECT (SELECT reason FROM milestream.dead_letters
        WHERE project = %(project)s AND reason > known.reason ORDER BY reason LIMIT 1)
    FROM known WHERE known.reason IS NOT NULL
), newest AS MATERIALIZED (
    SELECT of_reason.* FROM known CROSS JOIN LATERAL (
        SELECT reason, at, place,
            row_number() OVER (ORDER BY at DESC) > %(counted)s AS beyond
        FROM milestream.dead_letters AS letter
        WHERE project = %(project)s AND letter.reason = known.reason
        ORDER BY at DESC LIMIT %(counted)s + 1
    ) AS of_reason WHERE known.reason IS NOT NULL
), letters AS ({_WAITS})
SELECT reason, count(*) FILTER (WHERE NOT beyond) AS letters,
    count(*) FILTER (WHERE waits AND NOT beyond) AS waiting,
    count(*) FILTER (WHERE waits IS NULL AND NOT beyond) AS unplaced, max(at) AS newest,
    bool_or(beyond) AS more
FROM letters GROUP BY reason ORDER BY waiting DESC, reason
"""  # noqa: S608  (of this module's own texts)

_NEWEST: LiteralString = """
SELECT reason, message, topic, partition, "offset", attempts, at, place
FROM milestream.dead_letters WHERE project = %(project)s
"""
_BY_REASON: LiteralString = "AND reason = %(reason)s"
_SHOWN: LiteralString = f"""
, letters AS ({_WAITS})
SELECT (place >> 48) || '-' || (place & 281474976710655) AS id, reason, message, topic, partition,
    "offset", attempts, at, waits
FROM letters WHERE waits IS NOT FALSE OR NOT %(waiting)s::boolean
ORDER BY at DESC, topic, partition, "offset" DESC LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608  (of this module's own texts)
_NEWEST_FIRST: LiteralString = "ORDER BY at DESC LIMIT %(looked)s"
_PAGE: LiteralString = f"WITH newest AS MATERIALIZED ({_NEWEST} {_NEWEST_FIRST}) {_SHOWN}"
_PAGE_OF_REASON: LiteralString = (
    f"WITH newest AS MATERIALIZED ({_NEWEST} {_BY_REASON} {_NEWEST_FIRST}) {_SHOWN}"
)


class Passed:
    """What was redriven, as parameters of the statements here.

    Args:
        passed: reason (None: any) of a run, and the place that it has come to in a partition.
        failed: places of letters that could not be sent.
        chosen: those of letters that were sent by themselves.
    """

    def __init__(
        self, passed: Sequence[tuple[str | None, int]], failed: Sequence[int], chosen: Sequence[int]
    ) -> None:
        furthest: dict[tuple[str | None, int], int] = {}
        for reason, reached in passed:
            of = reason, reached >> OFFSET_BITS
            furthest[of] = max(reached, furthest.get(of, 0))
        by_reason = {of: reached for of, reached in furthest.items() if of[0] is not None}
        self.parameters: dict[str, object] = {
            "any_passed": [reached for of, reached in furthest.items() if of[0] is None],
            "reasons": [reason for reason, _ in by_reason],
            "passed": list(by_reason.values()),
            "failed": list(failed),
            "chosen": list(chosen),
        }


async def reasons(connection: AsyncConnection, project: str, passed: Passed) -> Rows:
    """Return for each reason how many letters there are, how many of them wait, of how many that
    is not known, and the newest; `more`: only the newest of them were counted."""
    given = {"project": project, "counted": COUNTED, **passed.parameters}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_REASONS, given)
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
    """Return letters, the newest first: of a reason, or all; those that may wait, or all. Only the
    newest `LOOKED_THROUGH` are looked at."""
    page = {"reason": reason, "waiting": waiting, "limit": limit, "offset": offset}
    given = {"project": project, "looked": LOOKED_THROUGH, **page, **passed.parameters}
    async with connection.cursor(row_factory=dict_row) as cursor:
        # A plan that is kept for any values reads all that may be looked at, where few are enough.
        await cursor.execute(_PAGE if reason is None else _PAGE_OF_REASON, given, prepare=False)
        return await cursor.fetchall()


async def one(
    connection: AsyncConnection, project: str, place: int, most: int
) -> dict[str, Any] | None:
    """Return what was refused, bytes as base64, and `isLong` where the value has more than so many
    characters of it; None where the project has no such letter."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT reason, message, topic, partition, "offset", key, key_encoding AS "keyEncoding",
                left(value, %(most)s) AS value,
                coalesce(length(value) > %(most)s, false) AS "isLong", headers, attempts, at
            FROM milestream.dead_letters WHERE project = %(project)s AND place = %(place)s
            """,
            {"project": project, "place": place, "most": most},
        )
        return await cursor.fetchone()
