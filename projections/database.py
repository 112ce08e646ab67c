"""The writing side: COPY, through a staging table where rows may be there already."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.errors import UniqueViolation

from projections import checkpoints, merging
from projections.batch import Batch, TableChanges
from projections.copy_text import chunks
from projections.projection import Projection
from schemas import database_connections, database_roles

SCHEMA = "milestream"

Connection = AsyncConnection[tuple[Any, ...]]
Cursor = AsyncCursor[tuple[Any, ...]]


async def connect(database_url: str, name: str) -> Connection:
    """Open a connection that prepares no statements and does not wait for ever to connect.

    Prepared ones would be right too, for PostgreSQL looks their tables up by name again when a
    rebuild has swapped them. But most of the work is COPY, which cannot be prepared.
    """
    return await AsyncConnection.connect(
        database_url,
        autocommit=True,
        prepare_threshold=None,
        application_name=name,
        **database_connections.LIVENESS,
    )


def live(table: str) -> sql.Identifier:
    """Return the name of a table that everybody reads."""
    return sql.Identifier(SCHEMA, table)


class TableWriter:
    """Writes rows of one read model to its tables, or to those that are built beside them."""

    def __init__(
        self, projection: Projection, place: Callable[[str], sql.Identifier] = live
    ) -> None:
        target = place(projection.table)
        self._staging = sql.Identifier("pg_temp", f"staging_{projection.table}")
        names = sql.SQL(", ").join(map(sql.Identifier, projection.columns))
        key = sql.SQL(", ").join(map(sql.Identifier, projection.key))
        self._create = sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS"
        ).format(self._staging, target)
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN").format(self._staging, names)
        self._copy_facts = sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)
        self._facts = projection.newest_by is None and not projection.combined
        self._upsert = sql.SQL(
            "INSERT INTO {} AS target ({names}) SELECT {names} FROM {} {} ON CONFLICT ({key}) DO {}"
        ).format(
            target,
            self._staging,
            # Projectors that add to the same rows lock them in the same order; and neighbours in
            # the index come one after the other, which saves a fifth. Facts stay in their order,
            # for the first one counts.
            sql.SQL("") if self._facts else sql.SQL("ORDER BY {}").format(key),
            merging.on_conflict(projection),
            names=names,
            key=key,
        )
        self._derive = (
            None
            if projection.derived is None
            else sql.SQL(projection.derived.statement).format(
                rows=self._staging,
                model=target,
                **{table: place(table) for table in projection.derived.tables},
            )
        )
        self._delete = sql.SQL("DELETE FROM {} WHERE ({}) = ({})").format(
            target, key, sql.SQL(", ").join([sql.Placeholder()] * len(projection.key))
        )

    async def prepare(self, connection: Connection) -> None:
        """Make the staging table, once per connection."""
        await connection.execute(self._create)

    async def write(self, connection: Connection, changes: TableChanges) -> None:
        """Write the changes, in the caller's transaction, of which it may be the only one."""
        async with connection.cursor() as cursor:
            if changes.gone:
                await cursor.executemany(self._delete, list(changes.gone))
            if changes and not (self._facts and await self._add(connection, changes)):
                await _copy(cursor, self._copy, changes)
                if self._derive is not None:
                    await cursor.execute(self._derive)
                await cursor.execute(self._upsert)

    async def _add(self, connection: Connection, changes: TableChanges) -> bool:
        """Write facts straight to the table; False, and nothing is written, if one is there.

        The checkpoint has seen to it that none is, unless a topic holds a fact twice.
        """
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                await _copy(cursor, self._copy_facts, changes)
        except UniqueViolation:
            return False
        return True


async def _copy(cursor: Cursor, statement: sql.Composed, changes: TableChanges) -> None:
    async with cursor.copy(statement) as copy:
        for chunk in chunks(changes.rows()):
            await copy.write(chunk)


class Database:
    """One connection of a projector, with its staging tables."""

    def __init__(self, connection: Connection, projections: Mapping[str, Projection]) -> None:
        self.connection = connection
        self._writers = {
            table: TableWriter(projection) for table, projection in projections.items()
        }

    @classmethod
    async def open(cls, database_url: str, projections: Mapping[str, Projection]) -> Self:
        """Connect and make ready.

        Raises:
            psycopg.OperationalError: the database is not there.
        """
        connection = await connect(database_url, "milestream-projector")
        await connection.execute(database_roles.TAKE, [database_roles.PROJECTOR])
        # Rows and checkpoints commit together, and in order: what a crash of the server takes back
        # is read from the topics again. So the next batch need not wait for the disk.
        await connection.execute("SET synchronous_commit = off")
        database = cls(connection, projections)
        try:
            for writer in database._writers.values():
                await writer.prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return database

    async def close(self) -> None:
        """Hang up; what was not committed is rolled back."""
        await self.connection.close()

    async def write(self, batch: Batch) -> None:
        """Write a batch and its checkpoints in one transaction.

        A crash before the commit leaves nothing, one after it leaves all.

        Raises:
            CheckpointConflict: another projector wrote these records; nothing was written.
        """
        async with self.connection.transaction():
            # First, for it is what two projectors wait for each other at.
            await checkpoints.advance(self.connection, batch.moves)
            for table, changes in batch.changes.items():
                if changes or changes.gone:
                    await self._writers[table].write(self.connection, changes)
