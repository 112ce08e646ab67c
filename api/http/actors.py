"""`x-actor`: who writes a definition, as the caller says."""

from typing import Any

from fastapi import Request

from api.http.problems import invalid
from schemas.definition_records import ACTOR, MAX_ACTOR, is_actor

PARAMETER: dict[str, Any] = {
    "name": ACTOR,
    "in": "header",
    "description": "Who writes it, for `definition_history`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ACTOR},
}
"""What `/openapi.json` says of it."""


def named(request: Request) -> str | None:
    """Return whom a request names, None where it names nobody.

    Raises:
        Problem: 400, it names several, or what is no name.
    """
    given = request.headers.getlist(ACTOR)
    if not given:
        return None
    actor = _utf8(given[0])
    if len(given) > 1 or not is_actor(actor):
        raise invalid(ACTOR, f"must be once, with 1 to {MAX_ACTOR} printable characters")
    return actor


def _utf8(header: str) -> str:
    """Return a header's text, which arrives as Latin-1, as the UTF-8 that it is."""
    raw = header.strip().encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
