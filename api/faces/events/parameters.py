"""Parameters of queries that are free text, and whole numbers."""

from fastapi import Request

from api.http.problems import invalid

MAX_LENGTH = 256
"""No id of this face is longer."""


def text(request: Request, name: str) -> str | None:
    """Return a parameter's text, None where it is not given.

    Raises:
        Problem: 400, it cannot be anything's id.
    """
    value = request.query_params.get(name)
    if value is None:
        return None
    if not value:
        raise invalid(name, "must not be empty")
    if len(value) > MAX_LENGTH:
        raise invalid(name, f"must have at most {MAX_LENGTH} characters")
    if "\x00" in value:
        raise invalid(name, "must not contain U+0000")
    return value


def whole(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """Return a parameter's number.

    Raises:
        Problem: 400, it is none, or outside of its bounds.
    """
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise invalid(name, "must be a whole number")
    if not least <= int(value) <= most:
        raise invalid(name, f"must be from {least} to {most}")
    return int(value)


def flag(request: Request, name: str, default: bool | None) -> bool | None:
    """Return whether a parameter says true or false.

    Raises:
        Problem: 400, it says something else.
    """
    value = request.query_params.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise invalid(name, "must be true or false")
    return value == "true"
