"""The actions log: a member's entries of the points ledger, the newest first."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Position:
    """A position in the order of the log; sequence and id order entries of one moment."""

    occurred_at: datetime
    sequence: int
    id: UUID


@dataclass(frozen=True)
class Action:
    """An entry."""

    occurred_at: datetime
    sequence: int
    id: UUID
    action_id: str
    points: Decimal
    ip: str | None
    challenge_group: str
    operation: str

    @property
    def position(self) -> Position:
        """The entry's position."""
        return Position(self.occurred_at, self.sequence, self.id)


async def before(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    position: Position,
    *,
    since: datetime,
    limit: int,
) -> list[Action]:
    """Return the next entries before a position, none older than `since`.

    The index points_ledger_member_id has this order, so that only the returned rows are read. The
    statement is planned for its values each time: a generic plan would not choose that index.
    """
    async with connection.cursor(row_factory=class_row(Action)) as cursor:
        await cursor.execute(
            """
            SELECT occurred_at, sequence, id, action_id, points, ip, challenge_group, operation
            FROM milestream.points_ledger
            WHERE member_id = %(member_id)s AND project = %(project)s
                AND occurred_at >= %(since)s
                AND (occurred_at, sequence, id) < (%(occurred_at)s, %(sequence)s, %(id)s)
            ORDER BY occurred_at DESC, sequence DESC, id DESC
            LIMIT %(limit)s
            """,
            {
                "project": project,
                "member_id": member_id,
                "since": since,
                "limit": limit,
                **vars(position),
            },
            prepare=False,
        )
        return await cursor.fetchall()
