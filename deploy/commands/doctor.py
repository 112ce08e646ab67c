"""`milestream doctor`: what is there, what is not, and what to do."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from deploy.doctor.checkup import LOOKS, checkup
from deploy.doctor.findings import Finding
from deploy.output import print_json
from schemas.settings import Settings


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look at brokers, topics, database, roles, lag, clocks, disk and versions.

    A line each: ok, or what to do. Changes nothing. Exit code 1 where something is to be done.
    """
    found = asyncio.run(_look(Settings.from_env(), shown=not as_json))
    if as_json:
        print_json({"ok": _all_well(found), "checks": found})
    raise typer.Exit(0 if _all_well(found) else 1)


def _all_well(found: list[Finding]) -> bool:
    return all(each.ok for each in found)


async def _look(settings: Settings, *, shown: bool) -> list[Finding]:
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(look.name) for look in LOOKS)
    found = []
    async for each in checkup(settings):
        found.append(each)
        if shown:
            mark = "[green]ok[/]  " if each.ok else "[red]FAIL[/]"
            console.print(f"{mark} {each.name:<{width}}  ", end="")
            console.print(each.found, markup=False)
            if each.advice is not None:
                console.print(f"     {'':<{width}}  → {each.advice}", markup=False)
    return found
