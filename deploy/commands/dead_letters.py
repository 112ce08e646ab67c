"""`milestream dead-letters`: list what was refused, and send it back once its cause is mended."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from api.dead_letters.reading import Listing
from api.dead_letters.redriven import Filter, Found, Redriven
from api.dead_letters.redriving import RedriveOutcome
from deploy import dead_letters
from deploy.commands import checked
from deploy.errors import CommandError
from deploy.output import print_json
from deploy.progress import bar
from schemas.dead_letter import Reason
from schemas.instants import format_instant, from_millis
from schemas.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List refused records, or send them again."
)

_IN_A_TABLE = 50
ReasonOption = Annotated[Reason | None, typer.Option(help="Only those refused for this reason.")]
ProjectOption = Annotated[
    str | None, typer.Option(callback=checked.project, help="Only those of this project.")
]


@app.command("list")
def list_(
    json: Annotated[
        bool, typer.Option("--json", help="One letter a line, as on the topic; all of them.")
    ] = False,
    reason: ReasonOption = None,
    project: ProjectOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"The newest N. Tables show {_IN_A_TABLE} by default.")
    ] = None,
) -> None:
    """Show refused records in the order in which they were refused, the newest last."""
    settings, wanted = Settings.from_env(), Filter(reason, project)
    if json and limit is None:
        asyncio.run(dead_letters.show_letters(settings, wanted, _print_line))
        return
    listing = asyncio.run(dead_letters.list_letters(settings, wanted, limit or _IN_A_TABLE))
    if not json:
        _print_table(listing)
        return
    for found in listing.letters:
        _print_line(found, listing.redriven)


@app.command()
def redrive(
    reason: ReasonOption = None,
    project: ProjectOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
) -> None:
    """Send refused records back to their topics, each once.

    What is refused again comes back as a new dead letter.
    """
    wanted = Filter(reason, project)
    settings = Settings.from_env()
    with bar("dead letters") as show:
        outcome = asyncio.run(dead_letters.redrive(settings, wanted, show, dry_run=dry_run))
    _print_outcome(outcome, "would be sent back" if dry_run else "sent back")
    if outcome.failed:
        raise CommandError(f"{len(outcome.failed)} records could not be sent back")


def _print_line(found: Found, redriven: Redriven) -> None:
    """Print a letter as it is on the topic, with its own place, when it was written there, and
    whether it was redriven."""
    fields = msgspec.json.decode(found.raw)
    place = {"partition": found.partition, "offset": found.offset}
    refused = format_instant(from_millis(found.timestamp))
    print_json(
        {
            **fields,
            "deadLetter": place,
            "refusedAt": refused,
            "redriven": redriven.includes(found),
        }
    )


def _print_table(listing: Listing) -> None:
    # Where nobody looks, a line a letter is easier to search than a table folded to 80 columns.
    console = Console() if sys.stdout.isatty() else Console(width=400)
    if not listing.total:
        console.print("no dead letters")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("refused at", "reason", "project", "record", "attempts", "message"):
        table.add_column(name, overflow="fold", no_wrap=name in ("refused at", "reason"))
    for found in listing.letters:
        table.add_row(*_cells(found, listing.redriven))
    console.print(table)
    if listing.total > len(listing.letters):
        rest = f"the newest {len(listing.letters)} of {listing.total:,}; more with --limit"
        console.print(rest, style="dim")


def _cells(found: Found, redriven: Redriven) -> Sequence[str]:
    letter = found.letter
    assert letter is not None
    attempts = f"{letter.attempts}, redriven" if redriven.includes(found) else str(letter.attempts)
    return (
        f"{from_millis(found.timestamp):%Y-%m-%d %H:%M:%S}Z",
        letter.reason,
        letter.project or "",
        f"{letter.topic}/{letter.partition}/{letter.offset}",
        attempts,
        _plain(letter.message),
    )


def _plain(text: str) -> str:
    """Make a message, which may quote the record, safe for a terminal and for Rich's markup."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:300])
    return shown.replace("[", "\\[")


def _print_outcome(outcome: RedriveOutcome, done: str) -> None:
    for (topic, reason), count in sorted(outcome.sent.items()):
        typer.echo(f"{count:,} {reason} {done} to {topic}")
    if not outcome.sent and not outcome.failed:
        typer.echo("nothing to send back")
    for found, why in outcome.failed:
        letter = found.letter
        assert letter is not None
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        print(f"{place}: {why}", file=sys.stderr)
