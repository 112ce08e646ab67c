"""Looks at PostgreSQL: version, migrations, the login, its clock, the lag of the read models."""

from datetime import UTC, datetime

import psycopg

from deploy.doctor.findings import Finding, ill, lag, well
from deploy.lag import behind, ends_of, projected
from projections.catalogue import PROJECTIONS
from projections.migrate import migrations
from schemas import database_roles
from schemas.settings import Settings

OLDEST = 15
"""The oldest PostgreSQL that Milestream runs on."""
MAX_CLOCK_SECONDS = 5.0


async def _connect(settings: Settings) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(settings.database_url, connect_timeout=5)


async def database(settings: Settings) -> Finding:
    """Look at the server's version, and whether it takes writes."""
    async with await _connect(settings) as connection:
        major = connection.info.server_version // 10_000
        asked = await connection.execute("SELECT pg_is_in_recovery()")
        standby = (await asked.fetchone() or (False,))[0]
    if standby:
        return ill("database", "a standby, which takes no writes", "name the primary")
    if major < OLDEST:
        return ill("database", f"PostgreSQL {major}", f"upgrade it: {OLDEST} is the oldest")
    return well("database", f"PostgreSQL {major}")


async def migrated(settings: Settings) -> Finding:
    """Look whether the database has had every migration, and none of a newer version."""
    newest = migrations()[-1].version
    text = "SELECT max(version) FROM milestream_private.migrations"
    async with await _connect(settings) as connection:
        try:
            row = await (await connection.execute(text)).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            row = None
    there = (row or (0,))[0] or 0
    found = f"{there} of {newest}"
    if there < newest:
        return ill("migrations", found, "run `milestream migrate`")
    if there > newest:
        return ill("migrations", f"{found}: a newer version was here", "upgrade Milestream")
    return well("migrations", found)


async def login(settings: Settings) -> Finding:
    """Look whether the login has the roles that processes take, and no more."""
    text = (
        "SELECT rolsuper, ARRAY(SELECT wanted FROM unnest(%s::text[]) wanted WHERE NOT EXISTS ("
        "SELECT FROM pg_roles r WHERE r.rolname = wanted AND pg_has_role(session_user, r.oid, "
        "'USAGE'))) FROM pg_roles WHERE rolname = session_user"
    )
    wanted = [database_roles.API, database_roles.PROJECTOR]
    async with await _connect(settings) as connection:
        row = await (await connection.execute(text, [wanted])).fetchone()
    superuser, missing = row or (False, wanted)
    if superuser:
        advice = "log in as an owner without SUPERUSER"
        return ill("database login", "a superuser: every statement may do anything", advice)
    if missing:
        advice = f"GRANT {', '.join(missing)} to it, or run `milestream migrate` as the owner"
        return ill("database login", f"has no role {', '.join(missing)}", advice)
    return well("database login", "has its roles, and is no superuser")


async def clock(settings: Settings) -> Finding:
    """Look how far the clock of the database and the one here are apart."""
    async with await _connect(settings) as connection:
        before = datetime.now(UTC)
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        after = datetime.now(UTC)
    there = (row or (after,))[0]
    apart = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    found = f"{apart:.1f} s from the database's"
    if apart > MAX_CLOCK_SECONDS:
        return ill("clock", found, "synchronize the clocks (NTP): tokens and periods depend on it")
    return well("clock", found)


async def projection_lag(settings: Settings) -> Finding:
    """Look how many outputs are not in the read model that is furthest behind."""
    topics = {topic for projection in PROJECTIONS.values() for topic in projection.topics}
    ends, reached = await ends_of(settings, sorted(topics)), await projected(settings)
    advice = "wait where it shrinks; else look at `milestream projector` and the database"
    return lag("projection lag", behind(ends, reached), advice)
