"""Database logins that see one project, through row-level security."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from projections.hardening import limit_temporary_files

GROUP = "milestream_project_analyst"
"""The role whose policies show one project. Not ``milestream_analyst``: its members see all."""

_OF_THE_OWNER = {
    "user", "password", "passfile", "sslcert", "sslkey", "sslpassword",
    "oauth_client_secret",
}  # fmt: skip
"""Parameters of a libpq URL that say who logs in, and how he proves it."""


@dataclass(frozen=True)
class Login:
    """A login as it is shown, once."""

    user: str
    password: str
    database_url: str


def create_login(database_url: str, project: str) -> Login:
    """Make a login that sees ``project`` and nothing else; read only.

    The server gets the password as a SCRAM verifier, so that none of its logs ever has it.

    Raises:
        psycopg.Error: the database is not there or not migrated, or its owner may not make roles.
    """
    # Every login sees the names of all: they say nothing of a project.
    user = f"analyst_{secrets.token_hex(8)}"
    password = secrets.token_urlsafe(24)
    with psycopg.connect(database_url, application_name="milestream-analysts") as connection:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), user.encode(), b"scram-sha-256"
        ).decode()
        role = sql.Identifier(user)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                role, sql.Literal(verifier), sql.Identifier(GROUP)
            )
        )
        connection.execute("SELECT milestream_private.bound_login(%s)", [user])
        limit_temporary_files(connection, user)
        connection.execute(
            "INSERT INTO milestream_private.analyst_logins (login, project) VALUES (%s, %s)",
            [user, project],
        )
    return Login(user, password, _url_for(database_url, user, password))


@dataclass(frozen=True)
class KnownLogin:
    """A login as it is listed."""

    user: str
    project: str
    created_at: datetime


def logins(database_url: str, project: str) -> Sequence[KnownLogin]:
    """Return the logins of a project, the oldest first.

    Raises:
        psycopg.Error: the database is not there or not migrated.
    """
    with psycopg.connect(database_url, application_name="milestream-analysts") as connection:
        rows = connection.execute(
            "SELECT login::text, project, created_at FROM milestream_private.analyst_logins "
            "WHERE project = %s ORDER BY created_at, login",
            [project],
        ).fetchall()
    return [KnownLogin(*row) for row in rows]


def revoke_login(database_url: str, project: str, user: str) -> bool:
    """Remove a login and end its sessions; False where the project has no such login.

    Raises:
        psycopg.Error: the database is not there, or its owner may not remove the role.
    """
    if user not in (login.user for login in logins(database_url, project)):
        return False
    role = sql.Identifier(user)
    with psycopg.connect(
        database_url, application_name="milestream-analysts", autocommit=True
    ) as connection:
        known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).fetchone()
        if known is not None:
            # It is let in no more before its sessions end, and is there until they have ended.
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s",
                [user],
            )
        with connection.transaction():
            if known is not None:
                connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                connection.execute(sql.SQL("DROP ROLE {}").format(role))
            connection.execute(
                "DELETE FROM milestream_private.analyst_logins WHERE login = %s", [user]
            )
    return True


def _url_for(database_url: str, user: str, password: str) -> str:
    """Return the URL with another login in it, and nothing of the owner's."""
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    # As libpq reads it: a parameter is stronger than what stands before the host.
    options = [
        option
        for option in parts.query.split("&")
        if unquote(option.partition("=")[0]) not in _OF_THE_OWNER
    ]
    return urlunsplit(
        parts._replace(
            netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}",
            query="&".join(options),
        )
    )
