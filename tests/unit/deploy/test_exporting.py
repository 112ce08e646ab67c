"""CSV as PostgreSQL copies it out, into columns of their types."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from deploy.exporting.parquet import (
    AMOUNT,
    GROUP_BYTES,
    decoded,
    joined,
    parquet_type,
    write_groups,
)
from deploy.exporting.tables import Table

KINDS = {
    "id": "uuid", "text": "text", "number": "int8", "small": "int2", "yes": "bool",
    "amount": "numeric", "at": "timestamptz", "day": "date", "fields": "jsonb",
    "groups": "text[]", "days": "int4[]",
}  # fmt: skip
SCHEMA = pa.schema({name: parquet_type(kind) for name, kind in KINDS.items()})


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def test_every_type_is_what_it_was() -> None:
    most = "9" * 29 + "." + "9" * 9
    text = (
        f'0f4be1a7,"",-1,2,t,{most},2026-11-21 10:30:00.25+00,2026-11-21,"{{""a"": 1}}",'
        '"[""x"",""a \\""b\\""""]","[30,7]"\n'
        'b,"\\N ""quoted"",\nand more",9223372036854775807,,f,-0.000000001,'
        "1999-12-31 23:59:59+00,,null,[],\n"
        "c,,,,,,,,,,\n"
    ).encode()
    assert rows_of(decoded(text, SCHEMA)) == [
        (
            "0f4be1a7", "", -1, 2, True, Decimal(most),
            datetime(2026, 11, 21, 10, 30, 0, 250000, UTC), date(2026, 11, 21), '{"a": 1}',
            ["x", 'a "b"'], [30, 7],
        ),
        (
            "b", '\\N "quoted",\nand more', 2**63 - 1, None, False, Decimal("-0.000000001"),
            datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), None, "null", [], None,
        ),
        ("c", *[None] * 10),
    ]  # fmt: skip
    assert decoded(text, SCHEMA).schema == SCHEMA


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("numeric", "1e40"),
        ("numeric", "NaN"),
        ("numeric", "0.0000000001"),
        ("int2", "40000"),
        ("timestamptz", "infinity"),
        ("bool", "x"),
        ("int4[]", '"[""x""]"'),
    ],
)
def test_what_does_not_fit_is_never_null(kind: str, text: str) -> None:
    with pytest.raises(pa.ArrowException):
        decoded(f"{text}\n".encode(), pa.schema({"column": parquet_type(kind)}))


def test_a_column_alone_keeps_its_nulls() -> None:
    table = decoded(b'a\n\n""\n', pa.schema({"column": parquet_type("text")}))
    assert rows_of(table) == [("a",), (None,), ("",)]


def test_a_group_has_its_bytes_and_one_row_more_at_most() -> None:
    rows = [b"x" * size + b"\n" for size in (7 << 20, 1, 10 << 20, 17 << 20, 5)]
    groups = list(joined(rows))
    assert b"".join(groups) == b"".join(rows)
    assert [len(group) for group in groups] == [(17 << 20) + 4, (17 << 20) + 1, 6]
    assert all(len(group) < GROUP_BYTES + (17 << 20) + 1 for group in groups)
    assert list(joined([])) == []


@pytest.mark.parametrize("wide", [1 << 20, 17 << 20])
def test_a_row_group_is_bounded_in_bytes_however_wide_rows_are(tmp_path: Path, wide: int) -> None:
    def rows() -> Iterator[bytes]:
        for number in range(80):
            width = (wide if number % 10 == 0 else 52) if number < 50 else 1 << 20
            yield f"{number},{f'{number:04}' * (width // 4)}\n".encode()

    file, told = tmp_path / "table.parquet", list[int]()
    schema = pa.schema({"number": parquet_type("int8"), "metadata": parquet_type("jsonb")})
    with file.open("wb") as out:
        assert write_groups(joined(rows()), schema, out, told.append) == 80
    found = parquet.ParquetFile(file)
    groups = [found.metadata.row_group(n) for n in range(found.metadata.num_row_groups)]
    assert max(group.total_byte_size for group in groups) < GROUP_BYTES + wide + (1 << 20)
    assert len(groups) == len(told) < 10
    assert found.read()["number"].to_pylist() == list(range(80))


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    with file.open("wb") as out:
        assert write_groups([], SCHEMA, out, lambda _: None) == 0
    assert pl.read_parquet(file).columns == list(KINDS)


def test_amounts_have_room_for_their_digits() -> None:
    assert AMOUNT.scale == 9
    assert parquet_type("numeric") == AMOUNT
    assert parquet_type("name") == pa.string()


def test_how_new_a_row_is_is_what_tells_most() -> None:
    assert Table("t", {"created_at": "timestamptz", "updated_at": "x"}, False).newness == (
        "updated_at"
    )
    assert Table("t", {"day": "date"}, False).newness is None
