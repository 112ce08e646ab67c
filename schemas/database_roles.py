"""The database roles of what runs: they are groups, and whoever logs in takes the one it needs."""

API = "milestream_api"
"""Reads the read models and the hashes of API keys; counts requests and takes locks."""

PROJECTOR = "milestream_projector"
"""Owns the read models, and sees nothing of credentials."""

TAKE = """
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE rolname = %s AND rolname <> session_user AND pg_has_role(session_user, oid, 'USAGE')
"""
"""Takes a role for the rest of the session, where the login has it (a superuser has every one),
and so gives up what else the login may. Needs one parameter: the role's name."""
