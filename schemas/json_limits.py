"""What a JSON text may hold wherever we take one: no number out of range, no bottomless nesting.

How deep a decoder goes depends on the stack that it happens to run on; where two processes must
judge alike (a worker and its replay, two workers), the limit has to be one of the text itself.
"""

from decimal import Decimal, InvalidOperation
from itertools import accumulate

MAX_DEPTH = 128
LARGEST_EXPONENT = 400
"""Beyond 10 to the power of this, a number is of no use to a rule, and none to PostgreSQL."""

BOM = b"\xef\xbb\xbf"
"""May stand before a JSON text, and says nothing."""

_BRACKETS = b"[{]}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEPS = bytes.maketrans(_BRACKETS, b"\x01\x01\xff\xff")
"""Makes each bracket the step in depth that it is, as a signed byte."""


def nests_too_deep(raw: bytes) -> bool:
    """Tell whether a JSON text nests deeper than ``MAX_DEPTH``.

    Each pass takes time that is linear in the text, whatever it holds. A string that does not end
    counts to the end of the text, which is no JSON then.
    """
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    # A backslash stands in strings only: without those that are escaped, and then without escaped
    # quotes, every quote that is left begins or ends a string.
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(plain.split(b'"')[::2])
    steps = outside.translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH


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
