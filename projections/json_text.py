"""JSON that others wrote, as a ``jsonb`` column takes it."""

import re

_SUSPECT = re.compile(r"[eE][+-]?[0-9]{4}|(?<![0-9])[0-9]{1000}")
"""More digits than anybody needs, or an exponent that stands for them. What ``jsonb`` cannot hold
begins at 131,072 of them. Digits are counted from the first of several only: from each of them, it
would take a thousand times as long."""

_STRING_OR_NUMBER = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?[0-9][0-9.eE+-]*', re.DOTALL)


def storable(text: str) -> str:
    """Return a JSON text in which a number that ``jsonb`` has no room for is a string of itself.

    Such a number is valid JSON, and one of them must not stop a projector.
    """
    return text if _SUSPECT.search(text) is None else _STRING_OR_NUMBER.sub(_quoted, text)


def _quoted(token: re.Match[str]) -> str:
    text = token[0]
    return text if text.startswith('"') or _SUSPECT.search(text) is None else f'"{text}"'
