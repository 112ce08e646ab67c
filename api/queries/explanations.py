"""SQL for explanations: what a reward, a progress or an entry of the ledger came from."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]

_ONE: dict[str, LiteralString] = {
    "reward_log": """
        SELECT r.id, r.member_id, r.linked_schema_slug, r.linked_schema_record_id, r.milestone_id,
               r.period_key, r.revoked_at IS NOT NULL AS revoked, r.sequence,
               m.sequence AS reached_sequence, m.reached_at, m.value AS reached_value
        FROM milestream.reward_logs r
        LEFT JOIN milestream.milestones_reached m
            ON m.project = r.project AND m.member_id = r.member_id
            AND m.milestone_id = r.milestone_id AND m.period_key = r.period_key
        WHERE r.project = %s AND r.id = %s
    """,
    "progress": """
        SELECT id, member_id, challenge_id, period_key, aggregation_method
        FROM milestream.challenge_progress WHERE project = %s AND id = %s
    """,
    "points": """
        SELECT id, member_id, action_id, operation, event_id, source_id, challenge_group, points,
               balance, occurred_at, created_at, unique_identifier, void_id, boosts, tier,
               definition_version, sequence
        FROM milestream.points_ledger WHERE project = %s AND id = %s
    """,
}


async def one(connection: AsyncConnection, project: str, kind: str, record_id: UUID) -> Row | None:
    """Return what is to be explained, None where the project has no such thing."""
    return await _first(connection, _ONE[kind], (project, record_id))


_LOGS: LiteralString = """
    SELECT l.id::text, l.unique_identifier, l.activity_at, l.activity_id, l.activity_value,
           l.status, l.created_at, l.progress_id::text, l.period_key,
           l.aggregation_method AS method, l.progress_value, l.progress_status,
           l.progress_updated_at, l.achieved_milestone_reward_log_ids::text[] AS rewards,
           l.definition_version AS version, l.sequence, l.voided_portion,
           e.id IS NOT NULL AS fed, e.definition_version AS event_version
    FROM milestream.challenge_logs l
    LEFT JOIN milestream.event_log e ON e.project = l.project
        AND e.member_id = l.member_id AND e.sequence = l.sequence
        AND e.id = CASE WHEN l.unique_identifier ~
            '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
            THEN l.unique_identifier::uuid END
    WHERE l.project = %(project)s AND l.member_id = %(member)s
        AND l.challenge_id = %(challenge)s
        AND (%(progress)s::uuid IS NULL OR l.progress_id = %(progress)s)
        AND (%(identifier)s::text IS NULL OR l.unique_identifier = %(identifier)s)
    ORDER BY l.sequence DESC
    LIMIT %(limit)s
"""


async def logs(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    challenge_id: UUID,
    *,
    progress_id: UUID | None,
    unique_identifier: str | None,
    limit: int,
) -> list[Row]:
    """Return a member's newest logs of a challenge; of those the ones that belong to a progress, or
    have an identifier, where one is named."""
    values = {
        "project": project,
        "member": member_id,
        "challenge": challenge_id,
        "progress": progress_id,
        "identifier": unique_identifier,
        "limit": limit,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LOGS, values)
        return await cursor.fetchall()


async def voids(connection: AsyncConnection, project: str, log_ids: Collection[str]) -> list[Row]:
    """Return the voids of challenge logs and events with these ids."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT void_id::text, id::text AS log_id, portion, at, sequence
            FROM milestream.voids
            WHERE project = %s AND id = ANY(%s::uuid[]) AND what IN ('challenge_log', 'event')
            ORDER BY sequence, void_id
            """,
            (project, list(log_ids)),
        )
        return await cursor.fetchall()


async def corrections(connection: AsyncConnection, project: str, progress_id: UUID) -> list[Row]:
    """Return the corrections of a progress by recalculations, in the order folded."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT id::text, recalculation_id::text, difference, aggregation_method AS method,
                   corrected_at AS at, definition_version AS version, sequence
            FROM milestream.progress_corrections WHERE project = %s AND progress_id = %s
            ORDER BY sequence
            """,
            (project, progress_id),
        )
        return await cursor.fetchall()


async def statuses(
    connection: AsyncConnection, project: str, member_id: UUID
) -> Sequence[tuple[int, int, str]]:
    """Return since when, by sequence and version, a member's record has had a status."""
    cursor = await connection.execute(
        """
        SELECT sequence, version, status FROM milestream.member_history
        WHERE project = %s AND member_id = %s ORDER BY version
        """,
        (project, member_id),
    )
    return await cursor.fetchall()


