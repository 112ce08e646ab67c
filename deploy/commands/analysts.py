"""`milestream analysts`: database logins for analysts."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from deploy.commands import checked
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.output import print_json
from projections.analysts import create_login, logins, revoke_login
from projections.migrate import MigrationError, migrate
from schemas.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Make, list and revoke database logins that see one project.",
)

T = TypeVar("T")


Project = Annotated[
    str,
    typer.Option("--project", callback=checked.project, help="The project that the login sees."),
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
    print_json(login)


@app.command("list")
def list_(project: Project) -> None:
    """Print a project's logins, each as a line of JSON {"user","project","createdAt"}."""
    for login in _with_database(lambda url: logins(url, project)):
        shown = {"user": login.user, "project": login.project, "createdAt": login.created_at}
        print_json(shown)


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
        with database_errors():
            migrate(settings.database_url)
            return ask(settings.database_url)
    except MigrationError as error:
        raise CommandError(str(error)) from error
