"""The numbered migrations of the database, applied once each and in order.

Those that follow each other are one transaction. A file `NNNN_name.concurrently.sql` has indexes on
tables that may be large, or fills a column from one: in a transaction that would keep others
waiting until all is committed. Its statements run one by one, each by itself, and may run again. A
statement there ends at the end of a line.
"""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import takewhile

import psycopg
from psycopg import sql
from psycopg.errors import (
    DuplicateSchema,
    DuplicateTable,
    InsufficientPrivilege,
    InternalError_,
    LockNotAvailable,
    UniqueViolation,
)

from projections.hardening import harden

logger = logging.getLogger(__name__)

_TRIES = 20
"""How often the bookkeeping is made while others make it: each try waits for one of them."""

_PAUSE_SECONDS = 0.2

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)(\.concurrently)?\.sql")

_BOOKKEEPING = """
CREATE SCHEMA IF NOT EXISTS milestream_private;
CREATE TABLE IF NOT EXISTS milestream_private.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE milestream_private.migrations IS 'Which migrations the database has had.';
COMMENT ON COLUMN milestream_private.migrations.version IS 'Number of the migration''s file.';
COMMENT ON COLUMN milestream_private.migrations.name IS 'The rest of its name.';
COMMENT ON COLUMN milestream_private.migrations.applied_at IS 'When it was applied.';
"""


_HAS_BOOKKEEPING = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class
    WHERE relname = 'migrations'
        AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'milestream_private')
)
"""


class MigrationError(Exception):
    """The database cannot be brought up to date, or is of a newer version than this."""


@dataclass(frozen=True)
class Migration:
    """One file of ``migrations/``."""

    version: int
    name: str
    sql: str
    concurrently: bool = False

    @property
    def statements(self) -> Sequence[str]:
        """Its statements, of which none has a line that ends in a semicolon inside."""
        return [each for part in self.sql.split(";\n") if (each := part.strip())]


def migrations() -> Sequence[Migration]:
    """Return all migrations by rising version."""
    found = []
    for file in resources.files("projections").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            text = file.read_text("utf-8")
            found.append(Migration(int(match[1]), match[2], text, match[3] is not None))
    return sorted(found, key=lambda migration: migration.version)


def migrate(database_url: str) -> None:
    """Bring the database up to date. What is in one transaction is there wholly, or not at all.

    Safe to call again, and from several processes at once. Needs the owner's login where something
    is missing, and else no more than a login that may look.

    Raises:
        MigrationError: the database was migrated by a newer version, or something is missing and
            the login may not make it.
        psycopg.Error: there is no such database, or it refuses.
    """
    known = migrations()
    with _connection(database_url) as connection:
        try:
            _prepare(connection)
            if not _missing(connection, known):
                return
            while missing := _next(connection, known):
                if missing[0].concurrently:
                    connection.commit()
                    _apply_concurrently(database_url, missing[0])
                else:
                    for migration in missing:
                        _apply(connection, migration)
        except InsufficientPrivilege as error:
            raise MigrationError(
                "the database lacks migrations, and this login may not make them: run "
                f"`milestream migrate` with its owner's login ({str(error).splitlines()[0]})"
            ) from error
        harden(connection)


def _connection(database_url: str, *, autocommit: bool = False) -> psycopg.Connection:
    return psycopg.connect(
        database_url,
        autocommit=autocommit,
        application_name="milestream-migrate",
        options="-c client_min_messages=warning",
    )


def _next(connection: psycopg.Connection, known: Sequence[Migration]) -> Sequence[Migration]:
    """Return what is to be applied next, in a transaction or concurrently; nobody else applies any
    until this one's transaction ends."""
    # Whoever comes second finds everything done. Analysts can lock nothing of this schema.
    connection.execute("LOCK milestream_private.migrations IN SHARE ROW EXCLUSIVE MODE")
    missing = _missing(connection, known)
    if missing and missing[0].concurrently:
        return missing[:1]
    return list(takewhile(lambda migration: not migration.concurrently, missing))


def _apply_concurrently(database_url: str, migration: Migration) -> None:
    """Apply a migration outside of a transaction, unless another process has meanwhile."""
    with _connection(database_url) as guard, _connection(database_url, autocommit=True) as applying:
        # A row, for the table cannot be locked: the migration is written there.
        while not _is_locked(guard):
            time.sleep(_PAUSE_SECONDS)
        if migration.version in _applied(guard):
            return
        for (index,) in applying.execute(_HALF_MADE).fetchall():
            applying.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.SQL(index)))
        for statement in migration.statements:
            applying.execute(statement.encode())
        _note(applying, migration)


def _is_locked(guard: psycopg.Connection) -> bool:
    """Lock out whoever applies the same; tell whether nobody does already.

    Building an index waits for all who see rows of before, and a statement that waits does: two
    that waited for each other's lock would wait for ever.
    """
    try:
        guard.execute(_LOCK)
    except LockNotAvailable:
        guard.rollback()
        return False
    return True


_LOCK = """
SELECT FROM milestream_private.migrations
WHERE version = (SELECT min(version) FROM milestream_private.migrations) FOR UPDATE NOWAIT
"""
_HALF_MADE = """
SELECT indexrelid::regclass::text FROM pg_catalog.pg_index
JOIN pg_catalog.pg_class ON pg_class.oid = indrelid
WHERE NOT indisvalid AND relnamespace = 'milestream'::regnamespace
"""
"""Indexes that were cut off while they were built: nobody reads them, and they are kept up."""


def _prepare(connection: psycopg.Connection) -> None:
    """Make the schema and the table of what was applied, where they are not there.

    Raises:
        MigrationError: others kept getting in the way.
    """
    for _ in range(_TRIES):
        if connection.execute(_HAS_BOOKKEEPING).fetchone() == (True,):
            connection.commit()
            return
        try:
            connection.execute(_BOOKKEEPING)
            connection.commit()
        except (UniqueViolation, DuplicateSchema, DuplicateTable, InternalError_):
            connection.rollback()  # somebody else has made it meanwhile
    raise MigrationError("others keep making the same schema: try again")


def _missing(connection: psycopg.Connection, known: Sequence[Migration]) -> Sequence[Migration]:
    """Return what was not applied yet.

    Raises:
        MigrationError: the database has a migration that this version does not know.
    """
    applied = _applied(connection)
    unknown = applied - {migration.version for migration in known}
    if unknown:
        raise MigrationError(
            f"the database has migration {max(unknown)}, which this version of Milestream "
            "does not know: it was migrated by a newer one"
        )
    return [migration for migration in known if migration.version not in applied]


def _applied(connection: psycopg.Connection) -> set[int]:
    # Without parameters: a statement that has some keeps what it sees until the next one.
    rows = connection.execute("SELECT version FROM milestream_private.migrations").fetchall()
    return {row[0] for row in rows}


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode())
    _note(connection, migration)


def _note(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(
        "INSERT INTO milestream_private.migrations (version, name) VALUES (%s, %s)",
        [migration.version, migration.name],
    )
    logger.info("applied migration %04d_%s", migration.version, migration.name)
