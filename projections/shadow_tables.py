"""A table beside a read model's live one, with everything but its name, and the swap of the two."""

import re
from collections.abc import Sequence

from psycopg import sql

from projections.database import SCHEMA, Connection, live

PRIVATE = "milestream_private"
"""Where a twin is built: no analyst sees it."""


def twin_of(table: str) -> sql.Identifier:
    """Return the name of the table that is built beside ``table``."""
    return sql.Identifier(PRIVATE, f"{table}_rebuilt")


async def create(connection: Connection, table: str) -> None:
    """Make an empty twin; one that an earlier rebuild left behind goes first."""
    await drop(connection, table)
    await connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(twin_of(table), live(table))
    )
    # LIKE leaves out the storage parameters and the table's own comment.
    cursor = await connection.execute(
        "SELECT reloptions, obj_description(oid, 'pg_class') FROM pg_class "
        "WHERE oid = %s::regclass",
        [f"{SCHEMA}.{table}"],
    )
    options, comment = (await cursor.fetchall())[0]
    for option in options or ():
        name, _, value = option.partition("=")
        await connection.execute(
            sql.SQL("ALTER TABLE {} SET ({} = {})").format(
                twin_of(table), sql.Identifier(name), sql.Literal(value)
            )
        )
    twin = f"{PRIVATE}.{table}_rebuilt"
    await connection.execute("SELECT milestream_private.hide_statistics(%s::regclass)", [twin])
    if comment is not None:
        await connection.execute(
            sql.SQL("COMMENT ON TABLE {} IS {}").format(twin_of(table), sql.Literal(comment))
        )


async def drop(connection: Connection, table: str) -> None:
    """Remove the twin, if there is one."""
    await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(twin_of(table)))


async def lock_live(connection: Connection, tables: Sequence[str]) -> None:
    """Keep everyone from the live tables until the transaction ends.

    Raises:
        psycopg.errors.LockNotAvailable: somebody uses one, longer than ``lock_timeout``.
        psycopg.errors.DeadlockDetected: somebody who uses one waits for another.
    """
    await connection.execute(
        sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(
            sql.SQL(", ").join(map(live, tables))
        )
    )


async def swap(connection: Connection, table: str) -> None:
    """Put the twin in the live table's place and drop that, in the caller's transaction.

    Indexes, comments, grants and policies are then as they were; views on the table read the new
    one. The live table must be locked.
    """
    twin = f"{PRIVATE}.{table}_rebuilt"
    name = f"{SCHEMA}.{table}"
    retired = sql.Identifier(SCHEMA, f"{table}_retired")
    grants = await _grants(connection, name)
    names = await _index_names(connection, name)
    views = await _views(connection, name)
    await connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            live(table), sql.Identifier(f"{table}_retired")
        )
    )
    await connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(twin_of(table), sql.Identifier(table))
    )
    await connection.execute(
        sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
            sql.Identifier(PRIVATE, table), sql.Identifier(SCHEMA)
        )
    )
    for statement in (*grants, *views):
        await connection.execute(statement)
    await connection.execute("SELECT milestream_private.protect(%s::regclass)", [name])
    await connection.execute(sql.SQL("DROP TABLE {}").format(retired))
    built = await _index_names(connection, name)
    assert built.keys() == names.keys(), f"{twin} was not made like {name}"
    for definition, index in names.items():
        await connection.execute(
            sql.SQL("ALTER INDEX {} RENAME TO {}").format(
                sql.Identifier(SCHEMA, built[definition]), sql.Identifier(index)
            )
        )


async def _index_names(connection: Connection, table: str) -> dict[tuple[str, int], str]:
    """Return a table's index names by what they index; equal ones are numbered."""
    cursor = await connection.execute(
        "SELECT pg_get_indexdef(indexrelid), indexrelid::regclass::text, indisprimary "
        "FROM pg_index WHERE indrelid = %s::regclass ORDER BY indexrelid",
        [table],
    )
    names: dict[tuple[str, int], str] = {}
    for definition, name, primary in await cursor.fetchall():
        what = f"{primary} {re.sub('^CREATE (UNIQUE )?INDEX .*? USING ', '', definition)}"
        number = sum(known == what for known, _ in names)
        names[what, number] = name.rpartition(".")[2].strip('"')
    return names


async def _grants(connection: Connection, table: str) -> list[sql.Composed]:
    """Return what gives a table's rights again; the owner has his anyway."""
    cursor = await connection.execute(
        "SELECT CASE grantee WHEN 0 THEN NULL ELSE grantee::regrole::text END, privilege_type, "
        "is_grantable FROM pg_class, aclexplode(relacl) "
        "WHERE oid = %s::regclass AND grantee <> relowner",
        [table],
    )
    schema, _, name = table.partition(".")
    return [
        sql.SQL("GRANT {} ON {} TO {}{}").format(
            sql.SQL(privilege),
            sql.Identifier(schema, name),
            sql.SQL("PUBLIC") if grantee is None else sql.SQL(grantee),
            sql.SQL(" WITH GRANT OPTION" if grantable else ""),
        )
        for grantee, privilege, grantable in await cursor.fetchall()
    ]


async def _views(connection: Connection, table: str) -> list[sql.Composed]:
    """Return what makes each view on a table again, by the table's name; rights stay."""
    cursor = await connection.execute(
        "SELECT DISTINCT view.oid::regclass::text, view.reloptions, pg_get_viewdef(view.oid) "
        "FROM pg_depend "
        "JOIN pg_rewrite ON pg_rewrite.oid = pg_depend.objid "
        "JOIN pg_class AS view ON view.oid = pg_rewrite.ev_class "
        "WHERE pg_depend.classid = 'pg_rewrite'::regclass "
        "AND pg_depend.refobjid = %s::regclass AND view.relkind = 'v'",
        [table],
    )
    return [
        sql.SQL("CREATE OR REPLACE VIEW {} {} AS {}").format(
            sql.SQL(view),
            sql.SQL(f"WITH ({', '.join(options)})" if options else ""),
            sql.SQL(definition),
        )
        for view, options, definition in await cursor.fetchall()
    ]
