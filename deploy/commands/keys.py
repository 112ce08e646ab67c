"""`milestream keys`: API keys, and the keys that end users' tokens are checked with."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from psycopg import AsyncConnection

from api.auth import credentials, sessions
from api.auth.credentials import CredentialsError, Role
from api.queries import credentials as queries
from deploy.commands import checked
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.output import print_json
from deploy.texts import decode_text
from projections.migrate import MigrationError, migrate
from schemas.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Make, list, rotate and revoke API keys, and the keys that sign tokens.",
)

T = TypeVar("T")


Project = Annotated[
    str, typer.Option("--project", callback=checked.project, help="Whose key it is.")
]
Key = Annotated[str, typer.Option("--key", help="The key, by its id.")]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        parser=checked.moment,
        metavar="TIME",
        help="Until when the secret before is good, like 2026-11-27T10:00:00Z; default: 24 hours.",
    ),
]

LEAST_HOURS = 24
"""Every project takes a token for so long: the smallest `tokenDays` is 1."""

BOTH_GOOD = timedelta(hours=24)
"""How long a secret that was rotated is good besides the new one, unless said otherwise."""


@app.command()
def create(
    project: Project,
    role: Annotated[Role, typer.Option("--role", help="What the key may do.")],
    signing: Annotated[
        bool,
        typer.Option("--signing", help="Keep the secret, encrypted, so that it can sign requests."),
    ] = False,
) -> None:
    """Make an API key and print {"keyId","secret"}; the secret is never shown again."""
    settings = Settings.from_env()
    key = _with_database(
        settings,
        lambda connection: credentials.create_key(
            connection, project, role, settings.master_key, signing=signing
        ),
    )
    print_json({"keyId": key.key_id, "secret": key.secret})


@app.command("list")
def list_(
    project: Project,
    key: Annotated[str | None, typer.Option("--key", help="This key alone, by its id.")] = None,
) -> None:
    """Print a project's API keys, revoked ones too, each as a line of JSON; no secret."""
    keys = _with_database(
        Settings.from_env(), lambda connection: queries.api_keys(connection, project)
    )
    shown = [known for known in keys if key in (None, known.key_id)]
    if key is not None and not shown:
        raise CommandError(f"project {project} has no key {key!r}")
    for known in shown:
        line = {
            "keyId": known.key_id,
            "role": known.role,
            "signing": known.signing,
            "createdAt": _text(known.created_at),
            "revokedAt": _text(known.revoked_at),
            "previousUntil": _text(known.previous_until),
        }
        print_json(line)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@app.command()
def revoke(project: Project, key: Key) -> None:
    """Let an API key be good no longer: every API process refuses it within 2 seconds."""
    known = _with_database(
        Settings.from_env(), lambda connection: queries.revoke_api_key(connection, project, key)
    )
    if not known:
        raise CommandError(f"project {project} has no key {key!r}")
    typer.echo(f"{key} is revoked")


@app.command()
def rotate(project: Project, key: Key, until: Until = None) -> None:
    """Give an API key another secret and print {"keyId","secret"}; both are good for a while."""
    settings = Settings.from_env()
    made = _with_database(
        settings,
        lambda connection: credentials.rotate_key(
            connection, project, key, settings.master_key, _until(until)
        ),
    )
    print_json({"keyId": made.key_id, "secret": made.secret})


@app.command()
def link(project: Project, key: Key) -> None:
    """Print a link that opens the dashboard once, within ten minutes, and acts as an API key."""
    settings = Settings.from_env()

    async def make(connection: AsyncConnection) -> str:
        known = await queries.api_keys(connection, project)
        if not any(each.key_id == key and each.revoked_at is None for each in known):
            raise CommandError(f"project {project} has no key {key!r}")
        return await sessions.make_link(connection, key)

    typer.echo(f"{settings.public_url}/login?token={_with_database(settings, make)}")


@app.command("jwt-secret")
def jwt_secret(
    project: Project,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make another one; both are good for a while.")
    ] = False,
    until: Until = None,
) -> None:
    """Print the project's HS256 secret; it is made at the first call."""
    settings = Settings.from_env()
    if until is not None and not rotate:
        raise typer.BadParameter("goes with --rotate", param_hint="--until")
    ends = _until(until)

    async def ask(connection: AsyncConnection) -> str:
        if rotate:
            return await credentials.rotate_jwt_secret(
                connection, project, settings.master_key, ends
            )
        return await credentials.jwt_secret(connection, project, settings.master_key)

    typer.echo(_with_database(settings, ask))


def _until(given: datetime | None) -> datetime:
    return given or datetime.now(UTC) + BOTH_GOOD


@app.command()
def token(
    project: Project,
    user: Annotated[str, typer.Option("--user", help="The member's external id.")],
    admin: Annotated[bool, typer.Option("--admin", help="It may act for everybody.")] = False,
    hours: Annotated[int, typer.Option(min=1, max=8760, help="How long it is good for.")] = 24,
) -> None:
    """Print an end user's token, to try things out: otherwise your own backend signs them."""
    # Half of all that is imported here, and no other command of these wants it.
    from deploy.apply import limits_of
    from deploy.end_user_tokens import end_user_token

    settings = Settings.from_env()
    if hours > LEAST_HOURS:
        most = asyncio.run(limits_of(settings, project)).token_days
        if hours > 24 * most:
            raise CommandError(
                f"--hours: at most {24 * most}: the API of project {project} takes no token for "
                f"longer than its limit `tokenDays`, {most}"
            )
    secret = _with_database(
        settings,
        lambda connection: credentials.jwt_secret(connection, project, settings.master_key),
    )
    typer.echo(end_user_token(secret, project, user, hours * 3600, admin=admin))


@app.command("jwt-public")
def jwt_public(
    project: Project,
    file: Annotated[
        Path, typer.Option("--file", exists=True, dir_okay=False, help="The public key as PEM.")
    ],
) -> None:
    """Register a public key (RSA, or EC on P-256) that tokens are checked with instead."""
    try:
        pem = decode_text(file.read_bytes()).encode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not a public key in PEM: it is no text") from error
    try:
        algorithm = _with_database(
            Settings.from_env(),
            lambda connection: credentials.register_public_key(connection, project, pem),
        )
    except CommandError as error:
        if isinstance(error.__cause__, CredentialsError):
            raise CommandError(f"{file}: {error}") from error
        raise
    typer.echo(f"tokens of {project} are now checked with this {algorithm} key")


def _with_database(settings: Settings, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Bring the database up to date, then ask it in one transaction."""

    async def run() -> T:
        async with await AsyncConnection.connect(settings.database_url) as connection:
            return await ask(connection)

    try:
        with database_errors():
            migrate(settings.database_url)
            return asyncio.run(run())
    except (CredentialsError, MigrationError) as error:
        raise CommandError(str(error)) from error
