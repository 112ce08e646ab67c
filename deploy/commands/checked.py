"""Values of options that several commands have, checked while the command line is read."""

import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

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


STDIN = Path("-")


def files(paths: Sequence[Path] | None) -> Sequence[Path] | None:
    """Return paths of files that can be read, `-` being stdin; None where none are given."""
    for path in paths or ():
        if path != STDIN:
            require_file(path)
    return paths


def require_file(path: Path, hint: str | None = None) -> None:
    """Check that a path is one of a file, or a pipe, that can be read.

    Raises:
        BadParameter: it is not.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise typer.BadParameter(f"there is no file {path}", param_hint=hint) from None
    except (OSError, ValueError) as error:  # a name that none can have; a directory that is closed
        fault = error.strerror if isinstance(error, OSError) else error
        raise typer.BadParameter(f"{path} cannot be opened: {fault}", param_hint=hint) from None
    if stat.S_ISDIR(mode):
        raise typer.BadParameter(f"{path} is a directory", param_hint=hint)
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{path} is not readable", param_hint=hint)
