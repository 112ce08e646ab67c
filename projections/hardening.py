"""What everybody may in a new database and nobody needs: only a superuser can take it away.

A login that reads one project could fill the disk with large objects or messages in the log, and
the lock table, which all sessions share, with advisory locks.
"""

import psycopg

_HARDEN = r"""
DO $$
DECLARE
    needless regprocedure;
BEGIN
    FOR needless IN
        SELECT pg_proc.oid::regprocedure FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND (
                proname ~ '^(lo_|lowrite|loread|pg_(try_)?advisory_)'
                OR proname = 'pg_logical_emit_message'
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
