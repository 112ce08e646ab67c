"""A milestone that comes late, given for all of history while logs go on, and the command and the
worker are killed at each of its steps: rewards and points are those of a world in which it had
always been there, each once, and `verify` agrees."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from aiokafka import TopicPartition

from schemas import ids
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, MEMBER_COMMANDS
from tests.integration.api.serving import environment, run
from tests.integration.processor.driving import (
    CHALLENGE,
    MILESTONES,
    TARGET,
    History,
    Worker,
    definitions,
    drain,
    log_ends,
    produce,
    values,
    wait_folded,
    wait_until,
)
from tests.integration.projections.driving import query
from tests.sizes import FULL_RECORDS, PAUSES, RECORDS

LOGS = RECORDS // 8 if RECORDS < FULL_RECORDS else RECORDS
MEMBERS = max(50, LOGS // 20)
LATE, LATE_TARGET, POINTS = "22222222-2222-4222-8222-222222222203", Decimal(180), 7
EACH_SECOND = 1_000
PIECE = 100
"""Live logs that are sent at once."""
STEPS = ("report", "cuts", "corrections")
"""At each of these the command is killed, and the worker with it."""
PATIENCE_SECONDS = 300 * (1 + PAUSES)
SHORT_LEASE = "import api.queries.recalculations as r; r.LEASE_SECONDS = 5; "
"""A command that is to be killed is taken to be gone sooner; where a busy machine stands still, it
must not be too soon."""


class Live:
    """Logs of half of the members that go on until the block is left: some of them
    reach the milestone by themselves, once it is in force."""

    def __init__(self, settings: Settings, history: History) -> None:
        self._settings = settings
        self._history = history
        history.members = MEMBERS // 2
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            produce(self._settings, self._history.records(PIECE, self._settings))
            self._ending.wait(began + PIECE / EACH_SECOND - time.monotonic())


class Command:
    """`milestream recalculate --apply`, killed and given again."""

    def __init__(self, settings: Settings, rules: Path, output: Path) -> None:
        self._settings = settings
        self._typed = ["recalculate", "-f", str(rules), "--apply", "--json"]
        self._output = output
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, kept: bool = False) -> "subprocess.Popen[bytes]":
        """Give it; ``kept``: it is not to be killed."""
        program = f"{'' if kept else SHORT_LEASE}from deploy.cli import main; main()"
        with self._output.open("wb") as out, self._output.with_suffix(".err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *self._typed],
                env=environment(self._settings),
                stdout=out,
                stderr=errors,
            )
        return self.process

    def kill(self) -> None:
        """SIGKILL it, where it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """What it said."""
        return self._output.with_suffix(".err").read_text("utf-8", "replace")[-3000:]

    def answer(self) -> Any:
        """What it printed."""
        return json.loads(self._output.read_text())


def is_at(settings: Settings, step: str) -> bool:
    """Tell whether the recalculation that runs is at a step, and in the midst of it: one partition
    is done, where it does one after the other."""
    text = "SELECT step, next_partition FROM milestream_private.recalculation_work"
    return any(at == step and (step == "cuts" or done > 0) for at, done in query(settings, text))


def wait_for_step(settings: Settings, wanted: str, command: Command) -> None:
    """Wait until the command is at a step."""
    process = command.process
    assert process is not None
    wait_until(
        lambda: is_at(settings, wanted) or process.poll() is not None,
        PATIENCE_SECONDS,
        command.said,
    )
    assert process.poll() is None, command.said()


def is_all_folded(settings: Settings) -> bool:
    """Tell whether the chunk log has all logs and commands."""
    places = [
        TopicPartition(settings.topic(topic), number)
        for topic in (CHALLENGE_LOGS, MEMBER_COMMANDS)
        for number in range(settings.partitions)
    ]
    ends = asyncio.run(log_ends(settings, places))
    folded: dict[TopicPartition, int] = {}
    for record in drain(settings, "chunk-log", settled=False):
        for span in json.loads(record.value)["inputs"]:
            place = TopicPartition(settings.topic(span["topic"]), record.partition)
            folded[place] = max(folded.get(place, 0), span["last"] + 1)
    return all(folded.get(place, 0) >= end for place, end in ends.items())


