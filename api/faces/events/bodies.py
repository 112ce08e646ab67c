"""The body of `POST /event`, and the idempotency key that may come beside it."""

import re
import uuid
from datetime import datetime

import msgspec
from fastapi import Request
from msgspec import Raw

from api.http import bodies
from api.http.problems import invalid
from schemas.instants import InstantError, utc
from schemas.records import ABSENT, Identifier, Instant, Text

KEY_HEADER = "Idempotency-Key"

_PRINTABLE = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")
"""What an HTTP field can carry as it is."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\]){0,1024}"')
_ESCAPED = re.compile(r"\\(.)")


class EventBody(
    msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """An event as it is posted; `metadata` is kept as the caller's own JSON text."""

    event_id: Text
    user_id: Text
    metadata: Raw = ABSENT
    occurred_at: Instant | None = None
    idempotency_key: Identifier | None = None


class AssignTierBody(
    msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """A tier to be assigned; null as `tierId` ends an assignment."""

    tier_set_id: Text
    tier_id: Text | None
    reason: Text
    unique_identifier: Identifier
    until: Instant | None = None


async def read(request: Request, project: str) -> EventBody:
    """Return the request's event, with the key that makes a repetition known.

    A key that nobody gave is made here, so that the answer can name it and a repeat is safe.

    Raises:
        Problem: 400 naming the field, or 413.
    """
    body = await bodies.read(request, EventBody, project)
    body.metadata = _metadata(body.metadata)
    if body.occurred_at is not None:
        body.occurred_at = _instant(body.occurred_at)
    body.idempotency_key = _agreed_key(
        body.idempotency_key, request.headers.getlist(KEY_HEADER)
    ) or str(uuid.uuid4())
    return body


def key_headers(key: str | None) -> dict[str, str]:
    """Return the answer's header with the key, none where a header cannot carry it."""
    return {KEY_HEADER: key} if key and _PRINTABLE.fullmatch(key) else {}


def _metadata(raw: Raw) -> Raw:
    text = bytes(raw)
    if text in (b"", b"null"):
        return ABSENT
    if not text.startswith(b"{"):
        raise invalid("metadata", "must be a JSON object")
    return raw


def _instant(moment: datetime) -> datetime:
    try:
        return utc(moment)
    except InstantError as error:
        raise invalid("occurredAt", str(error)) from error


def _unquoted(header: str) -> str:
    """Return the key that a header names: as it is, or as a string in quotes (RFC 8941)."""
    return _ESCAPED.sub(r"\1", header[1:-1]) if _QUOTED.fullmatch(header) else header


def _agreed_key(field: str | None, headers: list[str]) -> str | None:
    """Return the one key that was given.

    Raises:
        Problem: 400, a header cannot be a key, or two keys differ.
    """
    keys = {_unquoted(header) for header in headers}
    if not all(_PRINTABLE.fullmatch(key) for key in keys):
        raise invalid(KEY_HEADER, "must be 1 to 512 printable ASCII characters as a header")
    given = {*keys, *([] if field is None else [field])}
    if len(given) > 1:
        raise invalid("idempotencyKey", f"must equal the {KEY_HEADER} header where both are given")
    return given.pop() if given else None
