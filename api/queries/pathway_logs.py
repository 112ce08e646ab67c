"""Logs of a pathway, made into JSON by the database and streamed."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg.rows import class_row

ROWS_AT_ONCE = 1000
"""How many logs are held in memory."""

THE_PATHWAY = ""
"""The activity id under which the enrolled members are counted."""


@dataclass(frozen=True)
class Pathway:
    """A pathway in force."""

    id: str
    name: str


@dataclass(frozen=True)
class Activity:
    """An activity of a pathway in force."""

    id: str
    name: str
    type: str
    fulfilment_type: str
    required: bool
    level: int


@dataclass(frozen=True)
class Selection:
    """An activity and the members whose logs are read; the lists are of caseless names, None for
    all."""

    project: str
    pathway_id: str
    activity_id: str
    groups: Sequence[str] | None = None
    users: Sequence[str] | None = None


async def pathways(connection: AsyncConnection, project: str) -> list[Pathway]:
    """Return a project's pathways."""
    async with connection.cursor(row_factory=class_row(Pathway)) as cursor:
        await cursor.execute(
            "SELECT id, name FROM milestream.pathways WHERE project = %s ORDER BY id", (project,)
        )
        return await cursor.fetchall()


async def activities(connection: AsyncConnection, project: str, pathway_id: str) -> list[Activity]:
    """Return a pathway's activities in their order."""
    async with connection.cursor(row_factory=class_row(Activity)) as cursor:
        await cursor.execute(
            """
            SELECT activity_id AS id, name, type, fulfilment_type, required, level
            FROM milestream.pathway_activities
            WHERE project = %s AND pathway_id = %s ORDER BY place
            """,
            (project, pathway_id),
        )
        return await cursor.fetchall()


async def stats(connection: AsyncConnection, project: str, pathway_id: str) -> dict[str, int]:
    """Return how many enrolled members completed each activity, and how many there are."""
    cursor = await connection.execute(
        """
        SELECT activity_id, members FROM milestream.pathway_stats
        WHERE project = %s AND pathway_id = %s
        """,
        (project, pathway_id),
    )
    return dict(await cursor.fetchall())


async def plan_for(connection: AsyncConnection, *, filtered: bool) -> None:
    """Configure the transaction to return the first logs at once.

    Without a filter, all members are merged from ordered indexes. With a filter that few members
    pass, it is faster to find and sort these.
    """
    await connection.execute("SET LOCAL jit = off")
    if filtered:
        await connection.execute("SET LOCAL cursor_tuple_fraction = 1")


_LOGS: LiteralString = """
    SELECT left(coalesce(profile.profile::text, '{"firstname":"","lastname":"","email":"",'
        '"telephone":"","country":"","city":"","groups":[]}'), -1)
        || CASE WHEN log.state IS NULL
            THEN ',"status":{"complete":false,"progress":0,"state":"not started","timestamp":""}'
                ',"fulfilment":[]}'
            ELSE ',"status":{"complete":' || CASE WHEN log.complete THEN 'true' ELSE 'false' END
                || ',"progress":' || log.progress || ',"state":"' || log.state
                || '","timestamp":"' || to_char(log.timestamp, CASE
                    WHEN log.timestamp = date_trunc('second', log.timestamp)
                    THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)
                || '"},"fulfilment":' || log.fulfilment || '}'
        END
    FROM milestream.pathway_enrolments AS enrolment
    LEFT JOIN milestream.pathway_profiles AS profile
        ON profile.project = enrolment.project AND profile.member_id = enrolment.member_id
    LEFT JOIN milestream.pathway_logs AS log
        ON log.project = enrolment.project AND log.pathway_id = enrolment.pathway_id
        AND log.activity_id = %(activity_id)s AND log.member_id = enrolment.member_id
    WHERE enrolment.project = %(project)s AND enrolment.pathway_id = %(pathway_id)s
        AND enrolment.enrolled
"""
_IN_GROUPS: LiteralString = "AND profile.groups && %(groups)s::text[]\n"
_OF_USERS: LiteralString = "AND profile.names && %(users)s::text[]\n"
_IN_ORDER: LiteralString = "ORDER BY enrolment.member_id"


async def logs(
    connection: AsyncConnection, selection: Selection
) -> AsyncGenerator[list[str], None]:
    """Yield the logs of an activity by their members' ids, some at a time, each as JSON.

    The connection's time zone must be UTC.
    """
    query = _LOGS
    if selection.groups is not None:
        query += _IN_GROUPS
    if selection.users is not None:
        query += _OF_USERS
    async with connection.cursor(f"logs-{uuid4().hex}", scrollable=False) as cursor:
        await cursor.execute(query + _IN_ORDER, vars(selection))
        while rows := await cursor.fetchmany(ROWS_AT_ONCE):
            yield [row[0] for row in rows]