def rules(path: Path) -> Path:
    """Write the milestone that comes late."""
    document = {
        "kind": "milestone", "id": LATE, "linkedSchemaRecordId": CHALLENGE, "name": "Late",
        "milestoneTargetValue": int(LATE_TARGET), "points": POINTS,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_late_milestone_is_given_as_if_it_had_always_been_there(
    settings: Settings, tmp_path: Path
) -> None:
    history = History(MEMBERS, seed=14)
    command = Command(settings, rules(tmp_path / "late.yaml"), tmp_path / "recalculate.json")
    worker = Worker(settings, "w")
    produce(settings, definitions())
    produce(settings, history.records(LOGS, settings))
    with worker:
        wait_folded(settings, LOGS, 60 + LOGS / 500, worker)
        quiet = members_over(history, LATE_TARGET, first=MEMBERS // 2)
        try:
            with Live(settings, history):
                for each in STEPS:
                    if each == "cuts":  # it comes no further without a worker
                        worker.kill()
                        worker.wipe()
                    command.start()
                    wait_for_step(settings, each, command)
                    command.kill()
                    worker.kill()
                    worker.start()
                code = command.start(kept=True).wait(PATIENCE_SECONDS)
        finally:
            command.kill()
        assert code == 0, command.said()
        check_folded(settings, command.answer())
        wait_until(lambda: is_all_folded(settings), 240, worker.text)
    check_answer(settings, command.answer(), quiet)
    check_outputs(settings, history)
    verified = run(settings, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def members_over(history: History, target: Decimal, first: int = 0) -> set[str]:
    """Return the ids of the members, from the first on, whose logs come to so much."""
    return {
        ids.member_id("default", name)
        for name, total in history.sums.items()
        if total >= target and int(name.removeprefix("user-")) >= first
    }


def check_folded(settings: Settings, answer: Any) -> None:
    """Check that workers have folded every correction by now, each once."""
    members = [
        each["subject"]
        for each in values(settings, "progress-events")
        if each["data"].get("recalculationId") == answer["id"]
    ]
    assert len(members) == len(set(members)) == answer["totals"]["members"]


def check_answer(settings: Settings, answer: Any, quiet: set[str]) -> None:
    """Check what the command said, and the rows that it wrote: at least those of the members who
    were quiet meanwhile, for whom nothing but the recalculation gives it."""
    assert answer["status"] == "applied"
    totals = answer["totals"]
    assert (totals["completions"], answer["notGiven"]) == (0, [])
    assert totals["rewards"] == totals["members"] >= len(quiet) > 0
    assert totals["points"] == POINTS * totals["rewards"]
    text = "SELECT member_id::text FROM milestream.recalculation_changes WHERE kind = 'milestone'"
    rows = query(settings, text)
    assert len(rows) == totals["rewards"]
    assert quiet <= {member for (member,) in rows}
    assert query(settings, "SELECT status, project FROM milestream.recalculations") == [
        ("applied", "default")
    ]
    assert query(settings, "SELECT id FROM milestream_private.recalculation_work") == []


def check_outputs(settings: Settings, history: History) -> None:
    """Compare rewards, completions and points with those of a world in which the milestone had
    always been there."""
    targets = {**MILESTONES, LATE: LATE_TARGET}
    expected = Counter(
        (member, milestone)
        for milestone, target in targets.items()
        for member in members_over(history, target)
    )
    given = [
        each
        for each in values(settings, "reward-events")
        if each["type"] == "milestream.reward.granted.v1"
    ]
    assert Counter((each["subject"], each["data"]["milestoneId"]) for each in given) == expected
    reached = values(settings, "milestone-events")
    assert Counter((each["subject"], each["data"]["milestoneId"]) for each in reached) == expected
    completed = [
        each["subject"]
        for each in values(settings, "progress-events")
        if each["type"] == "milestream.challenge.completed.v1"
    ]
    assert Counter(completed) == Counter(members_over(history, TARGET))
    points = values(settings, "points-events")
    assert {each["data"]["points"] for each in points} == {POINTS}
    assert Counter(each["subject"] for each in points) == Counter(
        members_over(history, LATE_TARGET)
    )
    assert values(settings, "dead-letters") == []
