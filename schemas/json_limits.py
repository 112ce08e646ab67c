"""What a JSON text may hold wherever we take one: no number out of range, no bottomless nesting.

How deep a decoder goes depends on the stack that it happens to run on; where two processes must
judge alike (a worker and its replay, two workers), the limit has to be one of the text itself.
"""

import re
from decimal import Decimal, InvalidOperation

MAX_DEPTH = 128
LARGEST_EXPONENT = 400
"""Beyond 10 to the power of this, a number is of no use to a rule, and none to PostgreSQL."""

_STRING = re.compile(rb'"[^"]*"?')
"""A string in a text without escaped quotes. It never goes back: one without end takes the rest."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def nests_too_deep(raw: bytes) -> bool:
    """Tell whether a JSON text nests deeper than ``MAX_DEPTH``, in linear time."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth = 0
    for bracket in _STRING.sub(b"", plain).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def exact_number(text: str) -> Decimal:
    """Return a JSON number's text as it is.

    Raises:
        ValueError: out of range.
    """
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("number out of range") from error
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError("number out of range")
    return number
