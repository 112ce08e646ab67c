"""The numbered migrations of the database, applied once each and in order."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg

logger = logging.getLogger(__name__)

LOCK = 0x6D696C65_73747265
"""Advisory lock of a migration ("milestre"): whoever comes second finds everything done."""

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


class MigrationError(Exception):
    """The database has a migration that this version does not know: it is newer."""


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

    Safe to call again, and from several processes at once.

    Raises:
        MigrationError: the database was migrated by a newer version.
        psycopg.Error: there is no such database, or it refuses.
    """
    known = migrations()
    with psycopg.connect(database_url, application_name="milestream-migrate") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(_BOOKKEEPING)
        rows = connection.execute("SELECT version FROM milestream_private.migrations").fetchall()
        applied = {row[0] for row in rows}
        unknown = applied - {migration.version for migration in known}
        if unknown:
            raise MigrationError(
                f"the database has migration {max(unknown)}, which this version of Milestream "
                "does not know: it was migrated by a newer one"
            )
        for migration in known:
            if migration.version not in applied:
                _apply(connection, migration)


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode())
    connection.execute(
        "INSERT INTO milestream_private.migrations (version, name) VALUES (%s, %s)",
        [migration.version, migration.name],
    )
    logger.info("applied migration %04d_%s", migration.version, migration.name)
