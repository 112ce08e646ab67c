"""Migrations, comments, roles and row-level security, on the real PostgreSQL."""

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from projections.analysts import Login, _url_for, create_login, logins, revoke_login
from projections.catalogue import PROJECTIONS
from projections.database import connect
from projections.hardening import TEMPORARY_FILES
from projections.long_reads import end_long_reads
from projections.migrate import MigrationError, migrate, migrations
from schemas import database_roles
from tests.stack import FreshSettings, are_shared, describe


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url)
    with psycopg.connect(migrated_url) as connection:
        rows = connection.execute("SELECT version FROM milestream_private.migrations ORDER BY 1")
        assert [row[0] for row in rows] == [m.version for m in migrations()]


def test_a_copy_lets_in_whom_a_migrated_database_does(migrated_url: str, database_url: str) -> None:
    migrate(database_url)
    rights = [_rights(url) for url in (migrated_url, database_url)]
    assert rights[0] == rights[1]


def _rights(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return set(
            connection.execute(
                "SELECT grantee, privilege_type, is_grantable FROM pg_database, aclexplode(datacl) "
                "WHERE datname = current_database()"
            )
        )


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


def test_rows_are_written_while_an_index_is_built(migrated_url: str) -> None:
    concurrent = next(each for each in migrations() if each.concurrently)
    with psycopg.connect(migrated_url) as connection:
        connection.execute(
            "DELETE FROM milestream_private.migrations WHERE version = %s", [concurrent.version]
        )
        connection.execute("DROP INDEX milestream.dead_letters_newest")
    building = threading.Thread(target=migrate, args=(migrated_url,))
    with psycopg.connect(migrated_url) as first, psycopg.connect(migrated_url) as later:
        first.execute(_LETTER, [1])  # not committed: the index waits for it
        building.start()
        _wait_for(migrated_url, "SELECT FROM pg_stat_activity WHERE state = 'active' "
            "AND query LIKE '%dead_letters_newest%' AND wait_event_type = 'Lock'")  # fmt: skip
        later.execute("SET lock_timeout = '10s'")
        later.execute(_LETTER, [2])
        later.commit()
    building.join(60)
    with psycopg.connect(migrated_url) as connection:
        valid = connection.execute(
            "SELECT bool_and(indisvalid), count(*) FROM pg_index "
            "WHERE indrelid = 'milestream.dead_letters'::regclass"
        ).fetchone()
        rows = connection.execute("SELECT count(*) FROM milestream.dead_letters").fetchone()
    assert (valid, rows) == ((True, 4), (2,))


_LETTER = """
INSERT INTO milestream.dead_letters (reason, message, topic, partition, "offset", key_encoding,
    headers, attempts, at)
VALUES ('invalid', '', 'events', 0, %s, 'utf-8', '[]', 1, now())
"""


def _wait_for(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 60
        while connection.execute(statement.encode()).fetchone() is None:
            assert time.monotonic() < deadline, statement
            time.sleep(0.05)


def test_an_index_that_was_cut_off_is_built_again(migrated_url: str) -> None:
    concurrent = next(each for each in migrations() if each.concurrently)
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM milestream_private.migrations WHERE version = %s", [concurrent.version]
        )
        connection.execute("DROP INDEX milestream.dead_letters_newest")
        with psycopg.connect(migrated_url) as other:
            other.execute(_LETTER, [1])
            connection.execute("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(
                    "CREATE INDEX CONCURRENTLY dead_letters_newest "
                    "ON milestream.dead_letters (project, at)"
                )
    migrate(migrated_url)
    with psycopg.connect(migrated_url) as connection:
        broken = connection.execute("SELECT FROM pg_index WHERE NOT indisvalid").fetchall()
        made = connection.execute("SELECT 'milestream.dead_letters_newest'::regclass").fetchone()
    assert broken == []
    assert made is not None


@pytest.fixture
def unsummed_url(migrated_url: str) -> str:
    """A database from before there were sums, with recalculations in two periods of one member."""
    with psycopg.connect(migrated_url) as connection:
        connection.execute("DELETE FROM milestream_private.migrations WHERE version >= 35")
        connection.execute("ALTER TABLE milestream.recalculations DROP COLUMN sums")
        for status in (*_ENDED_WELL, "running", "cancelled", "failed"):
            for project in ("has-changes", "forgotten"):
                found = connection.execute(_RECALCULATION, [project, status]).fetchone()
                assert found is not None
                for period in ("2026-W46", "2026-W47") if project == "has-changes" else ():
                    connection.execute(_CHANGE, [project, found[0], _SOME, _SOME, period])
    return migrated_url


_ENDED_WELL = ("reported", "applied", "refused")
_SOME = "00000000-0000-4000-8000-0000000000c1"
_RECALCULATION = """
INSERT INTO milestream.recalculations (id, project, status, mode, definitions, apply)
VALUES (gen_random_uuid(), %s, %s, 'additive', '[]', true) RETURNING id
"""
_CHANGE = """
INSERT INTO milestream.recalculation_changes (project, recalculation_id, kind, id, member_id,
    period_key, before, after, points)
VALUES (%s, %s, 'challenge', %s, %s, %s, 1, 2.5, 0)
"""


def test_sums_are_made_of_recalculations_that_have_all_their_changes(unsummed_url: str) -> None:
    migrate(unsummed_url)
    with psycopg.connect(unsummed_url) as connection:
        rows = connection.execute(
            "SELECT project, status, sums FROM milestream.recalculations WHERE sums IS NOT NULL"
        ).fetchall()
    sums = [{"kind": "challenge", "id": _SOME, "members": 1, "points": 0, "before": 2, "after": 5}]
    assert sorted(rows) == [("has-changes", status, sums) for status in sorted(_ENDED_WELL)]


def test_recalculations_are_read_while_their_changes_are_added_up(unsummed_url: str) -> None:
    migrating = threading.Thread(target=migrate, args=(unsummed_url,))
    with psycopg.connect(unsummed_url) as first, psycopg.connect(unsummed_url) as reader:
        first.execute("LOCK milestream.recalculation_changes IN ACCESS EXCLUSIVE MODE")
        migrating.start()
        _wait_for(unsummed_url, "SELECT FROM pg_stat_activity WHERE state = 'active' "
            "AND query LIKE '%jsonb_agg%' AND wait_event_type = 'Lock'")  # fmt: skip
        reader.execute("SET lock_timeout = '10s'")
        found = reader.execute("SELECT count(*) FROM milestream.recalculations").fetchone()
    migrating.join(60)
    assert found == (12,)


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


AMENDED = ("voided_portion",)
"""What no row begins with."""


def test_every_projection_writes_columns_that_its_table_has(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        for projection in PROJECTIONS.values():
            columns = connection.execute(
                "SELECT attname::text FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
                "AND attgenerated = ''",
                [f"milestream.{projection.table}"],
            ).fetchall()
            # In any order: whatever is written names its columns.
            written = [name for (name,) in columns if name not in AMENDED]
            assert sorted(projection.columns) == sorted(written)


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
    _drop(filled_url, login.user)


@pytest.fixture
def analyst_url(filled_url: str) -> Iterator[str]:
    """A login with the role that sees all projects."""
    name = f"sees_all_{secrets.token_hex(4)}"
    with psycopg.connect(filled_url) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw' IN ROLE milestream_analyst").format(
                sql.Identifier(name)
            )
        )
    yield _url_for(filled_url, name, "pw")
    _drop(filled_url, name)