async def event(connection: AsyncConnection, project: str, log_id: UUID) -> Row | None:
    """Return a logged event, None where there is no such one."""
    return await _first(
        connection,
        """
        SELECT id::text, event_id, points, occurred_at, created_at, definition_version, sequence
        FROM milestream.event_log WHERE project = %s AND id = %s
        """,
        (project, log_id),
    )


async def _first(
    connection: AsyncConnection, statement: LiteralString, values: Sequence[Any] | Mapping[str, Any]
) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchone()


async def zone_of(connection: AsyncConnection, project: str, member_id: UUID) -> str | None:
    """Return a member's own time zone, empty where it has none; None where the project has no such
    member, or it is deleted."""
    row = await _first(
        connection,
        """
        SELECT coalesce(timezone, '') AS zone FROM milestream.members
        WHERE project = %s AND member_id = %s AND status <> 'deleted'
        """,
        (project, member_id),
    )
    return None if row is None else row["zone"]


async def standing(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    *,
    challenge_id: UUID,
    milestone_id: UUID,
    period_key: str,
) -> Row:
    """Return a member's ``value`` in a period of a challenge, 0 where it has none, and whether it
    ``reached`` a milestone there, and has not lost it since."""
    row = await _first(
        connection,
        """
        SELECT coalesce((
            SELECT current_progress_value FROM milestream.challenge_progress
            WHERE project = %(project)s AND challenge_id = %(challenge)s
                AND member_id = %(member)s AND period_key = %(period)s
        ), 0) AS value,
        EXISTS (
            SELECT FROM milestream.milestones_reached m
            LEFT JOIN milestream.reward_logs r ON r.project = m.project
                AND r.member_id = m.member_id AND r.milestone_id = m.milestone_id
                AND r.period_key = m.period_key
            WHERE m.project = %(project)s AND m.member_id = %(member)s
                AND m.milestone_id = %(milestone)s AND m.period_key = %(period)s
                AND r.revoked_at IS NULL
        ) AS reached
        """,
        {
            "project": project,
            "challenge": challenge_id,
            "member": member_id,
            "milestone": milestone_id,
            "period": period_key,
        },
    )
    assert row is not None
    return row


async def streak(
    connection: AsyncConnection, project: str, member_id: UUID, streak_id: str
) -> Row | None:
    """Return a member's streak, None where it has none, or voids left nothing of it."""
    return await _first(
        connection,
        """
        SELECT id, member_id, streak_id, period, timezone FROM milestream.streak_progress
        WHERE project = %s AND streak_id = %s AND member_id = %s AND longest_length > 0
        """,
        (project, streak_id, member_id),
    )


async def events(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    event_ids: Collection[str],
    limit: int,
) -> list[Row]:
    """Return a member's newest events of these, which met their conditions; and the place in the
    order of the void that took the last of each one, where it is void."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT e.id::text, e.event_id, e.occurred_at, e.created_at, e.sequence,
                   e.definition_version AS version, v.sequence AS voided_at
            FROM milestream.event_log e
            LEFT JOIN LATERAL (
                SELECT max(sequence) AS sequence FROM milestream.voids
                WHERE project = e.project AND id = e.id AND what = 'event'
            ) v ON e.voided_portion = 1
            WHERE e.project = %s AND e.member_id = %s AND e.event_id = ANY(%s)
                AND e.condition_reached
            ORDER BY e.sequence DESC
            LIMIT %s
            """,
            (project, member_id, list(event_ids), limit),
        )
        return await cursor.fetchall()


