"""`milestream apply`: publish definitions from files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from deploy import apply
from schemas.settings import Settings


def command(
    files: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            help="YAML or JSON, one or many documents; - is stdin. May be given again.",
        ),
    ],
) -> None:
    """Check all documents, then publish what is new or changed, all or nothing."""
    documents = apply.read(files)
    for outcome in asyncio.run(apply.publish(Settings.from_env(), documents)):
        typer.echo(f"{outcome.what} {outcome.key}")