def _drop(url: str, login: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        role = sql.Identifier(login)
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


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
    "SELECT FROM milestream_private.locks FOR UPDATE",
    "BEGIN; LOCK TABLE milestream_private.migrations",
    "BEGIN; LOCK TABLE milestream.members IN EXCLUSIVE MODE",
    "CREATE TEMPORARY TABLE mine (x integer)",
    "SELECT milestream_private.end_long_reads('0')",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_login_for_a_project_may_do_nothing_else(login: Login, statement: str) -> None:
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")  # not what holds it back
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.parametrize("statement", [s for s in FORBIDDEN if not s.startswith("SET ROLE")])
def test_the_analyst_role_may_read_all_and_do_nothing_else(
    filled_url: str, analyst_url: str, statement: str
) -> None:
    with psycopg.connect(analyst_url, autocommit=True) as connection:
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
    by_the_api = {"recalculations", "recalculation_changes"}
    assert {row[1:] for row in rows if row[0] not in by_the_api} == {(True, 3)}
    assert {row[1:] for row in rows if row[0] in by_the_api} == {(True, 4)}
    written = {table for projection in PROJECTIONS.values() for table in projection.tables}
    assert {row[0] for row in rows} == written | by_the_api | {"projection_checkpoints"}


PLACES = (
    "SELECT * FROM milestream_private.api_keys",
    "SELECT * FROM milestream_private.jwt_keys",
    "SELECT * FROM milestream_private.analyst_logins",
    "CREATE ROLE mine",
    "CREATE SCHEMA mine",
)
API_MAY_NOT = (
    *PLACES[2:],
    "INSERT INTO milestream_private.api_keys VALUES ('k', 'p', 'admin', '')",
    "UPDATE milestream_private.api_keys SET project = 'other'",
    "UPDATE milestream_private.jwt_keys SET algorithm = 'HS256'",
    "DELETE FROM milestream.dead_letters",
    "INSERT INTO milestream.milestones_reached SELECT * FROM milestream.milestones_reached",
    "CREATE TABLE milestream.mine (x integer)",
    "CREATE TEMPORARY TABLE mine (x integer)",
)
PROJECTOR_MAY_NOT = (
    *PLACES,
    "SELECT * FROM milestream_private.used_nonces",
    "UPDATE milestream_private.migrations SET name = 'other'",
)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        *((database_roles.API, statement) for statement in API_MAY_NOT),
        *((database_roles.PROJECTOR, statement) for statement in PROJECTOR_MAY_NOT),
    ],
)
def test_what_runs_may_do_what_it_does_and_no_more(
    filled_url: str, role: str, statement: str
) -> None:
    with psycopg.connect(filled_url, autocommit=True) as connection:
        taken = connection.execute(database_roles.TAKE, [role]).fetchone()
        assert taken == (role,)
        for table in _tables(filled_url):
            rows = connection.execute(f"SELECT * FROM milestream.{table}".encode()).fetchall()
            assert len(rows) == {"milestones_reached": 2, "dead_letters": 3}.get(table, 0)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_owner_is_no_superuser_and_migrates(migrated_url: str) -> None:
    """What the rest of the tests run with, where the servers are the local stack's."""
    with psycopg.connect(migrated_url) as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class "
            "WHERE relnamespace = 'milestream'::regnamespace AND relkind = 'r'"
        ).fetchall()
        (superuser,) = connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchall()
    assert owners == [(database_roles.PROJECTOR,)]
    assert superuser == (False,) or are_shared() or "containers" in describe()


