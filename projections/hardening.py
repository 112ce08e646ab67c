"""What everybody may in a new database and nobody needs: only a superuser can take it away.

A login that reads one project could fill the disk with large objects, messages in the log, queued
notifications or the temporary files of a large sort, and the lock table, which all sessions share,
with advisory locks.
"""

import psycopg
from psycopg import sql

TEMPORARY_FILES = "1GB"
"""What the temporary files of an analyst's session may take at a time."""

_PARAMETER = "temp_file_limit"

_HARDEN = r"""
DO $$
DECLARE
    needless regprocedure;
    named name;
BEGIN
    -- The owner makes analysts' logins, and is no superuser.
    SELECT rolname INTO named FROM pg_catalog.pg_database JOIN pg_catalog.pg_roles
        ON pg_roles.oid = datdba
        WHERE datname = current_database()
            AND NOT has_parameter_privilege(rolname, 'temp_file_limit', 'SET');
    IF FOUND THEN
        EXECUTE format('GRANT SET ON PARAMETER temp_file_limit TO %I', named);
    END IF;
    FOR needless IN
        SELECT pg_proc.oid::regprocedure FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND (
                proname ~ '^(lo_|lowrite|loread|pg_(try_)?advisory_)'
                OR proname IN ('pg_logical_emit_message', 'pg_notify')
            )
            AND has_function_privilege('public', pg_proc.oid, 'EXECUTE')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', needless);
    END LOOP;
END
$$
"""


def harden(connection: psycopg.Connection) -> None:
    """Take it away in this database; does nothing for a login that is no superuser."""
    row = connection.execute(
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row == (True,):
        connection.execute(_HARDEN)
        for (login,) in connection.execute(
            "SELECT rolname FROM pg_roles JOIN pg_auth_members ON member = pg_roles.oid "
            "WHERE roleid = to_regrole('milestream_project_analyst') AND rolname ~ '^analyst_'"
        ).fetchall():
            limit_temporary_files(connection, login)


def limit_temporary_files(connection: psycopg.Connection, login: str) -> None:
    """Bound what a login's temporary files take, where whoever is connected may do so: a superuser,
    or an owner of the database that one has given the right."""
    may = connection.execute("SELECT has_parameter_privilege(%s, 'SET')", [_PARAMETER]).fetchone()
    if may == (True,):
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(
                sql.Identifier(login), sql.Identifier(_PARAMETER), sql.Literal(TEMPORARY_FILES)
            )
        )
