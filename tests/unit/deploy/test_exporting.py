"""CSV as PostgreSQL copies it out, into columns of their types."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from deploy.exporting.parquet import AMOUNT, BATCH_BYTES, decoded, joined, parquet_type
from deploy.exporting.tables import Table

KINDS = {
    "id": "uuid", "text": "text", "number": "int8", "small": "int2", "yes": "bool",
    "amount": "numeric", "at": "timestamptz", "day": "date", "fields": "jsonb",
    "groups": "text[]", "days": "int4[]",
}  # fmt: skip
SCHEMA = {name: parquet_type(kind) for name, kind in KINDS.items()}


def test_every_type_is_what_it_was() -> None:
    most = "9" * 29 + "." + "9" * 9
    text = (
        f'0f4be1a7,"",-1,2,t,{most},2026-11-21 10:30:00.25+00,2026-11-21,"{{""a"": 1}}",'
        '"[""x"",""a \\""b\\""""]","[30,7]"\n'
        'b,"\\N ""quoted"",\nand more",9223372036854775807,,f,-0.000000001,'
        "1999-12-31 23:59:59+00,,null,[],\n"
        "c,,,,,,,,,,\n"
    ).encode()
    assert decoded(text, SCHEMA).rows() == [
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
    assert decoded(text, SCHEMA).schema == pl.Schema(SCHEMA)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("numeric", "1e40"), ("int2", "40000"), ("timestamptz", "infinity"), ("bool", "x")],
)
def test_what_does_not_fit_is_never_null(kind: str, text: str) -> None:
    with pytest.raises(pl.exceptions.PolarsError):
        decoded(f"{text}\n".encode(), {"column": parquet_type(kind)})


def test_a_batch_has_its_bytes_and_one_row_more_at_most() -> None:
    rows = [b"x" * size + b"\n" for size in (3 << 20, 1, 6 << 20, 9 << 20, 5)]
    batches = list(joined(rows))
    assert b"".join(batches) == b"".join(rows)
    assert [len(batch) for batch in batches] == [(9 << 20) + 4, (9 << 20) + 1, 6]
    assert all(len(batch) < BATCH_BYTES + (9 << 20) + 1 for batch in batches)
    assert list(joined([])) == []


def test_amounts_have_room_for_their_digits() -> None:
    assert AMOUNT.scale == 9
    assert parquet_type("numeric") == AMOUNT
    assert parquet_type("name") == pl.String


def test_how_new_a_row_is_is_what_tells_most() -> None:
    assert Table("t", {"created_at": "timestamptz", "updated_at": "x"}, False).newness == (
        "updated_at"
    )
    assert Table("t", {"day": "date"}, False).newness is None
