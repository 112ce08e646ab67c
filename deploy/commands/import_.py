"""`milestream import`: NDJSON or CSV into an input topic, with a progress bar, each line once."""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from deploy.commands import checked
from deploy.importing.sources import STDIN, Format, guess_format
from deploy.importing.transfer import Import, Outcome, Watcher, run_import
from deploy.progress import Bar, bar
from schemas.placement import PLACEABLE
from schemas.settings import Settings

_BAD_LINES_SHOWN = 100


def command(  # noqa: PLR0917  (Typer reads the arguments' order)
    topic: Annotated[str, typer.Argument(help=f"One of {', '.join(PLACEABLE)}.")],
    file: Annotated[
        str, typer.Argument(help="A file (.ndjson, .jsonl, .csv; also .gz, .zst), or - for stdin.")
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="ndjson or csv; guessed from the file's name.")
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(callback=checked.project, help="Written into lines that name no project."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Report bad lines and leave them out.")
    ] = False,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="A CSV column that stays text, such as metadata.sku."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Import all of it again, from the first line.")
    ] = False,
) -> None:
    """Read NDJSON or CSV into a topic.

    CSV may be split by , ; tab or |. UTF-8, or UTF-16 with a byte order mark; gzip and zstd are
    read as what is in them. Each line is held against its record's schema before it is sent.

    A file goes in once: after a crash, or when the file has grown, the same command goes on where
    the last committed batch ended. A bad line ends the import, unless --skip-bad.
    """
    if topic not in PLACEABLE:
        raise typer.BadParameter(f"must be one of {', '.join(PLACEABLE)}", param_hint="TOPIC")
    texts = frozenset(text or ())
    job = Import(topic, file, format_of(file, format_), project, skip_bad, restart, texts)
    begun = perf_counter()
    settings = Settings.from_env()
    with bar(topic) as show:
        outcome = asyncio.run(run_import(settings, job, _watcher(show, job)))
    typer.echo(_summary(outcome, job, perf_counter() - begun))


def format_of(file: str, given: str | None, hint: str = "FILE") -> Format:
    """Return the format of a file that is to be read, which the option --format may give.

    Raises:
        BadParameter: there is no such file or format, it may not be read, or its name does not
            tell.
    """
    if file != STDIN:
        checked.require_file(Path(file), hint)
        if not Path(file).is_file():  # a pipe has no size, and is read once only
            raise typer.BadParameter(f"{file} is no regular file", param_hint=hint)
    if given == "ndjson":
        return "ndjson"
    if given == "csv":
        return "csv"
    if given is not None:
        raise typer.BadParameter("must be ndjson or csv", param_hint="--format")
    guessed = guess_format(file) or ("ndjson" if file == STDIN else None)
    if guessed is None:
        raise typer.BadParameter(
            "cannot be guessed from the file's name: give ndjson or csv", param_hint="--format"
        )
    return guessed


def _watcher(show: Bar, job: Import) -> Watcher:
    begun = perf_counter()
    bad_lines = 0

    def progress(total: int, done: int, records: int) -> None:
        rate = records / max(perf_counter() - begun, 1e-9)
        show(done, total, f"{records:,} records, {rate:,.0f}/s")

    def bad_line(number: int, problem: str) -> None:
        nonlocal bad_lines
        bad_lines += 1
        if bad_lines <= _BAD_LINES_SHOWN:
            show.say(f"{job.file}:{number}: {problem}")
        elif bad_lines == _BAD_LINES_SHOWN + 1:
            show.say("further bad lines are only counted")

    return Watcher(progress, bad_line)


def _summary(outcome: Outcome, job: Import, seconds: float) -> str:
    before = outcome.resumed_records
    if before and not outcome.records and not outcome.skipped:
        return (
            f"{job.file} was imported before, {before:,} records; nothing is new in it "
            "(--restart imports it again)"
        )
    rate = outcome.records / max(seconds, 1e-9)
    parts = [f"{outcome.records:,} records in {seconds:.1f} s ({rate:,.0f}/s) to {job.topic}"]
    if before:
        parts.append(f"going on after {before:,} of an earlier run")
    if outcome.skipped:
        parts.append(f"{outcome.skipped:,} bad lines left out")
    return ", ".join(parts)