def test_a_login_that_may_not_migrate_says_so(fresh_settings: FreshSettings) -> None:
    done = fresh_settings().database_url
    migrate(done)
    name, password = f"looks_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(done) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                sql.Identifier(name), sql.Literal(password), sql.Identifier(database_roles.API)
            )
        )
    migrate(_url_for(done, name, password))
    with psycopg.connect(done) as connection:
        connection.execute("DELETE FROM milestream_private.migrations WHERE version = 1")
    with pytest.raises(MigrationError, match="milestream migrate"):
        migrate(_url_for(done, name, password))
    _drop(done, name)


def test_a_login_takes_few_connections_and_little_time(login: Login) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(psycopg.connect(login.database_url))
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            stack.enter_context(psycopg.connect(login.database_url))
    with _when_there_is_room(login.database_url) as connection:
        for name, value in (
            ("statement_timeout", "1min"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("default_transaction_read_only", "on"),
        ):
            assert connection.execute(f"SHOW {name}".encode()).fetchone() == (value,)


def _when_there_is_room(url: str) -> "psycopg.Connection[Any]":
    """Connect; the server counts connections for a moment after they were closed."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError as error:
            if "too many connections" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


WRITERS = [
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock(1, 2)",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_notify('a', 'b')",
]


@pytest.mark.parametrize("statement", WRITERS)
def test_a_login_fills_neither_disk_nor_lock_table(login: Login, statement: str) -> None:
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_a_login_fills_no_disk_with_temporary_files(login: Login) -> None:
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        assert connection.execute("SHOW temp_file_limit").fetchone() == (TEMPORARY_FILES,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET temp_file_limit = -1")


def test_a_login_is_let_into_no_other_database(login: Login, fresh_settings: FreshSettings) -> None:
    other = fresh_settings().database_url
    migrate(other)
    user = urlsplit(login.database_url).netloc
    for url in (other, urlunsplit(urlsplit(other)._replace(path="/postgres"))):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(urlunsplit(urlsplit(url)._replace(netloc=user)))


def test_neither_names_nor_statistics_tell_of_other_projects(login: Login, filled_url: str) -> None:
    with psycopg.connect(filled_url, autocommit=True) as connection:
        connection.execute("ANALYZE milestream.milestones_reached")
    other = create_login(filled_url, "another-project")
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        names = str(connection.execute("SELECT rolname, rolconfig FROM pg_roles").fetchall())
        assert other.user in names
        assert "another-project" not in names
        assert "acme" not in names
        for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
            seen = connection.execute(
                f"SELECT * FROM {view} WHERE schemaname LIKE 'milestream%'".encode()
            ).fetchall()
            assert seen == [], view
        with psycopg.connect(filled_url, application_name="milestream-test") as somebody:
            somebody.execute("SELECT 'another-project'")
            activity = connection.execute("SELECT query FROM pg_stat_activity").fetchall()
            assert "'another-project'" not in str(activity)
    assert revoke_login(filled_url, "another-project", other.user)


def test_what_the_planner_expects_tells_nothing_personal(login: Login, filled_url: str) -> None:
    with psycopg.connect(filled_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO milestream.members (project, member_id, external_id, email, groups, "
            "status, created_at, updated_at, version, sequence) "
            "SELECT 'other', gen_random_uuid(), n, n || '@example.org', '{}', "
            "'live', now(), now(), 1, 1 FROM generate_series(1000, 9000) AS n"
        )
        connection.execute("ANALYZE milestream.members")
    with psycopg.connect(login.database_url, autocommit=True) as connection:
        for column in ("email", "external_id"):
            expected = set()
            for bound in ("0", "5", "9"):
                plan = connection.execute(
                    f"EXPLAIN (FORMAT JSON) SELECT FROM members WHERE {column} < '{bound}'".encode()
                ).fetchall()
                expected.add(plan[0][0][0]["Plan"]["Plan Rows"])
            assert len(expected) == 1, column


def test_what_is_personal_has_no_statistics_in_a_table_that_is_built_anew(
    migrated_url: str,
) -> None:
    personal = {"email", "attributes", "reason", "actor", "assigned_because", "metadata"}
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        names = ", ".join(f"{name} text" for name in sorted(personal))
        connection.execute(f"CREATE TABLE milestream.twin ({names}, points integer)".encode())
        connection.execute("CREATE INDEX twin_lower ON milestream.twin (points, lower(email))")
        connection.execute("SELECT milestream_private.hide_statistics('milestream.twin')")
        rows = connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attstattarget = 0 "
            "AND attrelid IN ('milestream.twin'::regclass, 'milestream.twin_lower'::regclass)"
        ).fetchall()
    assert set(rows) == {
        *(("twin", name) for name in personal),
        ("twin_lower", "lower"),
    }


def test_a_login_is_listed_and_revoked(filled_url: str) -> None:
    one, two = (create_login(filled_url, "acme") for _ in range(2))
    assert {known.user for known in logins(filled_url, "acme")} == {one.user, two.user}
    assert logins(filled_url, "other") == []
    assert not revoke_login(filled_url, "other", one.user)
    with psycopg.connect(one.database_url, autocommit=True) as connection:
        assert revoke_login(filled_url, "acme", one.user)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(one.database_url)
    psycopg.connect(two.database_url).close()
    assert [known.user for known in logins(filled_url, "acme")] == [two.user]
    assert not revoke_login(filled_url, "acme", one.user)
    assert revoke_login(filled_url, "acme", two.user)


async def test_an_analyst_cannot_read_for_ever(login: Login, filled_url: str) -> None:
    async with (
        await connect(filled_url, "test") as projector,
        await connect(login.database_url, "test") as analyst,
        await connect(login.database_url, "test") as another,
    ):
        await projector.execute(database_roles.TAKE, [database_roles.PROJECTOR])
        await analyst.execute("SET idle_in_transaction_session_timeout = 0")
        await analyst.execute("BEGIN")
        await analyst.execute("SELECT * FROM milestones_reached")
        assert await end_long_reads(projector, timedelta(hours=1)) == 0
        assert await end_long_reads(projector, timedelta(0)) == 1
        with pytest.raises(psycopg.OperationalError):
            await analyst.execute("SELECT 1")
        await another.execute("SELECT 1")  # it had no transaction
