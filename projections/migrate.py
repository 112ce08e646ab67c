"""The numbered migrations of the database, applied once each and in order."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg.errors import (
    DuplicateSchema,
    DuplicateTable,
    InsufficientPrivilege,
    InternalError_,
    UniqueViolation,
)

from projections.hardening import harden

logger = logging.getLogger(__name__)

_TRIES = 20
"""How often the bookkeeping is made while others make it: each try waits for one of them."""

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

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


def migrations() -> Sequence[Migration]:
    """Return all migrations by rising version."""
    found = []
    for file in resources.files("projections").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(database_url: str) -> None:
    """Bring the database up to date, in one transaction: all that is missing, or nothing.

    Safe to call again, and from several processes at once. Needs the owner's login where something
    is missing, and else no more than a login that may look.

    Raises:
        MigrationError: the database was migrated by a newer version, or something is missing and
            the login may not make it.
        psycopg.Error: there is no such database, or it refuses.
    """
    known = migrations()
    with psycopg.connect(database_url, application_name="milestream-migrate") as connection:
        connection.execute("SET client_min_messages = warning")
        try:
            _prepare(connection)
            if not _missing(connection, known):
                return
            # Whoever comes second finds everything done. Analysts can lock nothing of this schema.
            connection.execute("LOCK milestream_private.migrations IN SHARE ROW EXCLUSIVE MODE")
            for migration in _missing(connection, known):
                _apply(connection, migration)
        except InsufficientPrivilege as error:
            raise MigrationError(
                "the database lacks migrations, and this login may not make them: run "
                f"`milestream migrate` with its owner's login ({str(error).splitlines()[0]})"
            ) from error
        harden(connection)


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
    rows = connection.execute("SELECT version FROM milestream_private.migrations").fetchall()
    applied = {row[0] for row in rows}
    unknown = applied - {migration.version for migration in known}
    if unknown:
        raise MigrationError(
            f"the database has migration {max(unknown)}, which this version of Milestream "
            "does not know: it was migrated by a newer one"
        )
    return [migration for migration in known if migration.version not in applied]


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode())
    connection.execute(
        "INSERT INTO milestream_private.migrations (version, name) VALUES (%s, %s)",
        [migration.version, migration.name],
    )
    logger.info("applied migration %04d_%s", migration.version, migration.name)
