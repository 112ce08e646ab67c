"""SQL of recalculations: what was asked for, who works at it, what it changes.

Whoever changes a recalculation that runs locks its row of `recalculation_work` first. So what its
process does under that lock, nobody can cancel or take over meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Mode = Literal["additive", "exact"]

LEASE_SECONDS = 20
"""A process that has not said for so long that it lives is taken to be gone."""

WAITING_SECONDS = 6
"""One that nobody has taken for so long waits for room: API processes look every 2 s."""
KEPT_REPORTS = 20
"""Of so many recalculations of a project that were not applied, what they change is kept."""


@dataclass(frozen=True)
class New:
    """What is asked for. ``definitions`` is a JSON list of documents, ``request`` a hash of all."""

    id: UUID
    project: str
    mode: Mode
    challenge_id: str | None
    definitions: str
    since: datetime | None
    apply: bool
    max_points: int | None
    max_rewards: int | None
    request: bytes
    actor: str | None
    by_command: bool
    owner: UUID
    definitions_end: int | None
    """The offset of `definitions` before which lies what counts as in force; None: the present."""


async def add(connection: AsyncConnection, new: New) -> None:
    """Add a recalculation that runs, and which process works at it.

    Raises:
        UniqueViolation: one of the project's runs already.
    """
    async with connection.transaction():
        await connection.execute(
            """
            INSERT INTO milestream.recalculations (
                id, project, status, mode, challenge_id, definitions, since, apply,
                max_points, max_rewards
            ) VALUES (%s, %s, 'running', %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                *(new.id, new.project, new.mode, new.challenge_id, new.definitions, new.since),
                *(new.apply, new.max_points, new.max_rewards),
            ),
        )
        await connection.execute(
            """
            INSERT INTO milestream_private.recalculation_work (
                id, request, actor, by_command, owner, lease_until, definitions_end
            ) VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s), %s)
            """,
            (
                *(new.id, new.request, new.actor, new.by_command, new.owner, LEASE_SECONDS),
                new.definitions_end,
            ),
        )


class Unfinished(NamedTuple):
    """A recalculation that runs: the hash of what was asked for; whether its process is gone."""

    id: UUID
    request: bytes
    by_command: bool
    is_left: bool


async def unfinished(connection: AsyncConnection, project: str) -> Unfinished | None:
    """Return the recalculation of a project that runs."""
    async with connection.cursor(row_factory=class_row(Unfinished)) as cursor:
        await cursor.execute(
            """
            SELECT id, request, by_command, lease_until < now() AS is_left
            FROM milestream.recalculations JOIN milestream_private.recalculation_work USING (id)
            WHERE project = %s AND status = 'running'
            """,
            (project,),
        )
        return await cursor.fetchone()


async def take(connection: AsyncConnection, id_: UUID, owner: UUID, *, by_command: bool) -> bool:
    """Take a recalculation over whose process is gone; False where it is not, or has ended."""
    cursor = await connection.execute(
        """
        UPDATE milestream_private.recalculation_work
        SET owner = %s, by_command = %s, lease_until = now() + make_interval(secs => %s)
        WHERE id = %s AND lease_until < now()
        """,
        (owner, by_command, LEASE_SECONDS, id_),
    )
    return cursor.rowcount == 1


async def take_left(connection: AsyncConnection, owner: UUID) -> UUID | None:
    """Take over one that was asked for over HTTP, and whose process is gone; the oldest first."""
    cursor = await connection.execute(
        """
        UPDATE milestream_private.recalculation_work
        SET owner = %s, lease_until = now() + make_interval(secs => %s)
        WHERE id = (
            SELECT id FROM milestream_private.recalculation_work
            WHERE NOT by_command AND lease_until < now()
            ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        RETURNING id
        """,
        (owner, LEASE_SECONDS),
    )
    found = await cursor.fetchone()
    return None if found is None else found[0]


async def is_any_waiting(connection: AsyncConnection) -> bool:
    """Tell whether one that was asked for over HTTP has waited for a process for a while: whoever
    has room takes it at once."""
    cursor = await connection.execute(
        """
        SELECT FROM milestream_private.recalculation_work
        WHERE NOT by_command AND lease_until < now() - make_interval(secs => %s) LIMIT 1
        """,
        (WAITING_SECONDS,),
    )
    return await cursor.fetchone() is not None


async def beat(connection: AsyncConnection, id_: UUID, owner: UUID) -> bool:
    """Say that a process lives; False where the recalculation is not its any more."""
    cursor = await connection.execute(
        """
        UPDATE milestream_private.recalculation_work
        SET lease_until = now() + make_interval(secs => %s) WHERE id = %s AND owner = %s
        """,
        (LEASE_SECONDS, id_, owner),
    )
    return cursor.rowcount == 1


