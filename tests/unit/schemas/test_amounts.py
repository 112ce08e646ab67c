"""Amounts are exact, within 20 digits before and 9 after the point."""

from decimal import Decimal, localcontext

import pytest

from schemas.amounts import (
    SCALE,
    AmountError,
    amount_decimal,
    format_amount,
    nanos_of,
    parse_amount,
    parse_sum,
)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("-0", 0),
        ("1", 10**9),
        ("87.5", 87_500_000_000),
        ("-3.25", -3_250_000_000),
        ("0.000000001", 1),
        ("99999999999999999999.999999999", 10**29 - 1),
        ("1e3", 1000 * 10**9),
        ("1E-9", 1),
        ("-2.5e+1", -25 * 10**9),
        ("0e99", 0),
    ],
)
def test_a_number_is_read_exactly(text: str, nanos: int) -> None:
    assert parse_amount(text) == nanos


@pytest.mark.parametrize("nanos", [0, 1, -1, 10**9, -(10**29), 10**40, 10**49 - 1, 123_456_789_012])
def test_a_sum_is_read_as_it_was_written(nanos: int) -> None:
    assert parse_sum(format_amount(nanos)) == nanos


@pytest.mark.parametrize(
    "text", ["", "1e3", "01", "+1", " 1", "1.", ".5", "0.0000000001", "1" + "0" * 40, "--1", "NaN"]
)
def test_what_is_no_sum_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="40 digits before and 9 after"):
        parse_sum(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "abc", "NaN", "Infinity", "-", ".5", "5.", "1_000", "1,5", "0x10", "\u0661",
     "1e", "1e1.5", "100000000000000000000", "0.0000000001", "1e20", "1e-10", "1e999", "1e9999",
     "--1", '"5"', "null", "true", "1\n"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="20 digits before and 9 after"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (10**9, "1"), (-1, "-0.000000001"), (875 * 10**8, "87.5"), (10**20, "100000000000")],
)  # fmt: skip
def test_a_number_is_written_plainly_and_shortly(nanos: int, text: str) -> None:
    assert format_amount(nanos) == text


def test_a_sum_beyond_20_digits_is_still_written_exactly() -> None:
    assert format_amount(10**30 + 1) == "1000000000000000000000.000000001"


def test_the_decimal_context_plays_no_part() -> None:
    with localcontext() as narrow:
        narrow.prec = 3
        assert amount_decimal(10**29 - 1) == Decimal("99999999999999999999.999999999")
        assert nanos_of(Decimal("99999999999999999999.999999999")) == 10**29 - 1


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1E+33", "1E-33", "1E+999999", "0.0000000001"])
def test_a_decimal_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        nanos_of(Decimal(text))


def test_zero_is_zero_with_any_exponent() -> None:
    assert nanos_of(Decimal("0E+500")) == 0


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1.000000000000", SCALE),
        ("0.10000000000000", SCALE // 10),
        ("1e-9", 1),
        ("10e-10", 1),
        ("0e-30", 0),
        ("-2.50e1", -25 * SCALE),
    ],
)
def test_noughts_beyond_the_ninth_place_are_no_digits(text: str, nanos: int) -> None:
    assert nanos_of(Decimal(text)) == nanos


@pytest.mark.parametrize("text", ["1e-10", "100e-13", "1.0000000001", "1.00000000010", "1e-32"])
def test_a_digit_beyond_the_ninth_place_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        nanos_of(Decimal(text))
