"""Options that say whose data a command is about."""

from typing import Annotated

import typer

from schemas.ids import is_project


def _project(text: str) -> str:
    if not is_project(text):
        raise typer.BadParameter("must match [a-z0-9][a-z0-9-]{0,62}")
    return text


def _user(text: str) -> str:
    if not 1 <= len(text) <= 256:
        raise typer.BadParameter("must have 1 to 256 characters")
    return text


Project = Annotated[str, typer.Option("--project", callback=_project, help="The project.")]
User = Annotated[
    str, typer.Option("--user", callback=_user, help="The member, by its external id.")
]