async def let_go(connection: AsyncConnection, id_: UUID, owner: UUID, seconds: float = 0) -> None:
    """Let others take a recalculation over, after a pause."""
    await connection.execute(
        """
        UPDATE milestream_private.recalculation_work
        SET owner = NULL, lease_until = now() + make_interval(secs => %s)
        WHERE id = %s AND owner = %s
        """,
        (seconds, id_, owner),
    )


@dataclass(frozen=True)
class Work:
    """A recalculation that runs: what was asked for, and how far it is."""

    project: str
    mode: Mode
    challenge_id: UUID | None
    definitions: str
    since: datetime | None
    apply: bool
    max_points: int | None
    max_rewards: int | None
    actor: str | None
    step: str
    definitions_end: int | None
    ends: dict[str, int] | None
    sent: dict[str, int]
    next_partition: int


async def work(connection: AsyncConnection, id_: UUID, owner: UUID) -> Work | None:
    """Lock a recalculation that a process works at, until the transaction ends; None where it is
    not its any more."""
    async with connection.cursor(row_factory=class_row(Work)) as cursor:
        await cursor.execute(
            """
            SELECT project, mode, challenge_id, definitions::text AS definitions, since, apply,
                max_points, max_rewards, actor, step, definitions_end, ends, sent,
                next_partition
            FROM milestream_private.recalculation_work
            JOIN milestream.recalculations USING (id)
            WHERE id = %s AND owner = %s
            FOR UPDATE OF recalculation_work
            """,
            (id_, owner),
        )
        return await cursor.fetchone()


async def begin_step(
    connection: AsyncConnection,
    id_: UUID,
    step: str,
    definitions_end: int | None = None,
    ends: Mapping[int, int] | None = None,
) -> None:
    """Note which step is worked at, from the first partition on, and what holds in it."""
    await connection.execute(
        """
        UPDATE milestream_private.recalculation_work
        SET step = %s, definitions_end = %s, ends = %s, next_partition = 0 WHERE id = %s
        """,
        (step, definitions_end, None if ends is None else Jsonb(dict(ends)), id_),
    )


async def partitions_done(connection: AsyncConnection, id_: UUID, count: int) -> None:
    """Note how many partitions are done in this step: the first ones, where it takes one after the
    other."""
    await connection.execute(
        "UPDATE milestream_private.recalculation_work SET next_partition = %s WHERE id = %s",
        (count, id_),
    )


async def note_sent(connection: AsyncConnection, id_: UUID, ends: Mapping[int, int]) -> None:
    """Note by partition the offset of `member-commands` after the last correction."""
    if not ends:
        return
    await connection.execute(
        "UPDATE milestream_private.recalculation_work SET sent = sent || %s WHERE id = %s",
        (Jsonb(dict(ends)), id_),
    )


class Change(NamedTuple):
    """A row of `recalculation_changes`; the columns' comments say what they mean."""

    kind: str
    id: str
    member_id: str
    period_key: str
    before: Decimal | None
    after: Decimal | None
    points: int
    reward_log_id: str | None


async def record(
    connection: AsyncConnection, project: str, id_: UUID, changes: Sequence[Change]
) -> None:
    """Write what a recalculation changes; what is there already is replaced."""
    if not changes:
        return
    columns = zip(*changes, strict=True)
    await connection.execute(
        """
        INSERT INTO milestream.recalculation_changes AS there
        SELECT %s, %s, * FROM unnest(
            %s::text[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[], %s::numeric[],
            %s::numeric[], %s::uuid[]
        )
        ON CONFLICT (recalculation_id, kind, id, member_id, period_key) DO UPDATE
        SET before = excluded.before, after = excluded.after, points = excluded.points,
            reward_log_id = excluded.reward_log_id
        """,
        (project, id_, *(list(column) for column in columns)),
    )


async def forget_changes(connection: AsyncConnection, id_: UUID) -> None:
    """Remove what a report says that a recalculation changes, and its sums by definition: what is
    recorded from now on is what was corrected. The totals stay until it ends."""
    await connection.execute(
        "DELETE FROM milestream.recalculation_changes WHERE recalculation_id = %s", (id_,)
    )
    await connection.execute(
        "UPDATE milestream.recalculations SET sums = NULL WHERE id = %s", (id_,)
    )


async def forget_old_changes(connection: AsyncConnection, id_: UUID) -> None:
    """Remove what the project's recalculations change that were not applied, but for the newest:
    there may be any number of reports, and each may be as long as history."""
    await connection.execute(
        """
        DELETE FROM milestream.recalculation_changes WHERE recalculation_id IN (
            SELECT id FROM milestream.recalculations
            WHERE project = (SELECT project FROM milestream.recalculations WHERE id = %s)
                AND status NOT IN ('running', 'applied')
            ORDER BY created_at DESC, id OFFSET %s
        )
        """,
        (id_, KEPT_REPORTS),
    )


