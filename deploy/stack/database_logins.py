"""Who logs in to the local stack's database: an owner that is no superuser, the API, projectors.

A superuser is there too, with a password that nothing of ours is given: it makes the others.
"""

import psycopg
from psycopg import sql

from deploy.stack.data_dir import Secrets
from deploy.stack.database import DATABASE, OWNER, SUPERUSER, url
from projections.hardening import harden
from schemas import database_roles

_BOOTSTRAP = "milestream_bootstrap"
"""What the first superuser of a cluster is called that had the owner's name: it cannot cease to be
one."""

_OWNED = """
SELECT format('ALTER SCHEMA %I OWNER TO', nspname) FROM pg_namespace
WHERE nspowner = 10 AND nspname IN ('milestream', 'milestream_private')
UNION ALL
SELECT format('ALTER TABLE %s OWNER TO', pg_class.oid::regclass) FROM pg_class
WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm')
    AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO', pg_proc.oid::regprocedure) FROM pg_proc
WHERE proowner = 10
    AND pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
"""


def superuser(port: int, secrets: Secrets, database: str = DATABASE) -> str:
    """Return the URL of the superuser's login."""
    return url(port, secrets.superuser_password, user=SUPERUSER, database=database)


def first_connection(port: int, secrets: Secrets) -> psycopg.Connection:
    """Log in as superuser to a cluster whose database may not be there yet.

    Raises:
        psycopg.OperationalError: it does not answer, or does not know the password.
    """
    try:
        return _connect(superuser(port, secrets, "postgres"))
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
    # A cluster of an earlier version, whose superuser is the owner.
    return _connect(url(port, secrets.database_password, database="postgres"))


def make_database(port: int, secrets: Secrets) -> None:
    """Make logins and database where they are not there; the server must be answering."""
    with first_connection(port, secrets) as connection:
        _make_role(connection, SUPERUSER, secrets.superuser_password, "SUPERUSER")
    with _connect(superuser(port, secrets, "postgres")) as connection:
        known = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [OWNER])
        if known.fetchone() == (True,):
            connection.execute(_named("ALTER ROLE {} RENAME TO {}", OWNER, _BOOTSTRAP))
        _make_role(connection, OWNER, secrets.database_password, "CREATEROLE")
        _make_role(connection, database_roles.API, secrets.api_password)
        _make_role(connection, database_roles.PROJECTOR, secrets.projector_password)
        for role in (database_roles.API, database_roles.PROJECTOR):
            connection.execute(_named("GRANT {} TO {} WITH ADMIN OPTION", role, OWNER))
        _hand_over_analysts(connection)
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if known.fetchone() is None:
            connection.execute(_named("CREATE DATABASE {} OWNER {}", DATABASE, OWNER))
        connection.execute(_named("ALTER DATABASE {} OWNER TO {}", DATABASE, OWNER))
        for other in ("postgres", "template1"):
            connection.execute(_named("REVOKE ALL ON DATABASE {} FROM PUBLIC", other))
    # What is made of the template later is like it.
    for database in ("template1", DATABASE):
        with _connect(superuser(port, secrets, database)) as connection:
            harden(connection)
            if database == DATABASE:
                _hand_over_tables(connection)


def _connect(conninfo: str) -> psycopg.Connection:
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=5)


def _named(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


def _make_role(
    connection: psycopg.Connection, name: str, password: str, attributes: str = ""
) -> None:
    """Make a login, or give one that is there this password."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
        connection.execute(_named("CREATE ROLE {}", name))
    # As a verifier: no log of the server ever has the password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    statement = sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD {}").format(
        sql.Identifier(name), sql.SQL(attributes), sql.Literal(verifier)
    )
    connection.execute(statement)


def _hand_over_analysts(connection: psycopg.Connection) -> None:
    """Let the owner make and revoke analysts' logins, also those that a superuser made."""
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE NOT rolsuper "
        "AND (rolname IN ('milestream_analyst', 'milestream_project_analyst') OR EXISTS ("
        "SELECT FROM pg_auth_members WHERE member = pg_roles.oid "
        "AND roleid = to_regrole('milestream_project_analyst') AND rolname <> %s)) "
        "AND NOT EXISTS (SELECT FROM pg_auth_members WHERE roleid = pg_roles.oid "
        "AND member = to_regrole(%s) AND admin_option)",
        [OWNER, OWNER],
    ).fetchall()
    for (role,) in rows:
        connection.execute(_named("GRANT {} TO {} WITH ADMIN OPTION", role, OWNER))


def _hand_over_tables(connection: psycopg.Connection) -> None:
    """Give the owner what the cluster's first superuser had under its name."""
    for (statement,) in connection.execute(_OWNED).fetchall():
        connection.execute(sql.SQL(statement) + sql.SQL(" ") + sql.Identifier(OWNER))
