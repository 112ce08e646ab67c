"""`milestream doctor`: a line each, ok or what to do."""

import asyncio
import json
import os
import subprocess

from projections.migrate import migrate
from schemas.settings import Settings
from schemas.topics import POINTS_EVENTS
from tests.integration.deploy.conftest import MILESTREAM, Run
from tests.integration.deploy.test_topics import set_config


def test_what_is_missing_is_named_with_what_to_do(run: Run) -> None:
    """No topic is there yet, and nothing has migrated the database."""
    done = run("doctor", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["ok"]
    checks = {each["name"]: each for each in report["checks"]}
    # Roles belong to the whole cluster: another database of it may have been migrated.
    assert {name for name, each in checks.items() if each["ok"]} - {"database login"} == {
        *("version", "fast path", "disk", "master key", "brokers", "transactions"),
        *("database", "clock"),
    }
    assert checks["worker lag"]["advice"] == "see topics first"
    assert "is missing" in checks["topics"]["found"]
    assert "milestream topics create" in checks["topics"]["advice"]
    assert "milestream migrate" in checks["migrations"]["advice"]
    assert all(each["advice"] for each in checks.values() if not each["ok"])


def test_a_topic_that_was_changed_is_found(topics: Settings, run: Run) -> None:
    migrate(topics.database_url)
    asyncio.run(set_config(topics, POINTS_EVENTS, {"retention.ms": "1000"}))
    done = run("doctor")
    assert done.returncode == 1
    marks = {line[5:20].strip(): line[:4].strip() for line in done.stdout.splitlines()}
    assert marks["topic settings"] == marks["workers"] == "FAIL"
    assert marks["brokers"] == marks["topics"] == marks["migrations"] == "ok"
    assert f"{topics.topic(POINTS_EVENTS)} has another retention.ms" in done.stdout


def test_servers_that_do_not_answer_are_named(settings: Settings) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/x"
    away = settings.model_copy(update={"kafka": "127.0.0.1:1", "database_url": nowhere})
    done = subprocess.run(
        [MILESTREAM, "doctor"],
        env={**os.environ, **away.to_env()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in done.stdout
    assert "look at PostgreSQL, and at MILESTREAM_DATABASE_URL" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
