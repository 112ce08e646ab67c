"""`milestream simulate`: what other definitions would have given, month by month."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy import apply
from deploy.clients import words_for_readers
from deploy.commands import checked
from deploy.commands.import_ import format_of
from deploy.errors import CommandError
from deploy.importing.sources import STDIN
from deploy.output import print_json
from deploy.progress import bar
from deploy.simulation import InputFile, simulate_file
from deploy.topics_create import check_topics
from processor.domain.definitions import Definitions
from processor.reading import KeysUnread
from processor.recorded import FoldedByNewer, RecordMissing
from processor.simulation.figures import Figure, Figures, beside, refused_in_words
from processor.simulation.recorded import simulate_recorded
from schemas.kafka.member_keys import KeysUnreadable
from schemas.placement import PLACEABLE
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS

_WIDTH = 250
"""Columns of text: no cell is cut off, whatever the terminal has."""
_COLUMNS = ("counted", "points", "rewards", "completions")


def command(  # noqa: PLR0917  (Typer reads the arguments' order)
    files: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            callback=checked.files,
            help="All definitions of one project, YAML or JSON; - is stdin. May be given again.",
        ),
    ],
    input_: Annotated[
        str | None,
        typer.Option("--input", help="A file as `import` takes it, or - for stdin."),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help=f"What the file has: {', '.join(PLACEABLE)}; by default the first."),
    ] = None,
    from_topics: Annotated[
        bool, typer.Option("--from-topics", help="Take what is recorded on the topics.")
    ] = False,
    format_: Annotated[
        str | None, typer.Option("--format", help="ndjson or csv; guessed from the file's name.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="A CSV column that stays text, such as metadata.sku."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures as JSON.")] = False,
) -> None:
    """Say what the definitions of a project would have given, beside those in force.

    The documents replace all definitions of their project. A file's members are taken as known and
    live. Nothing is written to the broker.
    """
    file = _input_file(input_, topic, from_topics=from_topics, given=format_, text=text)
    if file is not None and file.name == STDIN and apply.STDIN in files:
        raise typer.BadParameter("stdin is one file only", param_hint="--input")
    settings = Settings.from_env()
    project, tried = apply.as_whole_set(apply.read(files))
    if file is None:
        found = _from_topics(settings, project, tried)
    else:
        found = _from_file(settings, file, project, tried)
    figures = beside(found.tried, found.in_force)
    for note in found.notes:
        typer.echo(note, err=True)
    if as_json:
        print_json({"figures": figures})
    else:
        _print_table(figures)


@dataclass(frozen=True)
class _Found:
    """The figures of two worlds, and what is to be said besides."""

    tried: Figures
    in_force: Figures
    notes: tuple[str, ...] = ()


def _input_file(
    name: str | None,
    topic: str | None,
    *,
    from_topics: bool,
    given: str | None,
    text: list[str] | None,
) -> InputFile | None:
    """Return the file that is to be read, None where the topics are.

    Raises:
        BadParameter: both are asked for, or neither; or one of them cannot be.
    """
    if name is None and not from_topics:
        raise typer.BadParameter("give --input FILE or --from-topics", param_hint="--input")
    if name is None:
        if topic is not None or given is not None or text:
            raise typer.BadParameter(
                "--topic, --format and --text are of a file", param_hint="--from-topics"
            )
        return None
    if from_topics:
        raise typer.BadParameter("cannot be given with --input", param_hint="--from-topics")
    if topic is not None and topic not in PLACEABLE:
        raise typer.BadParameter(f"must be one of {', '.join(PLACEABLE)}", param_hint="--topic")
    format_ = format_of(name, given, "--input")
    return InputFile(name, topic or CHALLENGE_LOGS, format_, frozenset(text or ()))


def _from_file(settings: Settings, file: InputFile, project: str, tried: Definitions) -> _Found:
    in_force = asyncio.run(apply.in_force(settings))
    with bar("folded") as show:

        def progress(size: int, read: int, records: int) -> None:
            show(read, size, f"{records:,} records")

        found = simulate_file(file, project, tried, in_force, progress)
    notes = _notes(found.tried)
    if found.of_others:
        notes = (*notes, f"{found.of_others:,} records of other projects were left out")
    return _Found(found.tried, found.in_force, notes)


def _from_topics(settings: Settings, project: str, tried: Definitions) -> _Found:
    with bar("folded again") as show:

        async def run() -> tuple[Figures, Figures]:
            await check_topics(settings)
            check_clock(project, tried, await apply.in_force(settings))
            return await simulate_recorded(settings, project, tried, show)

        try:
            with words_for_readers(settings):
                here, there = asyncio.run(run())
        except RecordMissing as missing:
            raise CommandError(f"what was folded is not all there any more: {missing}") from missing
        except (FoldedByNewer, KeysUnread, KeysUnreadable) as error:
            raise CommandError(str(error)) from error
    return _Found(here, there, _notes(here))


def check_clock(project: str, tried: Definitions, in_force: Definitions) -> None:
    """Check that documents leave a project the clock that its members go by.

    Raises:
        CommandError: they name another.
    """
    if tried.is_manual(project) != in_force.is_manual(project):
        named, gone_by = (
            "manual" if each.is_manual(project) else "live" for each in (tried, in_force)
        )
        raise CommandError(
            f"the clock of the project {project} is {gone_by}, and {named} in the documents: what "
            f"is recorded can be folded by its own only. Give it the document of the project with "
            f"clock: {gone_by}"
        )


def _notes(tried: Figures) -> tuple[str, ...]:
    refused = refused_in_words(tried.refused)
    if not refused:
        return ()
    return (f"refused under these definitions (what they leave out is gone): {refused}",)


def _print_table(figures: list[Figure]) -> None:
    """Print a row a definition and month, each figure with its difference to what is in force."""
    if not figures:
        typer.echo("nothing counts, neither under these definitions nor under those in force")
        return
    table = Table("kind", "id", "month", box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
        table.add_column("in force", justify="right")
    for figure in figures:
        cells = []
        for name in _COLUMNS:
            cells += [f"{getattr(figure, name):,}", f"{getattr(figure.in_force, name):,}"]
        table.add_row(figure.kind, figure.id, figure.month, *cells)
    Console(width=_WIDTH, highlight=False, markup=False).print(table)
