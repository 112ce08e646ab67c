"""`milestream topics`: make the topics of the catalogue, and show them."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy import topics_create
from deploy.output import print_json
from deploy.topics_create import TopicState
from schemas.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create the topics, list them.")


@app.command()
def create() -> None:
    """Make every topic that is missing; set the configuration of the others as it should be."""
    settings = Settings.from_env()
    topics_create.create_topics(settings)
    typer.echo(f"{len(topics_create.catalogue(settings))} topics are as they should be")


@app.command("list")
def list_topics(
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")] = False,
) -> None:
    """Show every topic of the catalogue, and how it stands on the broker."""
    states = asyncio.run(topics_create.topic_states(Settings.from_env()))
    if as_json:
        for state in states:
            print_json(_fields(state))
        return
    table = Table("topic", "partitions", "purpose", box=None, pad_edge=False)
    for state in states:
        table.add_row(state.name, _count(state), state.topic.purpose)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _fields(state: TopicState) -> dict[str, object]:
    return {
        "topic": state.name,
        "partitions": state.partitions,
        "wanted": state.wanted,
        "purpose": state.topic.purpose,
    }


def _count(state: TopicState) -> str:
    if state.partitions is None:
        return "missing"
    if state.partitions != state.wanted:
        return f"{state.partitions}, not {state.wanted}"
    return str(state.partitions)
