"""`milestream analysts`: database logins for analysts."""

from typing import Annotated

import orjson
import psycopg
import typer

from deploy.errors import CommandError
from projections.analysts import create_login
from projections.migrate import MigrationError, migrate
from schemas.ids import is_project
from schemas.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Make database logins that see one project."
)


@app.callback()
def root() -> None:
    """Make database logins that see one project."""


@app.command()
def create(
    project: Annotated[str, typer.Option(help="The project that the login is to see.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, which it is anyway: for scripts that say so.")
    ] = False,
) -> None:
    """Make a login that may read one project's rows, and print it, once."""
    del as_json
    if not is_project(project):
        raise typer.BadParameter("must match [a-z0-9][a-z0-9-]{0,62}", param_hint="--project")
    settings = Settings.from_env()
    try:
        migrate(settings.database_url)
        login = create_login(settings.database_url, project)
    except (MigrationError, psycopg.Error) as error:
        raise CommandError(str(error).strip()) from error
    typer.echo(orjson.dumps(login).decode())
