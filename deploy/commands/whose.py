"""Options that say whose data a command is about."""

from typing import Annotated

import typer

from deploy.commands import checked

Project = Annotated[str, typer.Option("--project", callback=checked.project, help="The project.")]
User = Annotated[
    str, typer.Option("--user", callback=checked.user, help="The member, by its external id.")
]
