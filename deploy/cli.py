"""The command `milestream`: the root, and a table of sub-commands imported only when asked for.

Exit codes: 0 done, 1 failed, 2 wrong usage. A named file that is not there or cannot be opened is
wrong usage, what is wrong inside of one a failure. An expected failure (`CommandError`,
`SettingsError`) is one line on stderr; anything else is a bug and keeps its traceback.
"""

import logging
import os
import sys
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from deploy.errors import CommandError
from deploy.examples import add_examples
from deploy.imports import kept_for_life
from deploy.kafka_words import listen


@dataclass(frozen=True)
class SubCommand:
    """One line of the help.

    The module `deploy.commands.<module>` has either `app`, a `typer.Typer` with commands of its
    own, or `command`, a function with Typer's annotations.
    """

    help: str
    module: str
    hidden: bool = False


SUB_COMMANDS = {
    "up": SubCommand("Start the whole stack here: broker, database, worker, API.", "up"),
    "worker": SubCommand("Run a worker: fold input records into state and events.", "worker"),
    "projector": SubCommand("Run a projector: write events into the read models.", "projector"),
    "api": SubCommand("Run the HTTP API.", "api"),
    "topics": SubCommand("Create the topics and list them.", "topics"),
    "migrate": SubCommand("Bring the database up to date.", "migrate"),
    "apply": SubCommand("Publish definitions from YAML or JSON files.", "apply"),
    "keys": SubCommand("Make, list, rotate and revoke API keys and tokens' keys.", "keys"),
    "analysts": SubCommand("Make database logins that see one project.", "analysts"),
    "import": SubCommand("Read NDJSON or CSV into a topic.", "import_"),
    "dead-letters": SubCommand("List refused records, or send them again.", "dead_letters"),
    "rebuild": SubCommand("Rebuild read models from the topics.", "rebuild"),
    "recalculate": SubCommand("Give what other definitions would have given.", "recalculate"),
    "simulate": SubCommand("Say what other definitions would have given.", "simulate"),
    "export": SubCommand("Write a project's tables as Parquet files.", "export"),
    "export-member": SubCommand("Print all that is held of a member.", "export_member"),
    "forget-member": SubCommand("Forget who a member is.", "forget_member"),
    "verify": SubCommand("Check that a replay gives what was written.", "verify"),
    "doctor": SubCommand("Look whether all is well, and say what to do.", "doctor"),
    "demo-traffic": SubCommand("Keep demo data flowing.", "demo_traffic", hidden=True),
}


class LazyGroup(TyperGroup):
    """A group whose commands are placeholders (name and help) until one is run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, sub in SUB_COMMANDS.items():
            self.commands[name] = TyperCommand(name=name, help=sub.help, hidden=sub.hidden)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command as any group does, then put the real one in its place."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        if name in SUB_COMMANDS:
            return name, load(name), rest
        return name, placeholder, rest


def load(name: str) -> Any:
    """Import a sub-command and return its click command."""
    sub = SUB_COMMANDS[name]
    with kept_for_life():
        module = import_module(f"deploy.commands.{sub.module}")
    group: typer.Typer | None = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False)
        group.command(name=name)(module.command)
    command = get_command(group)
    command.name = name
    add_examples(name, command)
    return command


app = typer.Typer(
    name="milestream",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Challenges, milestones, points and rewards, folded from what people do.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"milestream {metadata.version('milestream')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Challenges, milestones, points and rewards, folded from what people do."""


def main() -> None:
    """The console script."""
    listen()
    as_json = os.environ.get("MILESTREAM_LOG_FORMAT", "").lower() == "json"
    if as_json:
        from schemas.process_logging import log_json

        log_json("WARNING")
    try:
        app()
    except Exception as error:
        from schemas.settings import SettingsError  # here, so that --help does not import pydantic

        if not isinstance(error, CommandError | SettingsError):
            raise
        if as_json:
            logging.getLogger("milestream").critical("%s", error)
        else:
            print(f"milestream: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
