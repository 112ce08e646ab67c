"""SQL of all that is held of one member, table by table, as JSON in pieces of bounded size."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import scalar_row

from api.queries.record_json import TIME

SECTIONS: Mapping[str, str] = {
    "memberHistory": "member_history",
    "challengeLogs": "challenge_logs",
    "challengeProgress": "challenge_progress",
    "milestonesReached": "milestones_reached",
    "rewardLogs": "reward_logs",
    "events": "event_log",
    "pointsLedger": "points_ledger",
    "pointsBalances": "points_balances",
    "pointsTotals": "points_totals",
    "pointsHolds": "points_holds",
    "pointsLots": "points_lots",
    "streaks": "streak_progress",
    "streakHistory": "streak_history",
    "tiers": "member_tiers",
    "tierHistory": "tier_history",
    "pathwayEnrolments": "pathway_enrolments",
    "pathwayLogs": "pathway_logs",
    "pathwayHistory": "pathway_history",
    "voids": "voids",
}
"""The lists of an export, and the table that each is of."""

DERIVED = frozenset(
    {
        "pathway_profiles",
        "pathway_standings",
        "leaderboard_points",
        "leaderboard_days",
        "leaderboard_scores",
        "event_user_days",
        "challenge_progress_history",
        "points_history",
        "recalculation_changes",
    }
)
"""Tables that say of a member what those say, in another form."""

READ_MODELS = ("members", *SECTIONS.values())

_INTERNAL = frozenset({"project", "sequence", "place", "first_place"})
"""Columns that are said already, or are of no matter to the member."""

PIECE_BYTES = 1024 * 1024
"""About how much is fetched at once; one row alone may be larger."""
_FIRST_ROWS, _MOST_ROWS = 16, 2_000


async def member(connection: AsyncConnection, project: str, member_id: UUID) -> str | None:
    """Return a member's profile as JSON, also of one that was deleted; None where there is none."""
    query = await _rows(connection, "members", named={"member_id": "id"})
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, (project, member_id))
        return await cursor.fetchone()


async def pieces(
    connection: AsyncConnection, project: str, member_id: UUID, profile: str
) -> AsyncIterator[str]:
    """Yield the JSON of an export in pieces: the ``profile``, and a list of each table's rows.

    All of it is of one moment inside of ``operations.snapshot``.
    """
    yield '{"member":' + profile
    for name, table in SECTIONS.items():
        yield f',"{name}":['
        query = await _rows(connection, table, named={"member_id": None})
        first = True
        async with connection.cursor(name="export", row_factory=scalar_row) as cursor:
            await cursor.execute(query, (project, member_id))
            rows = _FIRST_ROWS
            while found := await cursor.fetchmany(rows):
                piece = ",".join(found)
                yield piece if first else "," + piece
                first = False
                rows = max(1, min(_MOST_ROWS, 4 * rows, PIECE_BYTES * len(found) // len(piece)))
        yield "]"
    yield "}"


async def _rows(
    connection: AsyncConnection, table: str, named: Mapping[str, str | None]
) -> sql.Composed:
    """Return the statement of a member's rows as JSON, in order.

    Columns are called as in the API, unless they are ``named`` otherwise; None leaves one out.
    """
    async with connection.cursor() as cursor:
        await cursor.execute(
            """
            SELECT attname, format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
            WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """,
            (f"milestream.{table}",),
        )
        columns: dict[str, str] = dict(await cursor.fetchall())
    shown = {name: named.get(name, camel(name)) for name in columns if name not in _INTERNAL}
    values = [
        sql.SQL("{} AS {}").format(_value(name, columns[name]), sql.Identifier(key))
        for name, key in shown.items()
        if key is not None
    ]
    order = [name for name in ("sequence", "id") if name in columns]
    return sql.SQL(
        "SELECT (SELECT row_to_json(o) FROM (SELECT {}) AS o)::text FROM {} AS r "
        "WHERE project = %s AND member_id = %s {}"
    ).format(
        sql.SQL(", ").join(values),
        sql.Identifier("milestream", table),
        sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(map(sql.Identifier, order))),
    )


def _value(name: str, type_: str) -> sql.Composable:
    """Return the SQL of a column's value that becomes the right JSON."""
    column = sql.SQL("r.{}").format(sql.Identifier(name))
    if type_ == "numeric":
        return sql.SQL("trim_scale({})").format(column)
    if type_ == "timestamp with time zone":
        return TIME.format(column)
    return column


def camel(name: str) -> str:
    """Return a column's name as the API spells it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
