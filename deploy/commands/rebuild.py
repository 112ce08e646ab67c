"""`milestream rebuild`: read models anew from the topics, while the old ones serve."""

import asyncio
from typing import Annotated

import typer

from deploy.clients import words_for_readers
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.output import print_json
from deploy.progress import bar
from projections.catalogue import PROJECTIONS
from projections.feed import MissingTopics
from projections.migrate import MigrationError, migrate
from projections.rebuild import RebuildFailed, rebuild
from projections.source_binding import OtherSource
from projections.sources import UndecodableOutput
from schemas.settings import Settings

_ACTIVE = ("event_user_days", "challenge_logs")
_VIEWS = {
    "pathway_activities": ("pathways",),
    "points_expiry_forecast": ("points_lots",),
    "points_liability": ("points_balances",),
    "progress_funnel": ("challenge_progress", "reward_logs"),
    "member_active_days": _ACTIVE,
    "daily_actives": _ACTIVE,
    "retention_by_cohort": _ACTIVE,
    "cost_per_reward": ("reward_logs", "points_ledger"),
}
"""Read models that are views, and the tables that they are views of, definitions apart."""

FAILURES = (
    RebuildFailed,
    OtherSource,
    MissingTopics,
    UndecodableOutput,
    MigrationError,
)


def command(
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Read models to rebuild; none: all of them."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each table.")
    ] = False,
) -> None:
    """Rebuild read models from the topics, beside the live ones, and swap them in.

    Projectors and readers go on meanwhile. After a crash, the same command begins again.
    """
    wanted = list(
        dict.fromkeys(
            each for table in tables or PROJECTIONS for each in _VIEWS.get(table, (table,))
        )
    )
    unknown = [table for table in wanted if table not in PROJECTIONS]
    if unknown:
        raise typer.BadParameter(
            f"there is no read model {', '.join(unknown)}; there are {', '.join(PROJECTIONS)}",
            param_hint="TABLE",
        )
    settings = Settings.from_env()
    try:
        with database_errors():
            migrate(settings.database_url)
        for table in wanted:
            with bar(table) as show, database_errors(), words_for_readers(settings):
                rows = asyncio.run(rebuild(settings, table, show))
            if as_json:
                print_json({"table": table, "rows": rows})
            else:
                typer.echo(f"{table}: {rows} rows")
    except FAILURES as error:
        raise CommandError(str(error).strip()) from error
