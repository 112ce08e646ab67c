"""JSON as people write it on a command line, made into JSON.

Understood beside JSON, as in JSON5: keys without quotes, single quotes, comments and commas at an
end; and the dots that documentation ends a list with (`["Stories",...etc]`), which say nothing.
Numbers stay as they are.
"""

import io
import re

_TOKEN = re.compile(
    r"""
    (?P<string> "(?:[^"\\]+|\\.)*"? | '(?:[^'\\]+|\\.)*'? )
    | (?P<nothing> [\s\ufeff]+ | //[^\n\r]* | /\*(?:.*?\*/|.*) | \.{2,3}(?:etc)?(?=\s*\]) )
    | (?P<mark> [][{}:,] )
    | (?P<word> [\w$.+-]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
"""Always matches, and never goes back: what does not end takes the rest, and is no JSON then."""

_IN_STRING = re.compile(r'\\x([0-9A-Fa-f]{2})|\\(\r\n|.)|(")', re.DOTALL)
_JSON_ESCAPES = {escaped: f"\\{escaped}" for escaped in '"\\/bfnrtu'}


def as_json(text: str) -> str:
    """Return a text as JSON; what is not understood stays as it is, and is no JSON either."""
    written = io.StringIO()
    held: tuple[str, str] | None = None  # a token depends on the next one
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "word"
        if kind == "nothing":
            continue
        if held is not None:
            written.write(_written(*held, match[0]))
        held = kind, match[0]
    if held is not None:
        written.write(_written(*held, ""))
    return written.getvalue()


def _written(kind: str, piece: str, after: str) -> str:
    if kind == "string":
        return _string(piece) + " "
    if kind == "word" and after == ":":
        return f'"{piece}" '
    if piece == "," and after in ("]", "}"):
        return ""
    return piece + " "


def _string(text: str) -> str:
    if len(text) < 2 or text[-1] != text[0]:
        return text
    return f'"{_IN_STRING.sub(_escape, text[1:-1])}"'


def _escape(match: re.Match[str]) -> str:
    """Write one escape of JSON5, or a quote that JSON needs one for."""
    hexadecimal, escaped, quote = match.groups()
    if hexadecimal:
        return f"\\u00{hexadecimal}"
    if quote:
        return _JSON_ESCAPES['"']
    if escaped in ("\n", "\r", "\r\n", "\u2028", "\u2029"):
        return ""  # a line continuation
    if escaped in ("0", "v"):
        return "\\u0000" if escaped == "0" else "\\u000b"
    return _JSON_ESCAPES.get(escaped, escaped)
