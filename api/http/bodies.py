"""Bodies of requests: JSON into structs; an error names the field at fault where there is one.

msgspec decodes. Where it refuses a body it names the byte, from which the field is found. Every
check of a body is linear in its bytes, in time and memory.
"""

import re
from codecs import BOM_UTF8
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from api.http.json_places import path_at
from api.http.problems import Problem, clipped, invalid
from schemas import instants
from schemas.definitions import decode_numbers
from schemas.json_limits import nests_too_deep
from schemas.wire_values import cut_fractions, without_nulls

T = TypeVar("T")

_TYPES = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
"""Callers' words for msgspec's types."""
_EXPECTED = re.compile(r"Expected `([^`]*)`(?:, got `[^`]*`)?")
_TOO_LONG = re.compile(r"Expected `str` of length <= (\d+)")

_UNKNOWN, _MISSING = "Object contains unknown field `", "Object missing required field `"
_BYTE = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")
_NO_NUMBERS = (b"NaN", b"Infinity")

_HEX = rb"[0-9A-Fa-f]"
_HIGH = rb"\\u[dD][89abAB]" + _HEX + _HEX
_LOW = rb"\\u[dD][c-fC-F]" + _HEX + _HEX
_NUL_OR_LONE = re.compile(rb"\\u0000|" + _HIGH + rb"(?!" + _LOW + rb")|(?<!" + _HIGH + rb")" + _LOW)
"""An escape that texts must not contain; the pattern assumes that every backslash begins an
escape."""


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
    raw = checked(raw)
    if b'"project"' in raw:
        raw = _without_project(raw, project)
    raw = cut_fractions(raw)
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        lenient = without_nulls(raw)
        if lenient != raw:
            return convert(lenient, type_, project)
        raise invalid_from(error) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed(raw, error) from None


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A body that has no fields."""


async def read_nothing(request: Request, project: str) -> None:
    """Refuse fields where a call has none; an empty body is as good as `{}`.

    Raises:
        Problem: 400 naming the field, or 413.
    """
    raw = await request.body()
    if raw.strip():
        convert(raw, _Nothing, project)


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
    raw = checked(raw)
    try:
        value = decode_numbers(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed(raw, error) from None
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    return value


def invalid_from(error: msgspec.ValidationError, prefix: str = "") -> Problem:
    """Return the 400 of one of msgspec's errors, with the field's name on the wire."""
    message, _, path = str(error).rpartition(" - at `")
    quotes_field = message.startswith((_MISSING, _UNKNOWN))
    if not path.startswith(("$", "key in $")) or (quotes_field and not message.endswith("`")):
        message, path = str(error), ""  # without a path, or the path is the caller's text
    path = path.removeprefix("key in ").removeprefix("$").removesuffix("`").lstrip(".")
    for beginning, said in ((_MISSING, "is required"), (_UNKNOWN, "is not a known field")):
        if message.startswith(beginning):
            name = clipped(message.removeprefix(beginning).removesuffix("`"))
            path = f"{path}.{name}" if path else name
            message = said
            break
    else:
        message = _said(message)
    field = ".".join(part for part in (prefix, path) if part)
    if not field:
        return Problem(400, f"The body {message}.")
    return invalid(field, message)


def _said(message: str) -> str:
    """Return msgspec's message in a form that follows a field's name."""
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


def checked(raw: bytes) -> bytes:
    """Return a JSON text without its byte order mark, where it may be taken; see `check_text`."""
    raw = raw.removeprefix(BOM_UTF8)
    check_text(raw)
    return raw


def check_text(raw: bytes) -> None:
    """Refuse U+0000 and lone surrogates anywhere in a JSON text, what is not UTF-8, and what nests
    deeper than any record may.

    Raises:
        Problem: 400 naming the field.
    """
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8 (byte {error.start}).") from None
    if nests_too_deep(raw):
        raise _too_deep()
    if b"\\u" not in raw:
        return  # Raw U+0000 is no JSON and a raw surrogate no UTF-8: only escapes remain.
    found = _NUL_OR_LONE.search(raw.replace(b"\\\\", b"__"))
    if found is not None:
        what = "U+0000" if found[0] == b"\\u0000" else "a lone surrogate"
        raise invalid(path_at(raw, found.start()), f"must not contain {what}")


def _without_project(raw: bytes, project: str) -> bytes:
    """Remove a top-level `project` that only repeats the caller's."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return raw  # The decoder reports what is wrong.
    given = fields.pop("project", None)
    if given is None:
        return raw
    if bytes(given) == b"null":
        return msgspec.json.encode(fields)
    if bytes(given) != msgspec.json.encode(project):
        raise invalid("project", "must be the project of the credentials, or left out")
    return msgspec.json.encode(fields)


def malformed(raw: bytes, error: Exception) -> Problem:
    """Return the 400 of a text that is no JSON; it names a field or a line if possible."""
    if isinstance(error, RecursionError):
        return _too_deep()
    if isinstance(error, msgspec.ValidationError):  # JSON with a number out of bounds
        message = str(error).partition(" - at ")[0].lower()
        return Problem(400, f"The body cannot be taken: {message}.", code="malformed")
    found = _BYTE.search(str(error))
    said, position = (found[1], int(found[2])) if found else ("it ends too soon", len(raw))
    for name in _NO_NUMBERS:
        if raw.startswith(name, position):
            sign = b"-" if raw[:position].endswith(b"-") else b""
            message = f"{(sign + name).decode()} is no JSON number"
            return invalid(path_at(raw, position), message)
    before = raw[:position]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="ignore")) + 1
    where = f"line {line}, column {column}: {said}"
    return Problem(400, f"The body is not JSON ({where}).", code="malformed")


def _too_deep() -> Problem:
    return Problem(400, "The body is nested too deep.", code="malformed")
