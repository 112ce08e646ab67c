"""`milestream recalculate` where nobody has folded anything, and where it cannot be done."""

import json
from pathlib import Path

import psycopg
import pytest

from schemas.settings import Settings
from schemas.topics import CHUNK_LOG
from tests.integration.deploy.conftest import Run, committed, send
from tests.integration.removing import remove_before

CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
RULES = f"""
kind: challenge
id: {CHALLENGE}
name: Monthly spend
completionTargetValue: 500
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


async def test_a_report_writes_nothing_to_the_broker(
    topics: Settings, run: Run, rules: str
) -> None:
    done = run("recalculate", "-f", rules, "--json", "--max-points", "0")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["id", "status", "definitions", "totals", "notGiven"]
    totals = {"members": 0, "completions": 0, "rewards": 0, "points": 0}
    assert (found["status"], found["totals"], found["notGiven"]) == ("reported", totals, [])
    assert [each["id"] for each in found["definitions"]] == [CHALLENGE]
    assert await committed(topics, "definitions") == []
    assert await committed(topics, "ticks") == []
    shown = run("recalculate", "-f", rules).stdout
    assert shown.startswith("reported, recalculation ")


async def test_what_cannot_be_is_one_line(
    topics: Settings, run: Run, rules: str, tmp_path: Path
) -> None:
    other = tmp_path / "event.yaml"
    other.write_text("{kind: event, eventId: visit, title: Visit, reward: {default: 1}}")
    for arguments, said in (
        (("--challenge", CHALLENGE), "no challenge"),
        (("-f", rules, "--project", "shop"), "default, shop"),
        (("-f", str(other)), "only challenges and their milestones"),
    ):
        done = run("recalculate", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    await send(topics, CHUNK_LOG, [(0, None, b"{}")])
    await remove_before(topics, {(CHUNK_LOG, 0): -1})
    done = run("recalculate", "-f", rules, "--apply")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Retention took inputs" in done.stderr
    with psycopg.connect(topics.database_url) as connection:
        rows = connection.execute("SELECT status FROM milestream.recalculations").fetchall()
    assert rows == []
