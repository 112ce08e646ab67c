"""Bodies of requests: JSON into structs, with the field at fault named wherever there is one.

msgspec decodes the good case. What it refuses is looked at again by a slow and lenient parser, only
to say where in the document the trouble lies.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from api.problems import Problem, invalid
from schemas import instants
from schemas.definitions import decode_numbers

T = TypeVar("T")

_TYPES = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
"""What msgspec's types are to a caller."""
_EXPECTED = re.compile(r"Expected `([^`]*)`(?:, got `[^`]*`)?")
_TOO_LONG = re.compile(r"Expected `str` of length <= (\d+)")

_AT = re.compile(r"(?P<message>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_NAMES_ITS_FIELD = re.compile(r"Object (?P<what>missing required|contains unknown) field `(.*)`")


async def read(request: Request, type_: type[T], project: str) -> T:
    """Return the request's body as `type_`; a field `project` may be there if it is the caller's.

    Raises:
        Problem: 400 naming the field, or 413.
    """
    return convert(await request.body(), type_, project)


def convert(raw: bytes, type_: type[T], project: str) -> T:
    """Return the JSON `raw` as `type_`; see `read`.

    Raises:
        Problem: 400 naming the field.
    """
    check_text(raw)
    if b'"project"' in raw:
        raw = _without_project(raw, project)
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        raise invalid_from(error) from None
    except (msgspec.DecodeError, RecursionError):
        raise _malformed(raw) from None


async def read_object(request: Request) -> dict[str, Any]:
    """Return the request's body as a JSON object with exact numbers.

    Raises:
        Problem: 400, or 413.
    """
    return object_of(await request.body())


def object_of(raw: bytes) -> dict[str, Any]:
    """Return the JSON object `raw` with exact numbers.

    Raises:
        Problem: 400.
    """
    check_text(raw)
    try:
        value = decode_numbers(raw)
    except (msgspec.DecodeError, RecursionError):
        raise _malformed(raw) from None
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    return value


def invalid_from(error: msgspec.ValidationError, prefix: str = "") -> Problem:
    """Return the 400 that one of msgspec's errors makes, the field by its name on the wire."""
    match = _AT.fullmatch(str(error))
    assert match is not None
    path, message = (match["path"] or "").lstrip("."), match["message"]
    named = _NAMES_ITS_FIELD.fullmatch(message)
    if named:
        path = f"{path}.{named[2]}" if path else named[2]
        message = "is required" if named["what"].startswith("missing") else "is not a known field"
    else:
        message = _said(message)
    field = ".".join(part for part in (prefix, path) if part)
    if not field:
        return Problem(400, f"The body {message}.")
    return invalid(field, message)


def _said(message: str) -> str:
    """Return msgspec's words so that they go on after a field's name."""
    if "datetime" in message:
        return instants.RULE
    if message == "Expected `str` of length >= 1":
        return "must not be empty"
    if message.startswith("Invalid enum value"):
        return "must be one of the values that it can have"
    if length := _TOO_LONG.fullmatch(message):
        return f"must have at most {length[1]} characters"
    if expected := _EXPECTED.fullmatch(message):
        types = expected[1].split(" | ")
        return f"must be {' or '.join(_TYPES.get(name, name) for name in types)}"
    return message.replace("Expected", "must be", 1).replace("`", "")


def check_text(raw: bytes) -> None:
    """Refuse U+0000 and lone surrogates anywhere in a JSON text, and what is not UTF-8.

    Raises:
        Problem: 400 naming the field.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8 (byte {error.start}).") from None
    if "\\u" not in text:
        return  # A raw U+0000 is no JSON, and a raw surrogate no UTF-8: only escapes can hide one.
    lowered = text.lower()
    if "\\u0000" not in lowered and "\\ud" not in lowered:
        return
    for path, value in _walk(_leniently(text)):
        if isinstance(value, str):
            if "\x00" in value:
                raise invalid(path, "must not contain U+0000")
            if _has_surrogate(value):
                raise invalid(path, "must not contain a lone surrogate")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_project(raw: bytes, project: str) -> bytes:
    """Take out a top-level `project` that only repeats whose credentials these are."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return raw  # The decoder proper says what is wrong.
    given = fields.pop("project", None)
    if given is None:
        return raw
    if bytes(given) != msgspec.json.encode(project):
        raise invalid("project", "must be the project of the credentials, or left out")
    return msgspec.json.encode(fields)


class _NotJson:
    """What NaN and the infinities become in the lenient parser: they are no JSON."""

    def __init__(self, name: str) -> None:
        self.name = name


def _leniently(text: str) -> Any:
    """Return what a text holds, None where it cannot be read.

    Raises:
        Problem: 400, it nests deeper than can be looked at, though the decoder may go as deep.
    """
    try:
        return json.loads(text, parse_constant=_NotJson, parse_int=str, parse_float=str)
    except ValueError:
        return None
    except RecursionError:
        raise Problem(400, "The body is nested too deep.", code="malformed") from None


def _malformed(raw: bytes) -> Problem:
    """Return the 400 of a text that is no JSON, naming a field or a line where that is possible."""
    text = raw.decode()
    for path, value in _walk(_leniently(text)):
        if isinstance(value, _NotJson):
            return invalid(path, f"{value.name} is no JSON number")
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        return Problem(400, f"The body is not JSON ({where}).", code="malformed")
    return Problem(400, "The body is not JSON.", code="malformed")


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and every value below `value`, each with its path."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, item = pending.pop()
        yield path, item
        if isinstance(item, dict):
            for key, child in item.items():
                inner = f"{path}.{key}" if path else key
                yield inner.encode(errors="replace").decode().replace("\x00", "?"), key
                pending.append((inner.encode(errors="replace").decode(), child))
        elif isinstance(item, list):
            pending.extend((f"{path}[{i}]", child) for i, child in enumerate(item))
