"""`milestream recalculate` where nobody has folded anything, and where it cannot be done."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from api.http.problems import Problem, response
from api.recalculating import asking, inputs
from api.recalculating.asking import Asked
from processor.domain.fold import ChunkLogged, Range
from processor.recalculation import DefinitionsChanged, Wanted, put_in_force, putting_in_force
from schemas import definitions as models
from schemas.instants import from_millis
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, DEFINITIONS
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


async def test_one_that_is_not_finished_is_cancelled_by_its_id(
    topics: Settings, run: Run, rules: str
) -> None:
    reported = json.loads(run("recalculate", "-f", rules, "--json").stdout)["id"]
    wanted = [named("Left")]
    asked = Asked(project="default", definitions=wanted, apply=True)
    async with await psycopg.AsyncConnection.connect(topics.database_url) as connection:
        left = str((await asking.begin(connection, asked, wanted, by_command=True)).id)
    blocked = run("recalculate", "-f", rules)
    assert (blocked.returncode, blocked.stdout) == (1, "")
    assert f"milestream recalculate --cancel {left} --project default" in blocked.stderr

    elsewhere = run("recalculate", "--cancel", left, "--project", "shop")
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
    assert f"the project shop has no recalculation {left}" in elsewhere.stderr
    ended = run("recalculate", "--cancel", left, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["id"], told["status"]) == (left, "cancelled")
    again = run("recalculate", "--cancel", left).stdout
    assert again.startswith(f"cancelled, recalculation {left}\n")
    late = run("recalculate", "--cancel", reported)
    assert (late.returncode, late.stdout) == (1, "")
    assert f"the recalculation {reported} has ended: it is reported" in late.stderr

    assert run("recalculate", "-f", rules).stdout.startswith("reported")
    assert await committed(topics, DEFINITIONS) == []


async def test_inputs_are_missed_that_were_folded_and_no_others(topics: Settings) -> None:
    before = datetime.now(UTC)
    await send(topics, CHALLENGE_LOGS, [(0, None, b"{}"), (0, None, b"{}"), (0, None, b"{}")])
    chunk = ChunkLogged(0, 1, 2, [Range(CHALLENGE_LOGS, 1, 2)], 0)
    await send(topics, CHUNK_LOG, [(0, None, msgspec.json.encode(chunk))])
    await inputs.require(topics)
    await remove_before(topics, {(CHALLENGE_LOGS, 0): 1})
    await inputs.require(topics)

    await remove_before(topics, {(CHALLENGE_LOGS, 0): 2})
    gone = await refused(topics)
    (left,) = await committed(topics, CHALLENGE_LOGS)
    told = datetime.fromisoformat(gone["since"])
    assert told == from_millis(left.timestamp)
    assert abs(before - told).days == 0
    assert (gone["status"], gone["code"]) == (422, "inputs_gone")
    assert "partition 0: nothing is left before 2; the earliest from which" in gone["detail"]

    await remove_before(topics, {(CHALLENGE_LOGS, 0): 3})
    assert "since" not in await refused(topics)


async def refused(settings: Settings) -> Any:
    """What is said of the inputs that are gone."""
    with pytest.raises(Problem) as problem:
        await inputs.require(settings)
    return json.loads(bytes(response(problem.value).body))


class Followed(Exception):
    """Another process works at the recalculation."""


async def holds() -> None:
    """It is the caller's still."""


async def lost() -> None:
    """It is not."""
    raise Followed


def of(name: str = "Monthly spend") -> tuple[int, bytes, bytes]:
    """A record of the challenge."""
    definition = named(name)
    key = models.definition_key("default", definition.kind, definition.id)
    return 0, key.encode(), models.encode(definition)


def named(name: str) -> models.Definition:
    """The challenge by another name."""
    return models.parse("challenge", {"id": CHALLENGE, "name": name, "completionTargetValue": 500})


async def test_who_is_followed_by_another_puts_nothing_in_force(topics: Settings) -> None:
    wanted = Wanted(project="default", definitions=[named("Wanted")])
    with pytest.raises(Followed):
        await put_in_force(topics, wanted, lost)
    assert await committed(topics, DEFINITIONS) == []
    end = await put_in_force(topics, wanted, holds, "ann")
    (written,) = await committed(topics, DEFINITIONS)
    assert (written.value, end) == (of("Wanted")[2], written.offset + 1)
    await put_in_force(topics, wanted, lost)  # it is in force already: nothing is written
    assert len(await committed(topics, DEFINITIONS)) == 1


@pytest.mark.parametrize("others", [True, False])
async def test_what_is_written_meanwhile_is_not_overwritten(
    topics: Settings, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    wanted = Wanted(project="default", definitions=[named("Wanted")])
    late = [(0, b"shop:challenge:x", b"{}") if others else of("Theirs")]
    write: Callable[..., Any] = putting_in_force._write

    async def overtaken(*arguments: Any) -> Any:
        if late:
            await send(topics, DEFINITIONS, [late.pop()])
        return await write(*arguments)

    monkeypatch.setattr(putting_in_force, "_write", overtaken)
    if others:
        await put_in_force(topics, wanted, holds)
    else:
        with pytest.raises(DefinitionsChanged, match=f"challenge {CHALLENGE}"):
            await put_in_force(topics, wanted, holds)
    written = [each.value for each in await committed(topics, DEFINITIONS)]
    assert written == ([b"{}", of("Wanted")[2]] if others else [of("Theirs")[2]])
