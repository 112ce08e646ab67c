"""Values of options that several commands have, checked while the command line is read."""

from datetime import datetime

import typer

from schemas.ids import is_project
from schemas.instants import InstantError, parse_instant


def project(text: str | None) -> str | None:
    """Return a project's name, or None where none is given."""
    if text is not None and not is_project(text):
        raise typer.BadParameter("must match [a-z0-9][a-z0-9-]{0,62}")
    return text


def user(text: str) -> str:
    """Return a member's external id."""
    if not 1 <= len(text) <= 256:
        raise typer.BadParameter("must have 1 to 256 characters")
    return text


def moment(text: str) -> datetime:
    """Return a time."""
    try:
        return parse_instant(text)
    except InstantError as error:
        raise typer.BadParameter(str(error)) from None
