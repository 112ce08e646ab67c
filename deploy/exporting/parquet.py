"""A table's rows into a Parquet file, which is there whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec
import psycopg
import pyarrow as pa
from pyarrow import csv, parquet

from deploy.exporting.tables import Selection

GROUP_BYTES = 16 << 20
"""What is read at a time, as text, and one row more. It becomes one row group: readers pass over
whole groups by their least and greatest values. Memory follows from it, not from the table."""
AMOUNT = pa.decimal128(38, 9)
"""Amounts have 9 digits after the point, and 20 before: sums of them have room for 29."""

_TYPES: Mapping[str, pa.DataType] = {
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "bool": pa.bool_(),
    "numeric": AMOUNT,
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
"""What a column becomes; what is not here is text: ids as they are written, JSON."""

Tell = Callable[[int], None]
"""Is told how many rows are written."""


def parquet_type(kind: str) -> pa.DataType:
    """Return what a column of a type of PostgreSQL, like ``int8`` or ``text[]``, is in a file."""
    if kind.endswith("[]"):
        return pa.list_(parquet_type(kind.removesuffix("[]")))
    return _TYPES.get(kind, pa.string())


def write_table(connection: psycopg.Connection, rows: Selection, file: Path, tell: Tell) -> int:
    """Write rows to ``file``, and return how many there were.

    The file is put in place at once when it is whole and on the disk; one that was there is
    replaced. It is its owner's alone, for it may name people.

    Raises:
        OSError: the file cannot be written.
        psycopg.Error: the database refuses, or the login's time for a statement is over.
        ArrowException: a value does not fit the type of its column in the file.
    """
    schema = pa.schema({name: parquet_type(kind) for name, kind in rows.table.columns.items()})
    handle, part = tempfile.mkstemp(suffix=".part", prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            with connection.cursor() as cursor, cursor.copy(rows.copy_statement()) as lines:
                written = write_groups(joined(lines), schema, out, tell)
            out.flush()
            os.fsync(out.fileno())
        Path(part).replace(file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return written


def write_groups(texts: Iterable[bytes], schema: pa.Schema, out: IO[bytes], tell: Tell) -> int:
    """Write each text, which is CSV, as a row group; return how many rows there were.

    Raises:
        OSError: it cannot be written.
        ArrowException: a value does not fit the type of its column.
    """
    written = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for text in texts:
            group = decoded(text, schema)
            writer.write_table(group, row_group_size=group.num_rows)
            written += group.num_rows
            tell(written)
    return written


def joined(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Yield rows put together to at least ``GROUP_BYTES``, the last ones apart."""
    pieces: list[bytes | bytearray | memoryview] = []
    size = 0
    for row in rows:
        pieces.append(row)
        size += len(row)
        if size >= GROUP_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def decoded(text: bytes, schema: pa.Schema) -> pa.Table:
    """Return CSV as columns of their types.

    Raises:
        ArrowException: a value does not fit; it is never null.
    """
    read = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=schema.names, block_size=len(text)),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={field.name: _as_read(field.type) for field in schema},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
            timestamp_parsers=[csv.ISO8601],
        ),
    )
    columns = [_typed(read[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _as_read(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_list(kind) else kind


def _typed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """Return a column of its type: arrays come as JSON."""
    if not pa.types.is_list(kind):
        return column
    return pa.array(
        [None if text is None else msgspec.json.decode(text) for text in column.to_pylist()], kind
    )