async def pathway_changes(
    connection: AsyncConnection, project: str, member_id: UUID, pathway_id: str, limit: int
) -> list[Row]:
    """Return what a member completed in a pathway or lost by voids, and its enrolments."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT activity_id, complete, at, recorded_at, void_id::text,
                   definition_version AS version, sequence
            FROM milestream.pathway_history
            WHERE project = %s AND member_id = %s AND pathway_id = %s
            ORDER BY sequence DESC
            LIMIT %s
            """,
            (project, member_id, pathway_id, limit),
        )
        return await cursor.fetchall()


async def tier(
    connection: AsyncConnection, project: str, member_id: UUID, tier_set_id: str
) -> Row | None:
    """Return how a member came to its tier in a set, None where it was never judged."""
    return await _first(
        connection,
        """
        SELECT h.member_id, h.assigned, h.reason, h.basis_value, h.occurred_at, h.created_at,
               h.definition_version, h.sequence, m.timezone
        FROM milestream.tier_history h
        LEFT JOIN milestream.members m ON m.project = h.project AND m.member_id = h.member_id
        WHERE h.project = %s AND h.member_id = %s AND h.tier_set_id = %s
        ORDER BY h.version DESC LIMIT 1
        """,
        (project, member_id, tier_set_id),
    )


class Moving(NamedTuple):
    """Which entries of the ledger may have moved a basis: of ``wallet`` (None: any); where it is
    what was ``earned``, such alone, not before ``earliest``, granted not before ``since`` (None:
    whenever)."""

    wallet: str | None
    earned: bool
    earliest: datetime | None
    since: datetime | None


async def entries(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    moving: Moving,
    *,
    until: int,
    limit: int,
) -> list[Row]:
    """Return a member's newest entries of the ledger up to a place in the order that may have moved
    a basis."""
    values = {"project": project, "member": member_id, "until": until, "limit": limit}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT * FROM (
                SELECT l.id::text, l.action_id, l.operation, l.event_id, l.source_id,
                       l.void_id::text, l.challenge_group, l.occurred_at, l.created_at, l.sequence,
                       l.definition_version AS version,
                       CASE WHEN l.granted_at IS NULL THEN l.points
                            ELSE l.points - l.not_recovered END AS earned, l.points,
                       CASE WHEN l.operation = 'grant' THEN l.occurred_at ELSE l.granted_at
                            END AS earned_at,
                       coalesce(g.created_at, l.created_at) AS granted_at
                FROM milestream.points_ledger l
                LEFT JOIN milestream.points_ledger g
                    ON g.project = l.project AND g.id = l.reversed_entry_id
                WHERE l.project = %(project)s AND l.member_id = %(member)s
                    AND l.sequence <= %(until)s
                    AND (%(wallet)s::text IS NULL OR l.challenge_group = %(wallet)s)
            ) AS e
            WHERE NOT %(earned)s OR e.earned_at IS NOT NULL
                AND (%(earliest)s::timestamptz IS NULL OR e.earned_at >= %(earliest)s)
                AND (%(since)s::timestamptz IS NULL OR e.granted_at >= %(since)s)
            ORDER BY e.sequence DESC
            LIMIT %(limit)s
            """,
            values | moving._asdict(),
        )
        return await cursor.fetchall()


async def logs_at(
    connection: AsyncConnection, project: str, member_id: UUID, sequences: Collection[int]
) -> list[tuple[int, str, str]]:
    """Return place, id and identifier of a member's logs that were folded at some places."""
    cursor = await connection.execute(
        """
        SELECT sequence, id::text, unique_identifier FROM milestream.challenge_logs
        WHERE project = %s AND member_id = %s AND sequence = ANY(%s)
        """,
        (project, member_id, list(sequences)),
    )
    return await cursor.fetchall()
