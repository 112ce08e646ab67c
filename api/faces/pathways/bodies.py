"""The body of a request: a pathway, and filters of its activities and members."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.faces.pathways.relaxed_json import as_json
from api.http.problems import Problem, clipped, invalid

MAX_LENGTH = 513
"""Characters of a name: a first and a last one of 256 each, and the blank between them."""
MAX_FILTERED = 64 * 1024
"""Characters of all filters together. Names are normalised before they are compared, at a cost of
the square of their length, so both limits are needed."""
MAX_RELAXED_BYTES = 64 * 1024
"""Bytes of a body in relaxed JSON: people type no more."""

FILTERS = ("activities", "types", "groups", "users", "user")
_KNOWN = ("pathway", *FILTERS)

Names = tuple[str, ...]


@dataclass(frozen=True)
class LogsQuery:
    """A parsed request. An empty filter passes everything; `users` includes those of `user`."""

    pathway: str
    activities: Names = ()
    types: Names = ()
    groups: Names = ()
    users: Names = ()


def parse(raw: bytes, project: str) -> LogsQuery:
    """Return the request in a body. It may repeat the caller's project.

    Raises:
        Problem: 400, the field named where it is one field's fault.
    """
    fields = _fields(raw)
    if fields.pop("project", None) not in (None, project):
        raise invalid("project", "must be the project of the credentials, or left out")
    for name in fields:
        if name not in _KNOWN:
            # A misspelt filter must not return everything.
            raise invalid(clipped(name), "is not a known field")
    pathway = _one(fields)
    found = {name: _names(name, fields[name]) for name in FILTERS if name in fields}
    if sum(len(text) for names in found.values() for text in names) > MAX_FILTERED:
        raise Problem(400, f"All filters together may have at most {MAX_FILTERED} characters.")
    users = found.pop("users", ()) + found.pop("user", ())
    return LogsQuery(pathway, users=users, **found)


def _one(fields: dict[str, Any]) -> str:
    if "pathway" not in fields:
        raise invalid("pathway", "is required: the ID or name of a pathway")
    pathway = fields["pathway"]
    if not isinstance(pathway, str):
        raise invalid("pathway", "must be one string: an answer has one pathway")
    _check("pathway", pathway)
    if not pathway.strip():
        raise invalid("pathway", "must not be empty")
    return pathway


def _names(field: str, value: Any) -> Names:
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise invalid(field, "must be a string or a list of strings")
    for place, name in enumerate(listed):
        if not isinstance(name, str):
            raise invalid(f"{field}[{place}]", "must be a string")
        _check(field, name)
    return tuple(listed)


def _check(field: str, text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise invalid(field, f"must have at most {MAX_LENGTH} characters")
    if "\x00" in text:
        raise invalid(field, "must not contain U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(field, "must not contain a lone surrogate") from None


def _fields(raw: bytes) -> dict[str, Any]:
    raw = raw.removeprefix(BOM_UTF8)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8 (byte {error.start}).") from None
    try:
        value = _read(text)
    except ValueError as error:
        try:
            if len(raw) > MAX_RELAXED_BYTES:
                raise
            value = _read(as_json(text))
        except ValueError:
            raise Problem(400, f"The body is not JSON ({error}).", code="malformed") from None
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    return value


def _read(text: str) -> Any:
    """Return what a JSON text holds. No number is asked for: they need not be exact.

    Raises:
        ValueError: it is no JSON.
        Problem: 400, a field is there twice, or it nests too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_once_each, parse_int=float)
    except RecursionError:
        raise Problem(400, "The body is nested too deep.", code="malformed") from None


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise invalid(clipped(twice), "must be given once")
    return fields
