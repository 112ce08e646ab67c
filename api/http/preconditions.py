"""ETags of records, and `If-Match` on writes."""

import msgspec
from fastapi import Request

from api.http.problems import Problem


class _Version(msgspec.Struct):
    """The part of a record's JSON that its ETag is made of."""

    version: int


def etag(version: int) -> str:
    """Return the ETag of a record's version."""
    return f'"{version}"'


def etag_of(record: bytes) -> str:
    """Return the ETag of a record in the processor's reply."""
    return etag(msgspec.json.decode(record, type=_Version).version)


def expected_version(request: Request, current: int) -> int | None:
    """Return the version that a write requires, None for any.

    `current` is the version as far as is known; it decides among several ETags. The processor
    compares again when it writes.

    Raises:
        Problem: 412, none of the ETags is the record's.
    """
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    # A weak tag (`W/"…"`) never matches, as RFC 9110 has it.
    if etag(current) in (part.strip() for part in text.split(",")):
        return current
    raise changed()


def changed() -> Problem:
    """Return the 412 of a record that has changed since it was read."""
    return Problem(412, "The record has changed since.", code="version_mismatch")
