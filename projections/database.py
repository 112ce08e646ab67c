"""The writing side: COPY, through a staging table where rows may be there already."""

from collections.abc import Callable, Mapping
from typing import Any, LiteralString, Self

import msgspec
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

_JSON = msgspec.json.Encoder(decimal_format="number")


ANSWER_S = 50.0
"""How long a projector waits for an answer. Its statements take seconds."""


class _TimedConnection(Connection):
    async def wait(self, *arguments: Any, **options: Any) -> Any:
        """Wait for an answer, as psycopg does, with a deadline."""
        with database_connections.answered_within(ANSWER_S, self):
            return await super().wait(*arguments, **options)


async def connect(
    database_url: str, name: str, connection: type[Connection] = _TimedConnection
) -> Connection:
    """Open a connection that prepares no statements and does not wait for ever to connect, nor, by
    default, for an answer.

    Prepared ones would be right too, for PostgreSQL looks their tables up by name again when a
    rebuild has swapped them. But most of the work is COPY, which cannot be prepared.
    """
    return await connection.connect(
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
        # Statements are bytes: psycopg would put one together anew each time.
        target = place(projection.table)
        self._has_staging = False
        self._staging = sql.Identifier("pg_temp", f"staging_{projection.table}")
        names = sql.SQL(", ").join(map(sql.Identifier, projection.columns))
        key = sql.SQL(", ").join(map(sql.Identifier, projection.key))
        self._create = sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS) "
            "ON COMMIT DELETE ROWS"
        ).format(self._staging, target)
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN").format(self._staging, names).as_bytes(None)
        copy_facts = sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)
        self._copy_facts = copy_facts.as_bytes(None)
        self._facts = projection.newest_by is None and not projection.combined
        # Projectors that add to the same rows lock them in the same order; and neighbours in the
        # index come one after the other, which saves a fifth. Facts stay in their order, for the
        # first one counts.
        order = sql.SQL("") if self._facts else sql.SQL("ORDER BY {}").format(key)
        upsert = sql.SQL(
            "INSERT INTO {} AS target ({names}) SELECT {names} FROM {} {} ON CONFLICT ({key}) DO {}"
        ).format(
            target,
            self._staging,
            order,
            merging.on_conflict(projection),
            names=names,
            key=key,
        )
        self._upsert = upsert.as_bytes(None)
        derived = projection.tables[1:]
        named = {"model": target, **{table: place(table) for table in derived}}

        def statement(text: LiteralString | None) -> bytes | None:
            if text is None:
                return None
            return sql.SQL(text).format(rows=self._staging, **named).as_bytes(None)

        each = projection.derived
        self._derive = statement(None if each is None else each.statement)
        self._amend = statement(projection.amend)
        # What everybody adds to is locked in the order of its keys, but by amendments: who has
        # some keeps the others away before it locks anything.
        self._keep_away = (
            sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
            .format(sql.SQL(", ").join(map(place, derived)))
            .as_bytes(None)
            if derived and projection.amend
            else None
        )
        self._delete = sql.SQL("DELETE FROM {} WHERE ({}) = ({})").format(
            target, key, sql.SQL(", ").join([sql.Placeholder()] * len(projection.key))
        )

    async def prepare(self, connection: Connection) -> None:
        """Make the staging table, where this connection has none."""
        if not self._has_staging:
            await connection.execute(self._create)
            self._has_staging = True

    def rolled_back(self) -> None:
        """Note that a transaction was rolled back, which may have made the staging table."""
        self._has_staging = False

    async def write(self, connection: Connection, changes: TableChanges) -> None:
        """Write the changes, in the caller's transaction, of which it may be the only one."""
        async with connection.cursor() as cursor:
            if changes.amended and self._keep_away is not None:
                await cursor.execute(self._keep_away)
            if changes.gone:
                await cursor.executemany(self._delete, list(changes.gone))
            if changes.rows() and not (self._facts and await self._add(connection, changes)):
                await self.prepare(connection)
                await _copy(cursor, self._copy, changes)
                if self._derive is not None:
                    await cursor.execute(self._derive)
                await cursor.execute(self._upsert)
            if changes.amended and self._amend is not None:
                await cursor.execute(self._amend, [_JSON.encode(changes.amended).decode()])

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


async def _copy(cursor: Cursor, statement: bytes, changes: TableChanges) -> None:
    async with cursor.copy(statement) as copy:
        for chunk in chunks(changes.rows()):
            await copy.write(chunk)


class Database:
    """One connection of a projector, with the staging tables that were needed so far.

    A commit empties all of them, which costs more than the rest of a small batch: so there is none
    that is not used.
    """

    def __init__(self, connection: Connection, projections: Mapping[str, Projection]) -> None:
        self.connection = connection
        self._writers = {
            table: TableWriter(projection) for table, projection in projections.items()
        }
        self._shared = [table for table, each in projections.items() if each.is_shared]

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
        return cls(connection, projections)

    async def close(self) -> None:
        """Hang up; what was not committed is rolled back."""
        await self.connection.close()

    async def write(self, batch: Batch) -> None:
        """Write a batch and its checkpoints in one transaction.

        A crash before the commit leaves nothing, one after it leaves all.

        Raises:
            CheckpointConflict: another projector wrote these records; nothing was written.
        """
        try:
            async with self.connection.transaction():
                # First, for it is what two projectors wait for each other at.
                await checkpoints.advance(self.connection, batch.moves, self._shared)
                # In one order, for projectors of several partitions add to the same rows.
                for table, writer in self._writers.items():
                    changes = batch.changes.get(table)
                    if changes:
                        await writer.write(self.connection, changes)
        except BaseException:
            for writer in self._writers.values():
                writer.rolled_back()
            raise
