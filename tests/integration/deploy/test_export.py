"""`milestream export`: what is in the tables is in the files."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from deploy.exporting import parquet
from deploy.exporting.tables import Selection, tables
from projections.analysts import create_login, revoke_login
from schemas.settings import Settings
from tests import forking
from tests.integration.deploy.conftest import Run
from tests.stack import FreshSettings

AT = datetime(2026, 11, 21, 10, 30, 0, 250000, UTC)
ROWS = 50


@pytest.fixture
def settings(fresh_settings: FreshSettings) -> Settings:
    """Settings with a migrated database, in which two projects have members and points."""
    made = fresh_settings.migrated()
    with psycopg.connect(made.database_url) as connection, connection.cursor() as cursor:
        for project in ("acme", "other"):
            cursor.executemany(
                "INSERT INTO milestream.members (project, member_id, external_id, first_name, "
                "city, groups, status, created_at, updated_at, version, sequence) VALUES "
                "(%s, gen_random_uuid(), %s, %s, %s, %s, 'live', %s, %s, 1, 1)",
                [
                    (project, f"user-{n:03}", "" if n % 2 else None, 'Zürich,\n"quoted" \\N',
                     ["gold", 'a,"b"'] if n else [], AT, AT + timedelta(days=n))
                    for n in range(ROWS)
                ],
            )  # fmt: skip
            cursor.execute(
                "INSERT INTO milestream.points_balances (project, member_id, challenge_group, "
                "user_id, balance, held, updated_at, sequence) VALUES "
                "(%s, gen_random_uuid(), 'g', 'u', 99999999999999999999.999999999, 0.5, %s, 1)",
                [project, AT],
            )
    return made


def rows_of(url: str, name: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        columns = tables(connection)[name].columns
        as_text = [f"{c}::text" if kind == "uuid" else c for c, kind in columns.items()]
        statement = f"SELECT {', '.join(as_text)} FROM milestream.{name} WHERE project = 'acme'"
        return connection.execute(statement.encode()).fetchall()


def test_all_of_a_project_is_in_the_files(settings: Settings, run: Run, tmp_path: Path) -> None:
    to = tmp_path / "new" / "files"
    done = run("export", "--project", "acme", "--to", str(to), "--json")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(settings.database_url) as connection:
        there = tables(connection)
    said = {line["table"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert set(said) == set(there) >= {"members", "daily_actives", "recalculations"}
    assert {path.name for path in to.iterdir()} == {f"{name}.parquet" for name in there}
    for name in there:
        frame = pl.read_parquet(said[name]["file"])
        assert frame.columns == list(there[name].columns)
        assert frame.height == said[name]["rows"]
        assert said[name]["bytes"] == Path(said[name]["file"]).stat().st_size
    assert said["members"]["rows"] == ROWS
    for name in ("members", "points_balances", "points_liability"):
        found = pl.read_parquet(to / f"{name}.parquet").rows()
        assert sorted(found, key=repr) == sorted(rows_of(settings.database_url, name), key=repr)
    assert (to / "members.parquet").stat().st_mode & 0o777 == 0o600


def test_an_analyst_exports_what_it_sees_and_what_is_new(
    settings: Settings, tmp_path: Path
) -> None:
    login = create_login(settings.database_url, "acme")
    environment = {**settings.to_env(), "MILESTREAM_DATABASE_URL": login.database_url}

    def run(project: str, *more: str) -> str:
        words = ("export", "--project", project, "--to", str(tmp_path), "-t", "members", *more)
        done = forking.run(words, environment, seconds=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        since = (AT + timedelta(days=ROWS - 3)).isoformat().replace("+00:00", "Z")
        assert run("acme", "--since", since) == f"{tmp_path}/members.parquet: 3 rows\n"
        newest = pl.read_parquet(tmp_path / "members.parquet")["updated_at"]
        assert newest.min() == AT + timedelta(days=ROWS - 3)
        assert run("other") == f"{tmp_path}/members.parquet: 0 rows\n"
    finally:
        revoke_login(settings.database_url, "acme", login.user)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-t", "memberz"), "there is no table memberz"),
        (("--since", "yesterday"), "--since"),
        (("--to", "/dev/null/files"), "cannot be made"),
    ],
)
def test_what_is_wrong_is_said(
    run: Run, settings: Settings, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run("export", "--project", "acme", "--to", str(tmp_path), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []
    assert settings.database_url


def test_a_database_without_read_models_is_said(
    fresh_settings: FreshSettings, tmp_path: Path
) -> None:
    words = ("export", "--project", "acme", "--to", str(tmp_path))
    done = forking.run(words, fresh_settings().to_env(), seconds=300)
    assert done.returncode == 1
    assert "milestream migrate" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_broken_off_leaves_the_file_before(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 500)
    file = tmp_path / "members.parquet"
    file.write_bytes(b"that of before")

    class Broken(Exception):
        pass

    def tell(done: int) -> None:
        if done > ROWS // 2:
            raise Broken

    with psycopg.connect(settings.database_url) as connection:
        rows = Selection(tables(connection)["members"], "acme")
        with pytest.raises(Broken):
            parquet.write_table(connection, rows, file, tell)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"that of before"]
    told: list[int] = []
    with psycopg.connect(settings.database_url) as connection:
        assert rows.count(connection) == ROWS
        connection.execute("SET TimeZone = 'UTC'")
        assert parquet.write_table(connection, rows, file, told.append) == ROWS
    assert told[-1] == ROWS
    assert len(told) > 5
    assert pl.read_parquet(file).height == ROWS
