"""`?asOf=`: reads of what was so at an earlier moment."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from api.http.problems import invalid
from schemas.instants import InstantError, parse_instant

NAME = "asOf"

PARAMETER: dict[str, Any] = {
    "name": NAME,
    "in": "query",
    "description": "What was so at that moment, which is not in the future.",
    "schema": {"type": "string", "format": "date-time"},
}
"""What `/openapi.json` says of it."""


def as_of(request: Request) -> datetime | None:
    """Return the moment that a request asks about, None where it asks about now.

    Raises:
        Problem: 400, it is no time, has no offset, or is yet to come.
    """
    text = request.query_params.get(NAME)
    if text is None:
        return None
    try:
        moment = parse_instant(text)
    except InstantError as error:
        raise invalid(NAME, str(error)) from error
    if moment > datetime.now(UTC):
        raise invalid(NAME, "must not be in the future")
    return moment
