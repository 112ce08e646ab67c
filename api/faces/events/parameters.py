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
    given = request.query_params.get(name)
    if given is None:
        return None
    if not given:
        raise invalid(name, "must not be empty")
    if len(given) > MAX_LENGTH:
        raise invalid(name, f"must have at most {MAX_LENGTH} characters")
    if "\x00" in given:
        raise invalid(name, "must not contain U+0000")
    return given


def whole(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """Return a parameter's number.

    Raises:
        Problem: 400, it is none, or outside of its bounds.
    """
    given = request.query_params.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise invalid(name, "must be a whole number")
    if not least <= int(given) <= most:
        raise invalid(name, f"must be from {least} to {most}")
    return int(given)


def flag(request: Request, name: str, default: bool | None) -> bool | None:
    """Return whether a parameter says true or false.

    Raises:
        Problem: 400, it says something else.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    if given not in ("true", "false"):
        raise invalid(name, "must be true or false")
    return given == "true"
