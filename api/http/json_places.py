"""Locates an element of a JSON text by its path, as callers know it.

A path is made for the one error that a response names, never while parsing: a text of 1 MiB can
hold half a million deep elements.
"""

import json
import re

MAX_PATH = 512
"""Characters of a path; a longer one is cut."""
_MAX_KEY = 80

_TOKEN = re.compile(rb'"[^"]*"?|[\[\]{},]')
"""The tokens that a path depends on, in a text without escaped quotes. It never backtracks."""

_NO_KEY = (0, 0)


def path_at(raw: bytes, position: int) -> str:
    """Return the path of the element that the byte at `position` belongs to: `a.b[2]`.

    Empty for the whole text. The time is linear in its bytes, whether or not it is JSON.
    """
    text = raw.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    open_: list[int | tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        mark = text[token.start()]
        if token.start() > position:
            break
        if mark in b"[{":
            open_.append(0 if mark == b"["[0] else _NO_KEY)
        elif not open_:
            continue
        elif mark in b"]}":
            open_.pop()
        elif mark == b","[0]:
            inner = open_[-1]
            open_[-1] = inner + 1 if isinstance(inner, int) else _NO_KEY
        elif open_[-1] == _NO_KEY:
            open_[-1] = token.span()
    return _joined(raw, open_)


def _joined(raw: bytes, open_: list[int | tuple[int, int]]) -> str:
    path = ""
    for inner in open_:
        if isinstance(inner, int):
            path += f"[{inner}]"
        elif inner != _NO_KEY:
            key = _key(raw[inner[0] : inner[1]])
            path += f".{key}" if path else key
        if len(path) > MAX_PATH:
            return path[:MAX_PATH] + "…"
    return path


def _key(quoted: bytes) -> str:
    """Return a key in displayable form: characters that no text may have become question marks."""
    try:
        key = json.loads(quoted.decode(errors="replace"))
    except ValueError:
        key = quoted.decode(errors="replace").strip('"')
    key = str(key)[:_MAX_KEY] + ("…" if len(key) > _MAX_KEY else "")
    return key.encode(errors="replace").decode().replace("\x00", "?")
