"""Numbers of records: exact, plain and as short as can be, however large."""

from decimal import Decimal

import msgspec
import pytest

from api.http.numbers import exact, number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("87.500000000", "87.5"),
        ("-3.000000000", "-3"),
        ("100", "100"),
        ("0E-9", "0"),
        ("-0.0", "0"),
        ("1E-9", "0.000000001"),
        ("1E+3", "1000"),
        ("100000000000000000000", "1" + "0" * 20),
        ("-123456789012345678901234567890123456789.000000001", None),
    ],
)
def test_a_number_is_plain_exact_and_short(value: str, text: str | None) -> None:
    assert number_text(Decimal(value)) == (text or value)


def test_only_decimals_are_made_ready_json() -> None:
    shown = {"sum": exact(Decimal("1e20")), "version": exact(3), "name": exact(None)}
    assert msgspec.json.encode(shown) == b'{"sum":100000000000000000000,"version":3,"name":null}'
