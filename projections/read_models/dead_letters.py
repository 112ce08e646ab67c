"""``dead_letters``: input records that were refused, by the place where they lay first."""

from base64 import b64encode
from collections.abc import Iterable

import msgspec

from projections.projection import Projection, Row
from schemas.dead_letter import PlacedLetter

COLUMNS = (
    "project",
    "reason",
    "message",
    "topic",
    "partition",
    "offset",
    "key",
    "key_encoding",
    "value",
    "headers",
    "attempts",
    "at",
    "place",
)

_JSON = msgspec.json.Encoder()
_NUL = "\x00"


def rows(letter: PlacedLetter) -> Iterable[Row]:
    """The letter as it was written; what outsiders wrote may hold U+0000, which no text column
    can: there a key turns into base64, and other text shows U+FFFD instead."""
    key, key_encoding = letter.key, letter.key_encoding
    if key is not None and _NUL in key:
        key, key_encoding = b64encode(key.encode()).decode(), "base64"
    project = letter.project
    yield (
        None if project is None else _shown(project),
        letter.reason,
        _shown(letter.message),
        letter.topic,
        letter.partition,
        letter.offset,
        key,
        key_encoding,
        letter.value,
        _JSON.encode([{"key": _shown(h.key), "value": h.value} for h in letter.headers]).decode(),
        letter.attempts,
        letter.at,
        letter.place,
    )


def _shown(text: str) -> str:
    return text.replace(_NUL, "\N{REPLACEMENT CHARACTER}")


DEAD_LETTERS = Projection(
    table="dead_letters",
    columns=COLUMNS,
    key=("topic", "partition", "offset"),
    rows=rows,
)
