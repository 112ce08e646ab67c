"""A dead letter as text, whatever its record was."""

from base64 import b64encode

import pytest

from api.faces.dashboard.dead_letters import (
    _MAX_BASE64,
    MAX_HEADER_CHARACTERS,
    MAX_HEADERS,
    MAX_VALUE_CHARACTERS,
    _readable,
)


@pytest.mark.parametrize("character", ["x", "é", "\u2028", "\U0010ffff"])
def test_a_long_value_is_cut_at_a_character(character: str) -> None:
    value = b64encode((character * 3 * MAX_VALUE_CHARACTERS).encode()).decode()
    assert len(value) > MAX_VALUE_CHARACTERS
    fetched = value[:_MAX_BASE64]
    shown = _readable({"value": fetched, "isLong": len(fetched) < len(value), "headers": []})
    assert (shown["value"], shown["valueIsCut"]) == (character * MAX_VALUE_CHARACTERS, True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"", ""), (b"{\xff\x00", "{\ufffd\x00"), ("ä".encode(), "ä"), (None, None)],
)
def test_what_is_no_text_is_shown_as_far_as_it_is(value: bytes | None, text: str | None) -> None:
    given = None if value is None else b64encode(value).decode()
    shown = _readable({"value": given, "isLong": False, "headers": []})
    assert (shown["value"], shown["valueIsCut"]) == (text, False)


def test_headers_are_bounded_in_number_and_length() -> None:
    header = {"key": "k" * 5000, "value": b64encode(b"v" * 500_000).decode()}
    shown = _readable({"value": None, "isLong": False, "headers": [header] * 1000})
    lengths = {(len(each["key"]), len(each["value"])) for each in shown["headers"]}
    assert len(shown["headers"]) == MAX_HEADERS
    assert lengths == {(MAX_HEADER_CHARACTERS, MAX_HEADER_CHARACTERS)}
