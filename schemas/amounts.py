"""Exact amounts: integers of a billionth ("nanos"), plain JSON numbers on the wire.

An amount has at most 20 digits before and 9 after the point. Held as ``int`` scaled by 10**9 it
adds exactly and without bound, where ``Decimal`` would round silently at its context's precision.
"""

import re
from decimal import Decimal
from functools import lru_cache

DECIMALS = 9
SCALE = 10**9
LIMIT = 10**20 * SCALE

MAX_POINTS = 10**12
"""What one event, milestone, challenge or redemption may move: sums of many stay within a 64-bit
integer."""

_LONGEST = 1 + 20 + 1 + DECIMALS
"""Characters of an amount without an exponent."""
_PLAIN = re.compile(r"(-?)([0-9]{1,20})(?:\.([0-9]{1,9}))?")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")

RULE = "must be a number with at most 20 digits before and 9 after the point"


class AmountError(ValueError):
    """The text is not an amount within 20 + 9 digits."""


@lru_cache(maxsize=65536)  # prices and counts repeat
def _plain(text: str) -> int | None:
    """Return the nanos of a text without an exponent; None where it is none, or has more digits
    than an amount."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups()
    nanos = int(whole) * SCALE
    if fraction is not None:
        nanos += int(fraction.ljust(9, "0"))
    return -nanos if sign else nanos


def parse_amount(text: str) -> int:
    """Return the nanos of a JSON number's text, exponents included (``1e3``, ``1e-7``).

    Raises:
        AmountError: no JSON number, or more digits than an amount has.
    """
    nanos = _plain(text) if len(text) <= _LONGEST else None
    if nanos is not None:
        return nanos
    if len(text) > 64 or _JSON_NUMBER.fullmatch(text) is None or "e" not in text.lower():
        raise AmountError(RULE)
    return nanos_of(Decimal(text))


_SUM = re.compile(r"(-?)(0|[1-9][0-9]{0,39})(?:\.([0-9]{1,9}))?")


def parse_sum(text: str) -> int:
    """Return the nanos of a sum's text as ``format_amount`` writes it: many amounts together may
    have more digits than one.

    Raises:
        AmountError: no plain JSON number, or more than 40 digits before or 9 after the point.
    """
    match = _SUM.fullmatch(text)
    if match is None:
        raise AmountError(
            "must be a plain number with at most 40 digits before and 9 after the point"
        )
    sign, whole, fraction = match.groups()
    nanos = int(whole) * SCALE + int((fraction or "").ljust(DECIMALS, "0"))
    return -nanos if sign else nanos


def nanos_of(value: Decimal) -> int:
    """Return the nanos of a decimal.

    Raises:
        AmountError: not finite, or more digits than an amount has.
    """
    text = str(value)
    plain = _plain(text) if len(text) <= _LONGEST else None
    if plain is not None:
        return plain
    if not value.is_finite() or not -32 <= value.adjusted() <= 32:
        if value.is_finite() and not value:
            return 0
        raise AmountError(RULE)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # it is finite
    kept = max(len(digits) - max(-exponent - DECIMALS, 0), 0)
    if any(digits[kept:]):
        raise AmountError(RULE)
    nanos = int("".join(map(str, digits[:kept])) or "0") * int(10 ** max(exponent + DECIMALS, 0))
    nanos = -nanos if sign else nanos
    if not -LIMIT < nanos < LIMIT:
        raise AmountError(RULE)
    return nanos


def format_amount(nanos: int) -> str:
    """Return the shortest plain JSON number for ``nanos``: ``87.5``, ``-3``, ``0.000000001``."""
    if nanos < 0:
        return f"-{format_amount(-nanos)}"
    whole, fraction = nanos // SCALE, nanos % SCALE
    if not fraction:
        return str(whole)
    # A third of the time that "{fraction:09d}" takes: the fold does this for each log.
    return f"{whole}.{str(SCALE + fraction)[1:].rstrip('0')}"


def amount_decimal(nanos: int) -> Decimal:
    """Return ``nanos`` as a ``Decimal``, exactly, whatever the decimal context says."""
    return Decimal(format_amount(nanos))
