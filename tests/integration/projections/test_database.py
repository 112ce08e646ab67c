"""Migrations, comments, roles and row-level security, on the real PostgreSQL."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from projections.analysts import Login, create_login
from projections.catalogue import PROJECTIONS
from projections.migrate import MigrationError, migrate, migrations


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url)
    with psycopg.connect(migrated_url) as connection:
        rows = connection.execute("SELECT version FROM milestream_private.migrations ORDER BY 1")
        assert [row[0] for row in rows] == [m.version for m in migrations()]


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(database_url)
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_version_is_refused(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute("INSERT INTO milestream_private.migrations VALUES (9999, 'later')")
    with pytest.raises(MigrationError, match="newer"):
        migrate(migrated_url)


def test_every_table_and_every_column_has_a_comment(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        silent = connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute "
            "JOIN pg_class ON pg_class.oid = attrelid "
            "WHERE relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped "
            "AND relnamespace::regnamespace::text IN ('milestream', 'milestream_private') "
            "AND (col_description(attrelid, attnum) IS NULL "
            "OR obj_description(attrelid, 'pg_class') IS NULL)"
        ).fetchall()
    assert silent == []


def test_every_projection_writes_columns_that_its_table_has(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        for projection in PROJECTIONS.values():
            columns = connection.execute(
                "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0",
                [f"milestream.{projection.table}"],
            ).fetchone()
            assert columns == (list(projection.columns),)


def _tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'milestream'")
        return [row[0] for row in rows]


@pytest.fixture
def filled_url(migrated_url: str) -> str:
    """A database with a reward-like row of two projects, and letters of one and of none."""
    with psycopg.connect(migrated_url) as connection:
        for project in ("acme", "other"):
            connection.execute(
                "INSERT INTO milestream.milestones_reached VALUES (%s, gen_random_uuid(), "
                "gen_random_uuid(), gen_random_uuid(), 'challenge', 'c', 'all', 1, now(), 0, 0)",
                [project],
            )
        for offset, named in enumerate(("acme", "other", None)):
            connection.execute(
                "INSERT INTO milestream.dead_letters VALUES "
                "(%s, 'invalid', 'm', 'events', 0, %s, 'k', 'utf-8', null, '[]', 1, now())",
                [named, offset],
            )
    return migrated_url


@pytest.fixture
def login(filled_url: str) -> Iterator[Login]:
    """A login for the project acme."""
    login = create_login(filled_url, "acme")
    yield login
    with psycopg.connect(filled_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(login.user)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login.user)))


def test_a_login_for_a_project_sees_its_rows_and_no_others(login: Login) -> None:
    with psycopg.connect(login.database_url) as connection:
        assert connection.execute("SELECT project FROM milestones_reached").fetchall() == [
            ("acme",)
        ]
        assert connection.execute("SELECT project FROM milestream.dead_letters").fetchall() == [
            ("acme",)
        ]
        connection.execute("SELECT * FROM milestream.projection_checkpoints")
        plan = connection.execute("EXPLAIN SELECT * FROM milestones_reached").fetchall()
        assert "InitPlan" in str(plan)  # the project is looked up once per query


def test_a_login_for_a_project_is_not_a_member_of_the_role_that_sees_all(
    login: Login, filled_url: str
) -> None:
    with psycopg.connect(filled_url) as connection:
        assert connection.execute(
            "SELECT pg_has_role(%s, 'milestream_analyst', 'MEMBER'), rolsuper, rolcreaterole, "
            "rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = %s",
            [login.user, login.user],
        ).fetchone() == (False, False, False, False, False)


FORBIDDEN = [
    "SELECT * FROM milestream_private.api_keys",
    "SELECT * FROM milestream_private.jwt_keys",
    "SELECT * FROM milestream_private.analyst_logins",
    "INSERT INTO milestream_private.analyst_logins VALUES (session_user, 'other', now())",
    "UPDATE milestream.dead_letters SET project = 'acme'",
    "DELETE FROM milestream.dead_letters",
    "TRUNCATE milestream.dead_letters",
    "CREATE TABLE milestream.mine (x integer)",
    "SELECT milestream_private.protect('milestream.members')",
    "SET ROLE milestream_analyst",
    "ALTER TABLE milestream.members DISABLE ROW LEVEL SECURITY",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_login_for_a_project_may_do_nothing_else(login: Login, statement: str) -> None:
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")  # not what holds it back
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.parametrize("statement", [s for s in FORBIDDEN if not s.startswith("SET ROLE")])
def test_the_analyst_role_may_read_all_and_do_nothing_else(filled_url: str, statement: str) -> None:
    with psycopg.connect(filled_url, autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION milestream_analyst")
        for table in _tables(filled_url):
            connection.execute(f"SELECT * FROM milestream.{table}".encode())
        seen = connection.execute("SELECT project FROM milestream.dead_letters").fetchall()
        assert len(seen) == 3
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_every_read_model_is_protected(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity, "
            "(SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) "
            "FROM pg_class WHERE relnamespace = 'milestream'::regnamespace AND relkind = 'r'"
        ).fetchall()
    assert {row[1:] for row in rows} == {(True, 2)}
    written = {table for projection in PROJECTIONS.values() for table in projection.tables}
    assert {row[0] for row in rows} == written | {"projection_checkpoints"}
