"""`milestream export`: a project's tables as Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands import checked
from deploy.commands.whose import Project
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.output import print_json
from deploy.progress import Bar, bar
from schemas.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from deploy.exporting.parquet import Tell
    from deploy.exporting.tables import Table


@dataclass(frozen=True)
class _Asked:
    """What is to be exported, and where to."""

    project: str
    directory: Path
    since: datetime | None


def command(
    project: Project,
    to: Annotated[
        Path, typer.Option("--to", help="The directory to write TABLE.parquet to; made if needed.")
    ],
    table: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", help="Only this table or view. May be given again."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=checked.moment,
            metavar="TIME",
            help="Only rows written or changed since, of tables that say when.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each file.")
    ] = False,
) -> None:
    """Write a project's tables and views as Parquet files, all as of one moment.

    A file is replaced when the new one is whole. An analyst's own login may do so as well.
    """
    pyarrow_is_there()
    settings = Settings.from_env()
    asked = _Asked(project, to, since)
    _make(to)
    with database_errors(), _reading(settings.database_url) as connection:
        wanted = _wanted(connection, table or ())
        for name, rows in _export(connection, asked, wanted):
            file = to / f"{name}.parquet"
            if as_json:
                line = {
                    "table": name,
                    "file": str(file),
                    "rows": rows,
                    "bytes": file.stat().st_size,
                }
                print_json(line)
            else:
                typer.echo(f"{file}: {rows:,} rows")


def pyarrow_is_there() -> None:
    """Check that the package is installed that writes Parquet, which nothing else needs.

    Raises:
        CommandError: it is not.
    """
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise CommandError(
            "Parquet is written by the package pyarrow, which is not installed: pip install pyarrow"
        ) from error


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise typer.BadParameter("is a file, not a directory", param_hint="--to") from None
    except OSError as error:
        raise typer.BadParameter(
            f"cannot be made: {error.strerror or error}", param_hint="--to"
        ) from None


@contextmanager
def _reading(url: str) -> Iterator["psycopg.Connection"]:
    """Open a connection that sees everything as of one moment, and changes nothing."""
    import psycopg

    with psycopg.connect(url, application_name="milestream-export") as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        connection.execute("SET LOCAL DateStyle = 'ISO'")
        yield connection


def _wanted(connection: "psycopg.Connection", names: Sequence[str]) -> Mapping[str, "Table"]:
    """Return the tables that are asked for; all where none is named."""
    import psycopg

    from deploy.exporting.tables import tables

    try:
        there = tables(connection)
    except psycopg.errors.InvalidSchemaName as error:
        raise CommandError("the database has no read models: run milestream migrate") from error
    unknown = [name for name in names if name not in there]
    if unknown:
        raise typer.BadParameter(
            f"there is no table {', '.join(unknown)}; there are {', '.join(there)}",
            param_hint="--table",
        )
    return {name: there[name] for name in dict.fromkeys(names or there)}


def _export(
    connection: "psycopg.Connection", asked: _Asked, wanted: Mapping[str, "Table"]
) -> Iterator[tuple[str, int]]:
    """Write each table's file; yield its name and how many rows it has."""
    from pyarrow import ArrowException

    from deploy.exporting.parquet import write_table
    from deploy.exporting.tables import Selection

    for name, table in wanted.items():
        rows = Selection(table, asked.project, asked.since)
        file = asked.directory / f"{name}.parquet"
        try:
            with bar(name) as show:
                tell = _teller(show, rows.count(connection))
                tell(0)
                written = write_table(connection, rows, file, tell)
        except OSError as error:
            raise CommandError(
                f"{file} cannot be written: {error.strerror or error}. Files before it are "
                "whole; mend that, and give the same command again"
            ) from error
        except ArrowException as error:
            raise CommandError(
                f"{name} has a value that a column of its file cannot hold: {error}"
            ) from error
        yield name, written


def _teller(show: Bar, total: int | None) -> "Tell":
    return lambda done: show(done, total, f"{done:,} rows")
