"""`milestream analysts`: database logins for analysts."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import orjson
import psycopg
import typer

from deploy.errors import CommandError
from projections.analysts import create_login, logins, revoke_login
from projections.migrate import MigrationError, migrate
from schemas.ids import is_project
from schemas.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Make, list and revoke database logins that see one project.",
)

T = TypeVar("T")


def _project(text: str) -> str:
    if not is_project(text):
        raise typer.BadParameter("must match [a-z0-9][a-z0-9-]{0,62}")
    return text


Project = Annotated[
    str, typer.Option("--project", callback=_project, help="The project that the login sees.")
]


@app.command()
def create(
    project: Project,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, which it is anyway: for scripts that say so.")
    ] = False,
) -> None:
    """Make a login that may read one project's rows, and print it, once."""
    del as_json
    login = _with_database(lambda url: create_login(url, project))
    typer.echo(orjson.dumps(login).decode())


@app.command("list")
def list_(project: Project) -> None:
    """Print a project's logins, each as a line of JSON {"user","project","createdAt"}."""
    for login in _with_database(lambda url: logins(url, project)):
        shown = {"user": login.user, "project": login.project, "createdAt": login.created_at}
        typer.echo(orjson.dumps(shown).decode())


@app.command()
def revoke(
    project: Project, user: Annotated[str, typer.Option("--user", help="Which login.")]
) -> None:
    """Remove a login, and end its sessions."""
    if not _with_database(lambda url: revoke_login(url, project, user)):
        raise CommandError(f"project {project} has no login {user!r}")
    typer.echo(f"{user} is revoked")


def _with_database(ask: Callable[[str], T]) -> T:
    """Bring the database up to date, then ask it."""
    settings = Settings.from_env()
    try:
        migrate(settings.database_url)
        return ask(settings.database_url)
    except (MigrationError, psycopg.Error) as error:
        raise CommandError(str(error).strip()) from error