class Totals(NamedTuple):
    """What a recalculation comes to; ``points`` may be a whole number of any size."""

    members: int
    completions: int
    rewards: int
    points: Decimal


async def add_up(connection: AsyncConnection, id_: UUID) -> Totals:
    """Add up what a recalculation changes, in all and by definition, and note it."""
    async with connection.cursor(row_factory=class_row(Totals)) as cursor:
        await cursor.execute(
            """
            UPDATE milestream.recalculations
            SET (members, completions, rewards, points) = (
                SELECT count(DISTINCT member_id) FILTER (WHERE kind <> 'not_given'),
                    count(*) FILTER (WHERE kind = 'completion'),
                    count(reward_log_id) FILTER (WHERE kind = 'milestone'),
                    coalesce(sum(points), 0)
                FROM milestream.recalculation_changes WHERE recalculation_id = %(id)s
            ), sums = (
                SELECT coalesce(jsonb_agg(each ORDER BY each.kind, each.id), '[]') FROM (
                    SELECT kind, id, count(DISTINCT member_id) AS members,
                        sum(points) AS points, sum(before) AS before, sum(after) AS after
                    FROM milestream.recalculation_changes WHERE recalculation_id = %(id)s
                    GROUP BY kind, id
                ) AS each
            )
            WHERE id = %(id)s
            RETURNING members, completions, rewards, points
            """,
            {"id": id_},
        )
        found = await cursor.fetchone()
        assert found is not None
        return found


async def end(connection: AsyncConnection, id_: UUID, status: str, code: str | None) -> None:
    """Note how a recalculation ended.

    One that was broken off while it corrected has no totals: those of its report are not what it
    corrected, and to add that up may take longer than a request may.
    """
    if status in {"cancelled", "failed"}:
        await connection.execute(
            """
            UPDATE milestream.recalculations
            SET members = 0, completions = 0, rewards = 0, points = 0
            WHERE id = %s AND status = 'running' AND sums IS NULL
            """,
            (id_,),
        )
    await connection.execute(
        """
        UPDATE milestream.recalculations SET status = %s, code = %s, ended_at = now(),
            definitions_offset = (
                SELECT work.definitions_end FROM milestream_private.recalculation_work AS work
                WHERE work.id = recalculations.id
            )
        WHERE id = %s AND status = 'running'
        """,
        (status, code, id_),
    )
    await connection.execute(
        "DELETE FROM milestream_private.recalculation_work WHERE id = %s", (id_,)
    )


async def cancel(connection: AsyncConnection, project: str, id_: UUID) -> str | None:
    """Cancel a recalculation that runs; return the status that it has then, None where the project
    has none of that id."""
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM milestream_private.recalculation_work WHERE id = %s FOR UPDATE", (id_,)
        )
        cursor = await connection.execute(
            "SELECT status FROM milestream.recalculations WHERE project = %s AND id = %s",
            (project, id_),
        )
        found = await cursor.fetchone()
        if found is None or found[0] != "running":
            return None if found is None else str(found[0])
        await end(connection, id_, "cancelled", None)
        return "cancelled"


class Shown(NamedTuple):
    """A recalculation as it is shown; ``definitions`` is JSON."""

    id: UUID
    status: str
    code: str | None
    definitions: str
    members: int
    completions: int
    rewards: int
    points: Decimal


_SHOWN = """
SELECT id, status, code, definitions::text AS definitions, members, completions, rewards, points
FROM milestream.recalculations WHERE project = %s
"""


async def one(connection: AsyncConnection, project: str, id_: UUID) -> Shown | None:
    """Return one of a project's recalculations."""
    async with connection.cursor(row_factory=class_row(Shown)) as cursor:
        await cursor.execute(f"{_SHOWN} AND id = %s", (project, id_))
        return await cursor.fetchone()


async def newest(connection: AsyncConnection, project: str, limit: int) -> list[Shown]:
    """Return a project's recalculations, the newest first."""
    async with connection.cursor(row_factory=class_row(Shown)) as cursor:
        await cursor.execute(f"{_SHOWN} ORDER BY created_at DESC, id LIMIT %s", (project, limit))
        return await cursor.fetchall()


class NotGiven(NamedTuple):
    """A reward that stays though it would not have been given."""

    reward_log_id: UUID
    milestone_id: UUID
    member_id: UUID
    period_key: str


async def not_given(connection: AsyncConnection, id_: UUID, limit: int) -> list[NotGiven]:
    """Return the rewards that stay though a recalculation would not have given them."""
    async with connection.cursor(row_factory=class_row(NotGiven)) as cursor:
        await cursor.execute(
            """
            SELECT reward_log_id, id AS milestone_id, member_id, period_key
            FROM milestream.recalculation_changes
            WHERE recalculation_id = %s AND kind = 'not_given'
            ORDER BY id, member_id, period_key LIMIT %s
            """,
            (id_, limit),
        )
        return await cursor.fetchall()
