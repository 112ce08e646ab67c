"""Decimals of the database as exact JSON numbers."""

from decimal import Decimal

from msgspec import Raw


def exact(value: object) -> object:
    """Return a column's value so that its JSON is the shortest exact number."""
    return Raw(number_text(value).encode()) if isinstance(value, Decimal) else value


def number_text(value: Decimal) -> str:
    """Return a finite decimal as the shortest plain JSON number, with any number of digits.

    A sum of amounts can have more digits than an amount.
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return "0" if text == "-0" else text
