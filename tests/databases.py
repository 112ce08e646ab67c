"""Databases for tests: made, copied from one that was migrated, and dropped."""

import time

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, ObjectInUse

REMOVE_SECONDS = 60

_RIGHTS = """
SELECT privilege_type, CASE WHEN grantee = 0 THEN 'public' ELSE pg_get_userbyid(grantee) END
FROM pg_database, aclexplode(datacl) WHERE datname = %s
"""


def make_ready(connection: psycopg.Connection, password: str) -> None:
    """Let the owner of all databases make them, and let the server do without what no test asks of
    this one: to outlive a loss of power, and to keep a password from who guesses it for days. To
    check one as thoroughly takes as long as all else of a login."""
    for setting in ("fsync", "full_page_writes"):
        connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
    connection.execute("SELECT pg_reload_conf()")
    connection.execute("SET scram_iterations = 1")
    connection.execute(
        sql.SQL("ALTER ROLE milestream CREATEDB PASSWORD {}").format(sql.Literal(password))
    )


def make_database(connection: psycopg.Connection, name: str) -> None:
    """Make an empty database."""
    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def copy_database(connection: psycopg.Connection, template: str, name: str) -> None:
    """Make a database like another that nobody is connected to.

    A copy takes a fifth of the time of the migrations, and half of that where its files are copied
    and not written into the log as well. Rights on the database itself are no part of it, so they
    are given once more.
    """
    made, original = sql.Identifier(name), sql.Identifier(template)
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(made, original)
    )
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(made))
    for privilege, login in connection.execute(_RIGHTS, [template]).fetchall():
        who = sql.SQL("PUBLIC") if login == "public" else sql.Identifier(login)
        connection.execute(
            sql.SQL("GRANT {} ON DATABASE {} TO {}").format(sql.SQL(privilege), made, who)
        )


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop a database.

    An owner may not end the server's own processes there, such as autovacuum: `FORCE` fails for
    them. Without it, the server ends them itself, but no sessions; so each has its turn.
    """
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        for statement in (drop + sql.SQL(" WITH (FORCE)"), drop):
            try:
                connection.execute(statement)
            except (InsufficientPrivilege, ObjectInUse):
                if time.monotonic() > deadline:
                    raise
            else:
                return
        time.sleep(0.2)
