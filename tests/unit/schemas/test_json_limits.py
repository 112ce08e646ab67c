"""What a JSON text may hold wherever we take one."""

import pytest

from schemas.definition_records import read_change
from schemas.definitions import DefinitionError, decode_numbers
from schemas.json_limits import MAX_DEPTH, exact_number, nests_too_deep


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), True),
        (b"[" + b"[]," * 1000 + b"[]]", False),
        (b'["' + b"[" * 1000 + b'"]', False),
        (b'["\\"' + b"[{" * 1000 + b'"]', False),
        (b'["\\\\"' + b",[{" * 200, True),
        (b'["\\\\\\"' + b"[{" * 200 + b'"]', False),
        (b'"' + b"[" * 200, False),
    ],
)
def test_the_depth_of_a_text(raw: bytes, expected: bool) -> None:
    assert nests_too_deep(raw) == expected


@pytest.mark.parametrize("text", ["1E99999999999999999999", "1e401", "-1e-401"])
def test_a_number_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        exact_number(text)


@pytest.mark.parametrize(
    "value", [b'{"id":"v","x":1E99999999999999999999}', b"[" * 500 + b"]" * 500]
)
def test_a_definition_that_no_decoder_takes_is_refused(value: bytes) -> None:
    """Anyone may write there: a worker that stopped would stop again at each start."""
    with pytest.raises(DefinitionError):
        read_change(b"default/event/v", value, 0, 0)


def test_numbers_are_exact() -> None:
    assert str(decode_numbers(b"[1.10, 1e3]")) == "[Decimal('1.10'), Decimal('1E+3')]"
