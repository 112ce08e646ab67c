"""SQL of what was so at an earlier moment.

`end` is the first place of the member's partition that was written later, `ends` that of each
partition: see `schemas.places`. What rows say whose places lie before it, was so.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from api.queries.users import Purse, Zones, purse, rows_of, streaks_at
from schemas.definition_set import DefinitionSet
from schemas.definitions import MEMBER_ZONE, Challenge, DefinitionError, definition_key
from schemas.instants import millis_of


class Known(NamedTuple):
    """Whether a member was known by then; None: its row does not tell."""

    by_then: bool | None


async def known(
    connection: AsyncConnection, project: str, member_id: UUID, end: int, moment: datetime
) -> Known | None:
    """Tell whether a project's member was known at a moment; None where there is no such member, or
    it was deleted since. By when its record was made, where the topic has its first event no
    more."""
    cursor = await connection.execute(
        """
        SELECT first_place < %s AND (first_place >= 0 OR created_at <= %s)
        FROM milestream.members
        WHERE project = %s AND member_id = %s AND status <> 'deleted'
        """,
        (end, moment, project, member_id),
    )
    found = await cursor.fetchone()
    return None if found is None else Known(found[0])


async def without_place(
    connection: AsyncConnection, project: str, tables: Collection[str]
) -> list[str]:
    """Return which of these tables have rows that do not tell when they were written."""
    found = []
    for table in tables:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE project = %s AND place IS NULL)")
        cursor = await connection.execute(
            query.format(sql.Identifier("milestream", table)), [project]
        )
        if (await cursor.fetchall())[0][0]:
            found.append(table)
    return found


async def balances(
    connection: AsyncConnection, project: str, member_id: UUID, end: int, *, lapses: int = 0
) -> tuple[int, dict[str, Purse]]:
    """Return what `users.balances` does, as it was.

    Where points are held, pending or in lots, `points_history` says more of an entry than the
    ledger: nothing of these is elsewhere.
    """
    cursor = await connection.execute(
        """
        WITH told AS MATERIALIZED (
            SELECT challenge_group, place, false AS whole, balance, total_balance,
                   0 AS held, 0 AS pending, NULL::jsonb AS lots
            FROM milestream.points_ledger
            WHERE project = %(project)s AND member_id = %(member)s AND place < %(end)s
            UNION ALL
            SELECT challenge_group, place, true, balance, total_balance, held, pending, lots
            FROM milestream.points_history
            WHERE project = %(project)s AND member_id = %(member)s AND place < %(end)s
        ), standing AS (
            SELECT DISTINCT ON (challenge_group) challenge_group, balance, held, pending
            FROM told ORDER BY challenge_group, place DESC, whole DESC
        ), lots AS MATERIALIZED (
            SELECT DISTINCT ON (challenge_group, lot.id) challenge_group, lot.points,
                   lot."activatesAt" AS activates_at, lot."expiresAt" AS expires_at
            FROM told CROSS JOIN LATERAL jsonb_to_recordset(lots) AS lot (
                id text, points numeric, "activatesAt" timestamptz, "expiresAt" timestamptz
            )
            WHERE %(lapses)s > 0
            ORDER BY challenge_group, lot.id, place DESC
        )
        SELECT (SELECT total_balance FROM told WHERE total_balance IS NOT NULL
                ORDER BY place DESC LIMIT 1),
               s.challenge_group, s.balance, s.held, s.balance - s.held, s.pending,
               l.moments, l.points
        FROM standing s LEFT JOIN LATERAL (
            SELECT array_agg(at ORDER BY at) AS moments, array_agg(points ORDER BY at) AS points
            FROM (
                SELECT expires_at AS at, sum(points) AS points FROM lots
                WHERE challenge_group = s.challenge_group AND points > 0
                    AND activates_at IS NULL AND expires_at IS NOT NULL
                GROUP BY expires_at ORDER BY expires_at LIMIT %(lapses)s
            ) AS lapses
        ) l ON true
        ORDER BY s.challenge_group
        """,
        {"project": project, "member": member_id, "end": end, "lapses": lapses},
    )
    rows = await cursor.fetchall()
    total = int(rows[0][0] or 0) if rows else 0
    return total, {
        group: purse(amounts, zip(moments or (), points or (), strict=True))
        for _, group, *amounts, moments, points in rows
    }


async def streaks(
    connection: AsyncConnection, project: str, member_id: UUID, end: int, moment: datetime
) -> list[dict[str, Any]]:
    """Return what `users.streaks` does, as it was."""
    asked = {"project": project, "member": member_id, "end": end, "moment": moment}
    return await rows_of(connection, _STREAKS, asked)


_STREAKS = streaks_at(
    sql.SQL(
        """
        SELECT DISTINCT ON (streak_id) * FROM milestream.streak_history
        WHERE project = %(project)s AND member_id = %(member)s AND place < %(end)s
        ORDER BY streak_id, place DESC
        """
    )
)


async def tiers(
    connection: AsyncConnection, project: str, member_id: UUID, end: int
) -> dict[str, dict[str, Any]]:
    """Return what `tiers.of_member` does, as it was."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT DISTINCT ON (tier_set_id) tier_set_id, tier_id, since, until
            FROM milestream.tier_history
            WHERE project = %s AND member_id = %s AND place < %s
            ORDER BY tier_set_id, version DESC
            """,
            (project, member_id, end),
        )
        return {row["tier_set_id"]: row for row in await cursor.fetchall()}


async def definitions(
    connection: AsyncConnection,
    project: str,
    kinds: Sequence[str],
    moment: datetime,
    ids: Collection[str] | None = None,
) -> DefinitionSet:
    """Return a project's definitions of some kinds, all or those with some ids, as they were.

    Of each the first record since the last deletion and the last one are read: no more is shown.
    """
    cursor = await connection.execute(
        """
        WITH written AS (
            SELECT *, max(version) FILTER (WHERE definition IS NULL)
                OVER (PARTITION BY kind, id) AS deleted
            FROM milestream.definition_history
            WHERE project = %(project)s AND kind = ANY (%(kinds)s) AND at <= %(moment)s
                AND (%(ids)s::text[] IS NULL OR id = ANY (%(ids)s::text[]))
        ), numbered AS (
            SELECT kind, id, version, at, definition,
                row_number() OVER (PARTITION BY kind, id ORDER BY version) AS from_first,
                row_number() OVER (PARTITION BY kind, id ORDER BY version DESC) AS from_last
            FROM written WHERE version > coalesce(deleted, -1)
        )
        SELECT kind, id, version, at, definition::text FROM numbered
        WHERE from_first = 1 OR from_last = 1 ORDER BY version
        """,
        {
            "project": project,
            "kinds": list(kinds),
            "moment": moment,
            "ids": None if ids is None else list(ids),
        },
    )
    found = DefinitionSet(bounded_in_bytes=False)
    for kind, id_, version, at, definition in await cursor.fetchall():
        key = definition_key(project, kind, id_)
        try:
            found.apply(key.encode(), definition.encode(), version, millis_of(at))
        except DefinitionError:
            continue  # it would not be taken today
    return found


async def progress(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    zones: Zones,
    challenges: Iterable[Challenge],
    *,
    end: int,
    moment: datetime,
) -> dict[str, Decimal]:
    """Return a member's progress in the periods of challenges that a moment lies in, by their ids;
    where there was none the challenge is left out."""
    asked = [(each.id, each.aggregation_period, each.timezone) for each in challenges]
    if not asked:
        return {}
    ids, periods, named = map(list, zip(*asked, strict=True))
    query = sql.SQL(
        """
        SELECT c.id::text, p.current_progress_value
        FROM (
            SELECT c.id, CASE c.period WHEN 'all_time' THEN 'all' ELSE to_char(
                %(moment)s AT TIME ZONE CASE coalesce(c.timezone, %(project_zone)s)
                    WHEN %(by_member)s THEN coalesce(m.timezone, %(fallback)s)
                    ELSE coalesce(c.timezone, %(project_zone)s)
                END,
                CASE c.period
                    WHEN 'daily' THEN 'YYYY-MM-DD' WHEN 'weekly' THEN 'IYYY-"W"IW'
                    WHEN 'monthly' THEN 'YYYY-MM' ELSE 'YYYY'
                END) END AS period_key
            FROM unnest(%(ids)s::uuid[], %(periods)s::text[], %(zones)s::text[])
                AS c (id, period, timezone)
            LEFT JOIN milestream.members m
                ON m.project = %(project)s AND m.member_id = %(member)s
        ) c
        JOIN milestream.challenge_progress now ON now.project = %(project)s
            AND now.challenge_id = c.id AND now.member_id = %(member)s
            AND now.period_key = c.period_key
        CROSS JOIN LATERAL ({then}) p
        """
    ).format(then=_then(sql.Identifier("now"), sql.SQL("place < %(end)s")))
    cursor = await connection.execute(
        query,
        {
            "moment": moment,
            "project_zone": zones.project,
            "by_member": MEMBER_ZONE,
            "fallback": zones.fallback,
            "ids": ids,
            "periods": periods,
            "zones": named,
            "project": project,
            "member": member_id,
            "end": end,
        },
    )
    return dict(await cursor.fetchall())


_STATE = sql.SQL(", ").join(
    map(
        sql.Identifier,
        (
            "aggregation_method",
            "aggregation_period",
            "timezone",
            "current_progress_value",
            "status",
            "challenge_started_at",
            "challenge_completed_at",
            "challenge_failed_at",
            "created_at",
            "updated_at",
        ),
    )
)
_KEY = sql.SQL("project, id, challenge_id, member_id, period_key")


def progress_table(ends: Sequence[int]) -> sql.Composable:
    """Return the SQL of `challenge_progress` as it was, to be selected from.

    Rows that have not changed since are as they are; how the others stood, their logs and
    `challenge_progress_history` say.
    """
    places = sql.SQL("(ARRAY[{}]::bigint[])").format(sql.SQL(", ").join(map(sql.Literal, ends)))
    earlier = sql.SQL("place < {}[(place >> 48)::integer + 1]").format(places)
    return sql.SQL(
        """(
            SELECT {key}, {state} FROM milestream.challenge_progress WHERE {earlier}
            UNION ALL
            SELECT {key}, past.* FROM milestream.challenge_progress AS now
            CROSS JOIN LATERAL ({then}) AS past
            WHERE ({earlier}) IS NOT TRUE
        )"""
    ).format(
        key=_KEY,
        state=_STATE,
        earlier=earlier,
        then=_then(sql.Identifier("now"), earlier),
    )


def _then(now: sql.Composable, earlier: sql.Composable) -> sql.Composable:
    """Return the SQL of how the progress of a row of `challenge_progress` stood, no row where there
    was none."""
    return sql.SQL(
        """
        SELECT {state} FROM (
            SELECT place, aggregation_method, aggregation_period, timezone,
                   progress_value AS current_progress_value, progress_status AS status,
                   challenge_started_at, challenge_completed_at, challenge_failed_at,
                   progress_created_at AS created_at, progress_updated_at AS updated_at
            FROM milestream.challenge_logs AS log
            WHERE log.project = {now}.project AND log.member_id = {now}.member_id
                AND log.progress_id = {now}.id AND {earlier}
            UNION ALL
            SELECT place, {state} FROM milestream.challenge_progress_history AS told
            WHERE told.project = {now}.project AND told.challenge_id = {now}.challenge_id
                AND told.member_id = {now}.member_id AND told.period_key = {now}.period_key
                AND {earlier}
        ) AS known ORDER BY place DESC LIMIT 1
        """
    ).format(now=now, state=_STATE, earlier=earlier)
