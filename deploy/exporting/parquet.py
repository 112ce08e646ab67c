"""A table's rows into a Parquet file, which is there whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import polars as pl
import psycopg
from polars.io.plugins import register_io_source
from psycopg import sql

from deploy.exporting.tables import Selection

BATCH_BYTES = 8 << 20
"""What is read at a time, as text, and one row more: memory follows from it, not from the table."""
GROUP_ROWS = 100_000
"""Rows of a row group: readers pass over whole groups by their least and greatest values."""
AMOUNT = pl.Decimal(38, 9)
"""Amounts have 9 digits after the point, and 20 before: sums of them have room for 29."""

_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "int2": pl.Int16,
    "int4": pl.Int32,
    "int8": pl.Int64,
    "bool": pl.Boolean,
    "numeric": AMOUNT,
    "date": pl.Date,
    "timestamptz": pl.Datetime("us", "UTC"),
}
"""What a column becomes; what is not here is text: ids as they are written, JSON."""

Tell = Callable[[int], None]
"""Is told how many rows are written."""


def parquet_type(kind: str) -> pl.DataType | type[pl.DataType]:
    """Return what a column of a type of PostgreSQL, like ``int8`` or ``text[]``, is in a file."""
    if kind.endswith("[]"):
        return pl.List(parquet_type(kind.removesuffix("[]")))
    return _TYPES.get(kind, pl.String)


def write_table(connection: psycopg.Connection, rows: Selection, file: Path, tell: Tell) -> int:
    """Write rows to ``file``, and return how many there were.

    The file is put in place at once when it is whole and on the disk; one that was there is
    replaced. It is its owner's alone, for it may name people.

    Raises:
        OSError: the file cannot be written.
        psycopg.Error: the database refuses, or the login's time for a statement is over.
    """
    written = 0
    schema = {name: parquet_type(kind) for name, kind in rows.table.columns.items()}

    def batches(*_: object) -> Iterator[pl.DataFrame]:
        nonlocal written
        for text in _texts(connection, rows.copy_statement()):
            batch = decoded(text, schema)
            written += batch.height
            tell(written)
            yield batch

    handle, part = tempfile.mkstemp(suffix=".part", prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            register_io_source(batches, schema=schema).sink_parquet(
                out, row_group_size=GROUP_ROWS, engine="streaming"
            )
            out.flush()
            os.fsync(out.fileno())
        Path(part).replace(file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return written


def _texts(connection: psycopg.Connection, statement: sql.Composed) -> Iterator[bytes]:
    """Yield what a COPY says in pieces of whole rows, and at least one row."""
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        yield from joined(rows)


def joined(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Yield rows put together to at least ``BATCH_BYTES``, the last ones apart."""
    pieces: list[bytes | bytearray | memoryview] = []
    size = 0
    for row in rows:
        pieces.append(row)
        size += len(row)
        if size >= BATCH_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def decoded(text: bytes, schema: dict[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """Return CSV as columns of their types; what does not fit raises, and is never null."""
    as_text = pl.read_csv(
        text, has_header=False, schema=dict.fromkeys(schema, pl.String), raise_if_empty=True
    )
    return as_text.select(_typed(name, kind) for name, kind in schema.items())


def _typed(name: str, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.String:
        return column
    if isinstance(kind, pl.List):
        return column.str.json_decode(kind)
    if kind == pl.Boolean:
        return column.replace_strict({"t": True, "f": False}, return_dtype=pl.Boolean)
    if isinstance(kind, pl.Datetime):
        return column.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", time_zone="UTC")
    if kind == pl.Date:
        return column.str.to_date("%Y-%m-%d")
    return column.cast(kind)
