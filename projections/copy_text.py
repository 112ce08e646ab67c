"""Rows as the text that PostgreSQL's COPY reads.

psycopg's ``write_row`` formats a row quickly too, but is awaited once per row; here a thousand
rows are one string, and only a chunk that holds something to escape is gone through by value.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from projections.projection import Row, Value

CHUNK_ROWS = 1000

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


def chunks(rows: Iterable[Row]) -> Iterator[bytes]:
    """Return the rows as COPY text, some of them at a time."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK_ROWS)):
        yield _encode(chunk).encode()


def _encode(rows: Sequence[Row]) -> str:
    lines = [
        "\t".join([v if type(v) is str else _NULL if v is None else _text(v) for v in row])
        for row in rows
    ]
    text = "\n".join(lines) + "\n"
    if (
        text.count("\n") == len(rows)
        and text.count("\t") == len(rows) * (len(rows[0]) - 1)
        and text.count("\\") == sum([row.count(None) for row in rows])
        and "\r" not in text
    ):
        return text
    return "".join(["\t".join([_escaped(v) for v in row]) + "\n" for row in rows])


def _escaped(value: Value) -> str:
    if value is None:
        return _NULL
    return (value if isinstance(value, str) else _text(value)).translate(_ESCAPES)


def _text(value: Value) -> str:
    """PostgreSQL's text of a value that is no text itself."""
    if type(value) is int:
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence):
        return "{" + ",".join([_quoted(element) for element in value]) + "}"
    return str(value)


def _quoted(element: str) -> str:
    return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'
