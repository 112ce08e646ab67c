"""`milestream apply`: publish definitions from files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from deploy import apply
from deploy.commands import checked
from deploy.output import print_json
from schemas.definition_records import MAX_ACTOR, is_actor
from schemas.settings import Settings


def command(
    files: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            callback=checked.files,
            help="YAML or JSON, one or many documents; - is stdin. May be given again.",
        ),
    ],
    actor: Annotated[
        str | None,
        typer.Option("--actor", help="Who applies them, for definition_history."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each document.")
    ] = False,
) -> None:
    """Check all documents, then publish what is new or changed, all or nothing."""
    if actor is not None and not is_actor(actor):
        wrong = f"must have 1 to {MAX_ACTOR} printable characters"
        raise typer.BadParameter(wrong, param_hint="--actor")
    documents = apply.read(files)
    for outcome in asyncio.run(apply.publish(Settings.from_env(), documents, actor)):
        if as_json:
            print_json({"what": outcome.what, "key": outcome.key})
        else:
            typer.echo(f"{outcome.what} {outcome.key}")
