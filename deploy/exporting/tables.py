"""Which tables and views can be exported, and how each column is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

NEWNESS = ("updated_at", "created_at", "corrected_at", "recorded_at", "moved_at", "at")
"""Columns that say when a row was written, or last changed: a table's is the first that it has."""

_COLUMNS = """
SELECT relname::text, attname::text,
    CASE WHEN elem.oid IS NULL THEN kind.typname ELSE elem.typname || '[]' END::text,
    relkind = 'v'
FROM pg_catalog.pg_attribute
JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
JOIN pg_catalog.pg_type AS kind ON kind.oid = atttypid
LEFT JOIN pg_catalog.pg_type AS elem ON elem.oid = kind.typelem AND kind.typcategory = 'A'
WHERE relnamespace = 'milestream'::regnamespace AND relkind IN ('r', 'v')
    AND attnum > 0 AND NOT attisdropped AND has_table_privilege(pg_class.oid, 'SELECT')
ORDER BY relname, attnum
"""


@dataclass(frozen=True)
class Table:
    """A table or view of schema ``milestream`` with a column ``project``."""

    name: str
    columns: Mapping[str, str]
    """The type of each column as PostgreSQL calls it inside: ``int8``; of an array ``text[]``."""
    is_view: bool

    @property
    def newness(self) -> str | None:
        """The column that says how new a row is; None where none does."""
        return next((name for name in NEWNESS if name in self.columns), None)


def tables(connection: psycopg.Connection) -> Mapping[str, Table]:
    """Return what the login may read of the read models, by name.

    Raises:
        psycopg.Error: there are no read models, or the database refuses.
    """
    found: dict[str, dict[str, str]] = {}
    views = set()
    for name, column, kind, is_view in connection.execute(_COLUMNS):
        found.setdefault(name, {})[column] = kind
        if is_view:
            views.add(name)
    return {
        name: Table(name, columns, name in views)
        for name, columns in found.items()
        if "project" in columns
    }


@dataclass(frozen=True)
class Selection:
    """Rows of a table: those of a project, and where ``since`` is given no older ones.

    A table that does not say how new its rows are is taken whole.
    """

    table: Table
    project: str
    since: datetime | None = None

    def count(self, connection: psycopg.Connection) -> int | None:
        """Return how many rows there are; None of a view, which would be worked out for it."""
        if self.table.is_view:
            return None
        row = connection.execute(self._select(sql.SQL("count(*)"))).fetchone()
        assert row is not None
        return int(row[0])

    def copy_statement(self) -> sql.Composed:
        """Return what copies the rows out as CSV: arrays as JSON, a null as an empty field without
        quotes."""
        columns = [_column(name, kind) for name, kind in self.table.columns.items()]
        rows = self._select(sql.SQL(", ").join(columns))
        return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(rows)

    def _select(self, columns: sql.Composable) -> sql.Composed:
        statement = sql.SQL("SELECT {} FROM milestream.{} WHERE project = {}").format(
            columns, sql.Identifier(self.table.name), sql.Literal(self.project)
        )
        newness = self.table.newness
        if self.since is None or newness is None:
            return statement
        return statement + sql.SQL(" AND {} >= {}").format(
            sql.Identifier(newness), sql.Literal(self.since)
        )


def _column(name: str, kind: str) -> sql.Composable:
    column = sql.Identifier(name)
    return sql.SQL("to_json({})").format(column) if kind.endswith("[]") else column
