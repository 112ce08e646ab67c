"""Several questions to one state of the database."""

from psycopg import AsyncConnection


async def hold(connection: AsyncConnection) -> None:
    """Let all that is asked until the transaction ends see the same rows.

    It must be the transaction's first statement.
    """
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
