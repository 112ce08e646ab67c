"""Balances of points."""

from uuid import UUID

from psycopg import AsyncConnection


async def balances(
    connection: AsyncConnection, project: str, member_id: UUID
) -> tuple[int, dict[str, int]]:
    """Return a member's total balance, and that of each challenge group."""
    cursor = await connection.execute(
        """
        SELECT t.balance, b.challenge_group, b.balance
        FROM milestream.points_totals t
        LEFT JOIN milestream.points_balances b
            ON b.project = t.project AND b.member_id = t.member_id
        WHERE t.project = %s AND t.member_id = %s
        ORDER BY b.challenge_group
        """,
        (project, member_id),
    )
    rows = await cursor.fetchall()
    total = int(rows[0][0]) if rows else 0
    return total, {group: int(balance) for _, group, balance in rows if group is not None}
