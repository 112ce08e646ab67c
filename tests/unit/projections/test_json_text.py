"""JSON of others: what `jsonb` can hold stays as it is, byte for byte."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.json_text import storable

Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.from_regex(r"[0-9]*[eE][0-9]{4,6}"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(Values)
def test_ordinary_json_is_untouched(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert storable(text) == text


@pytest.mark.parametrize("number", ["1e999999", "-2.5E+131072", "9" * 200_000, "1e-99999"])
def test_a_number_that_is_too_long_becomes_its_text(number: str) -> None:
    text = f'{{"a": [1.50, {number}], "b\\"{number}": "x {number} \\\\"}}'
    stored = storable(text)
    assert stored == f'{{"a": [1.50, "{number}"], "b\\"{number}": "x {number} \\\\"}}'
    assert json.loads(stored, parse_float=Decimal)["a"] == [Decimal("1.50"), number]
