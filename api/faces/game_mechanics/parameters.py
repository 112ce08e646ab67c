"""Parameters of a call: from the query or a form, each once."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request

from api.faces.game_mechanics.errors import BAD_VALUE, CallError, bad, missing

MAX_PARAMETERS = 200
MAX_TEXT = 256
_FORM = "application/x-www-form-urlencoded"
_UNREAD = "surrogateescape"
"""The error handler for bytes that are no UTF-8: its output can be told from any UTF-8."""

Pairs = list[tuple[str, str]]
Read = tuple[Pairs, CallError | None]
"""The parameters that could be read, and why some could not."""


@dataclass(frozen=True)
class Parameters:
    """The parameters by name; one without a value counts as absent.

    Attributes:
        values: every parameter as it came, the empty ones included: signatures cover them.
    """

    values: Mapping[str, str]

    def text(self, name: str, most: int = MAX_TEXT) -> str | None:
        """Return a parameter's text, None where it is not given.

        Raises:
            CallError: it is too long.
        """
        value = self.values.get(name) or None
        if value is not None and len(value) > most:
            raise bad(name, f"must have at most {most} characters")
        return value

    def required(self, name: str, most: int = MAX_TEXT) -> str:
        """Return the text of a parameter that must be there.

        Raises:
            CallError: it is not, or is too long.
        """
        value = self.text(name, most)
        if value is None:
            raise missing(name)
        return value

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Return a parameter's number, None where it is not given.

        Raises:
            CallError: it is no whole number, or outside of its bounds.
        """
        value = self.values.get(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise bad(name, "must be a whole number")
        if not least <= int(value) <= most:
            raise bad(name, f"must be from {least} to {most}")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return whether a parameter says true; SDKs write it as their languages do.

        Raises:
            CallError: it says neither true nor false.
        """
        value = (self.values.get(name) or str(default)).lower()
        if value not in ("true", "false"):
            raise bad(name, "must be true or false")
        return value == "true"

    def choice(self, name: str, default: str, *others: str) -> str:
        """Return which of its possible values a parameter has.

        Raises:
            CallError: it has another.
        """
        value = self.values.get(name) or default
        if value not in (default, *others):
            raise bad(name, f"must be {' or '.join((default, *others))}")
        return value


async def read(request: Request) -> tuple[Parameters, CallError | None]:
    """Return a call's parameters, and what is wrong with them as a whole.

    With an error, the parameters are those that could be read: enough to respond as the caller
    requested.
    """
    query, unread = _pairs(request.scope["query_string"])
    form, unread_form = await _form(request) if request.method == "POST" else ([], None)
    return _once(query + form), unread or unread_form or _fault(query, form)


def of_query(raw: bytes) -> Parameters:
    """Return the readable parameters of a query."""
    return _once(_pairs(raw)[0])


def _once(pairs: Pairs) -> Parameters:
    times = Counter(name for name, _ in pairs)
    return Parameters({name: value for name, value in pairs if times[name] == 1})


def _fault(query: Pairs, form: Pairs) -> CallError | None:
    if query and form:
        details = "parameters must all be in the query, or all in the form"
        return CallError(BAD_VALUE, details)
    seen: set[str] = set()
    for name, value in query or form:
        if name in seen:
            return bad(name[:MAX_TEXT], "must be given once")
        if "\x00" in name + value:
            return bad(name[:MAX_TEXT].replace("\x00", "?"), "must not contain U+0000")
        seen.add(name)
    return None


async def _form(request: Request) -> Read:
    body = await request.body()
    media_type = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if body and media_type != _FORM:
        return [], CallError(BAD_VALUE, f"the body must be a form: {_FORM}")
    return _pairs(body)


def _pairs(raw: bytes) -> Read:
    parts = raw.split(b"&", MAX_PARAMETERS)
    pairs = parse_qsl(
        b"&".join(parts[:MAX_PARAMETERS]).decode(errors=_UNREAD),
        keep_blank_values=True,
        errors=_UNREAD,
    )
    read = [pair for pair in pairs if _is_utf8("".join(pair))]
    if len(parts) > MAX_PARAMETERS:
        return read, CallError(BAD_VALUE, f"at most {MAX_PARAMETERS} parameters are taken")
    if len(read) < len(pairs):
        return read, CallError(BAD_VALUE, "parameters must be UTF-8")
    return read, None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
