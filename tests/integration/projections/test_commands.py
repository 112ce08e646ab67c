"""`milestream analysts` and `milestream projector`, as they are typed."""

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from schemas.settings import Settings
from tests import forking
from tests.integration.projections.driving import caught_up, writing
from tests.ports import free_port
from tests.unit.projections.events import log_recorded, member_of


def _run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forking.run(arguments, os.environ | settings.to_env(), seconds=300)


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_analysts_create_prints_a_login_that_works(settings: Settings, option: list[str]) -> None:
    done = _run(settings, "analysts", "create", "--project", "acme", *option)
    assert (done.returncode, done.stderr) == (0, "")
    login = json.loads(done.stdout)
    assert login.keys() == {"user", "password", "database_url"}
    assert login["password"] in login["database_url"]
    with psycopg.connect(login["database_url"]) as connection:
        assert connection.execute("SELECT session_user::text, analyst_project()").fetchone() == (
            login["user"],
            "acme",
        )
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        role = sql.Identifier(login["user"])
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_analysts_create_refuses_what_is_no_project(settings: Settings) -> None:
    done = _run(settings, "analysts", "create", "--project", "No Project")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


async def test_a_projector_shows_its_metrics_and_ends_cleanly_when_told_to(
    settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    shown = settings.model_copy(update={"metrics_port": port})
    log = tmp_path / "projector.log"
    with log.open("wb") as output:
        child = forking.start(["projector"], os.environ | shown.to_env(), output)
    try:
        async with writing(settings) as writer:
            await writer.commit(log_recorded(member_of(1), 1))
        await caught_up(settings)
        await asyncio.to_thread(
            _wait_for_metrics,
            port,
            'milestream_projector_rows_total{table="challenge_logs"} 1.0',
            'milestream_projector_lag{partition="',
            "milestream_projector_transaction_seconds_count",
        )
        child.terminate()
        assert await asyncio.to_thread(child.wait, 60) == 0
        assert b"Traceback" not in log.read_bytes()
    finally:
        child.kill()
        child.wait()


def _wait_for_metrics(port: int, *wanted: str) -> None:
    """Wait until the metrics say so: they follow the commit by a moment, the lag by a second."""
    text: str = ""
    for _ in range(1000):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = str(answer.read(), "utf-8")
        if all(each in text for each in wanted):
            return
        time.sleep(0.05)
    raise AssertionError(text)


async def test_a_projector_that_cannot_go_on_says_why_and_fails(settings: Settings) -> None:
    async with writing(settings) as writer:
        await writer.put("reward-events", 1, b"k", b"{}")
    done = await asyncio.to_thread(_run, settings, "projector")
    assert done.returncode == 1
    assert "reward-events, partition 1, offset 0" in done.stderr
    assert "Traceback" not in done.stderr
