"""`milestream recalculate`: what history would have come to under other definitions, and putting
that right."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from api.recalculating.answers import RecalculationAnswer
from api.recalculating.asking import MAX_TOTAL, Asked
from deploy import apply as applying
from deploy.commands import checked
from deploy.output import print_json
from deploy.progress import bar
from deploy.recalculation import cancelled, project_of, recalculate
from schemas.definition_records import MAX_ACTOR, is_actor
from schemas.ids import DEFAULT_PROJECT, is_project, is_uuid
from schemas.instants import InstantError, parse_instant
from schemas.settings import Settings


class Mode(StrEnum):
    """Whether anything may be lowered."""

    ADDITIVE = "additive"
    EXACT = "exact"


def _time(text: str) -> datetime:
    try:
        return parse_instant(text)
    except InstantError as error:
        raise typer.BadParameter(str(error)) from None


def command(  # noqa: PLR0917  (Typer reads the arguments' order)
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            callback=checked.files,
            help="Challenges and their milestones as they are to be; - is stdin. May be given "
            "again.",
        ),
    ] = None,
    challenge: Annotated[
        str | None,
        typer.Option(help="In place of files: a challenge, as it is in force."),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Whose challenge; with files, they say so.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_time, metavar="TIME", help="Only periods that end after this time."),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="additive lowers nothing; exact does, and reopens what is short.")
    ] = Mode.ADDITIVE,
    apply: Annotated[
        bool, typer.Option("--apply", help="Put the definitions in force, and correct history.")
    ] = False,
    max_points: Annotated[
        int | None,
        typer.Option(
            "--max-points", min=0, max=MAX_TOTAL, help="Refuse it where it would give more points."
        ),
    ] = None,
    max_rewards: Annotated[
        int | None,
        typer.Option(
            "--max-rewards",
            min=0,
            max=MAX_TOTAL,
            help="Refuse it where it would give more rewards.",
        ),
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="Who asks for it, for definition_history.")
    ] = None,
    cancel: Annotated[
        str | None,
        typer.Option(
            "--cancel",
            metavar="ID",
            help="In place of files: cancel an unfinished one of --project, which then changes "
            "nothing more.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Replay history under other definitions, and say what it comes to; correct it with --apply.

    Killed at any point, the same command goes on with it. Without --apply nothing is written to
    the broker.
    """
    if [bool(files), challenge is not None, cancel is not None].count(True) != 1:
        raise typer.BadParameter("give -f FILE, --challenge or --cancel", param_hint="--file")
    if challenge is not None and not is_uuid(challenge.lower()):
        raise typer.BadParameter("must be a UUID", param_hint="--challenge")
    if project is not None and not is_project(project):
        raise typer.BadParameter("must match [a-z0-9][a-z0-9-]{0,62}", param_hint="--project")
    if actor is not None and not is_actor(actor):
        wrong = f"must have 1 to {MAX_ACTOR} printable characters"
        raise typer.BadParameter(wrong, param_hint="--actor")
    if cancel is not None:
        given = {
            "--since": since is not None,
            "--mode": mode is not Mode.ADDITIVE,
            "--apply": apply,
            "--max-points": max_points is not None,
            "--max-rewards": max_rewards is not None,
            "--actor": actor is not None,
        }
        _show(_cancelled(cancel, project or DEFAULT_PROJECT, given), as_json)
        return
    documents = applying.read(files or ())
    asked = Asked(
        project=project_of(documents, project or DEFAULT_PROJECT, given=project),
        definitions=[each.definition for each in documents],
        challenge_id=None if challenge is None else challenge.lower(),
        since=since,
        mode=mode.value,
        apply=apply,
        max_points=max_points,
        max_rewards=max_rewards,
        actor=actor,
    )
    found = _run(Settings.from_env(), asked)
    _show(found, as_json)
    if found.code in _WHY:
        typer.echo(_WHY[found.code], err=True)
    if found.status not in ("reported", "applied"):
        raise typer.Exit(1)


def _cancelled(id_: str, project: str, given: Mapping[str, bool]) -> RecalculationAnswer:
    """Cancel a recalculation; `given` tells of each option that says what to begin whether it is
    there too."""
    if not is_uuid(id_.lower()):
        raise typer.BadParameter("must be a UUID", param_hint="--cancel")
    if others := [option for option, is_given in given.items() if is_given]:
        wrong = f"goes without {', '.join(others)}"
        raise typer.BadParameter(wrong, param_hint="--cancel")
    return cancelled(Settings.from_env(), project, UUID(id_))


_WHY = {
    "definitions_changed": "The definitions that were to be replaced were changed meanwhile: look "
    "at what is in force, and give the command again.",
}
"""What is to be done, by the code of a refusal."""

_SAID = {
    "report": "replayed",
    "in_force": "put in force",
    "cuts": "waiting for workers",
    "corrections": "corrections sent",
    "folding": "corrections folded",
}
"""What the bar says, by step."""


def _run(settings: Settings, asked: Asked) -> RecalculationAnswer:
    with bar("") as show:

        def progress(step: str, done: int, total: int) -> None:
            show(done, total, what=_SAID[step])

        return recalculate(settings, asked, progress)


def _show(found: RecalculationAnswer, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    totals = found.totals
    ended = found.status if found.code is None else f"{found.status} ({found.code})"
    typer.echo(f"{ended}, recalculation {found.id}")
    typer.echo(
        f"members {totals.members:,}, completions {totals.completions:,}, "
        f"rewards {totals.rewards:,}, points {totals.points:,}"
    )
    for each in found.not_given:
        typer.echo(
            f"not given: reward {each.reward_log_id} of milestone {each.milestone_id}, "
            f"member {each.member_id}, period {each.period_key}"
        )
