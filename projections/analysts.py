"""Database logins that see one project, through row-level security."""

import secrets
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

GROUP = "milestream_project_analyst"
"""The role whose policies show one project. Not ``milestream_analyst``: its members see all."""

_LONGEST_NAME = 63

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
    suffix = f"_{secrets.token_hex(4)}"
    user = f"analyst_{project}"[: _LONGEST_NAME - len(suffix)] + suffix
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
        connection.execute(sql.SQL("ALTER ROLE {} SET search_path = milestream").format(role))
        connection.execute(
            sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(role)
        )
        connection.execute(
            "INSERT INTO milestream_private.analyst_logins (login, project) VALUES (%s, %s)",
            [user, project],
        )
    return Login(user, password, _url_for(database_url, user, password))


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
