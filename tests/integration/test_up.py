"""`milestream up`, as a user runs it: ready, side by side, restarted, ended without a trace."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from deploy import demo_events, demo_people
from deploy.demo import HISTORY_DAYS, MEMBERS
from deploy.stack.servers import broker_answers
from deploy.stack.supervision import MARKER
from schemas.settings import PREFIX, Settings
from tests.documents import ROOT, Document
from tests.integration import curl
from tests.stack import stack_directory

READY_SECONDS = 180
STOP_SECONDS = 180
KEY = "DevelopmentOnlyNotASecretSetYourOwnKeyHere0="


@dataclass
class Up:
    """A running `milestream up`."""

    process: subprocess.Popen[str]
    data_dir: Path
    kafka: str
    database_url: str
    api: str

    def parts(self) -> list[psutil.Process]:
        """Every process of its stack but itself."""
        return [process for process in psutil.process_iter() if _stack_of(process) == self.data_dir]

    def part(self, name: str) -> psutil.Process:
        """The process that is `milestream <name>`, or the broker."""
        word = "kafka.Kafka" if name == "broker" else name
        (found,) = [process for process in self.parts() if word in _words(process)]
        return found

    def is_ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        try:
            with urllib.request.urlopen(f"{self.api}/readyz", timeout=20) as response:
                return bool(response.status == 200)
        except OSError:
            return False


Start = Callable[..., Up]


@contextlib.contextmanager
def starting() -> Iterator[Start]:
    """Start stacks by their data dirs, and end what is left running."""
    started: list[subprocess.Popen[str]] = []

    def up(data_dir: Path, **variables: str) -> Up:
        process = launch(data_dir, "--json", "--no-demo", **variables)
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()  # ends, with nothing, when the process does
        assert line, f"exit {process.wait()}:\n{(data_dir / 'up.log').read_text()[-5000:]}"
        addresses = json.loads(line)
        assert set(addresses) == {"kafka", "database_url", "api"}
        return Up(process, data_dir, **addresses)

    try:
        yield up
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start stacks of a test's own by their data dirs."""
    with starting() as up:
        yield up


@pytest.fixture(scope="module")
def lasting() -> Iterator[Up]:
    """A stack for all tests that leave one as they find it: the last ones, so that it does not run
    beside others."""
    with stack_directory() as directory, starting() as up:
        made = up(directory / "stack")
        yield made
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(STOP_SECONDS)


@pytest.fixture
def running() -> Iterator[Callable[[Path], Mapping[str, str]]]:
    """Run the demo as a terminal shows it; return what it says, by its first words."""
    started: list[subprocess.Popen[str]] = []

    def demo(data_dir: Path) -> Mapping[str, str]:
        process = launch(data_dir, "--demo")
        started.append(process)
        assert process.stdout is not None
        said: dict[str, str] = {}
        for line in process.stdout:
            words = line.split()
            if words[:1] == ["Ctrl-C"]:  # the last line
                return said
            if words:
                said[words[0]] = words[-1]
        raise AssertionError((data_dir / "up.log").read_text()[-5000:])

    yield demo
    for process in started:
        process.kill()
        process.wait()


def launch(data_dir: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Run `milestream up` in a session of its own; its stderr goes to `up.log` in the data dir."""
    data_dir.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {f"{PREFIX}{name}": value for name, value in variables.items()}
    with (data_dir / "up.log").open("w") as log:
        return subprocess.Popen(
            [Path(sys.executable).with_name("milestream"), "up", *arguments],
            env={**kept, f"{PREFIX}DATA_DIR": str(data_dir), **given},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def _stack_of(process: psutil.Process) -> Path | None:
    try:
        marked = process.environ().get(MARKER)
    except (psutil.Error, OSError):
        return None
    return Path(marked) if marked else None


def _words(process: psutil.Process) -> list[str]:
    """Return a process's command line, empty where it has just ended: the database's own do."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _secrets(process: psutil.Process) -> set[str]:
    """Return the settings with secrets that a process was given."""
    given = {name.removeprefix(PREFIX) for name in process.environ() if name.startswith(PREFIX)}
    return given & {"DATABASE_URL", "MASTER_KEY", "SASL_PASSWORD"}


def eventually(holds: Callable[[], bool], seconds: float = 180) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.2)


def answers(up: Up) -> bool:
    """Whether broker, database and API all do."""
    try:
        psycopg.connect(up.database_url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return broker_answers(Settings.of({"kafka": up.kafka})) and up.is_ready()


def test_two_stacks_run_side_by_side_and_end_without_a_trace(start: Start, stack_dir: Path) -> None:
    one, two = start(stack_dir / "one"), start(stack_dir / "two", WORKERS="2", MASTER_KEY=KEY)
    assert len({one.kafka, two.kafka, one.api, two.api, one.database_url, two.database_url}) == 6
    for each in (one, two):
        eventually(lambda up=each: answers(up))  # type: ignore[misc]
    workers = [process for process in two.parts() if "worker" in _words(process)]
    assert len(workers) == 2
    parts = ("worker", "projector", "api", "broker")
    assert {name: _secrets(one.part(name)) for name in parts} == {
        "worker": {"MASTER_KEY"},  # it opens members' keys
        "projector": {"DATABASE_URL"},
        "api": {"DATABASE_URL", "MASTER_KEY"},
        "broker": set(),
    }
    assert _secrets(two.part("supervisor.supervisord")) == set()

    one.process.send_signal(signal.SIGTERM)
    os.killpg(two.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal: the whole group has it
    assert one.process.wait(STOP_SECONDS) == 0
    assert two.process.wait(STOP_SECONDS) == 0
    assert one.parts() + two.parts() == []


def test_what_was_killed_whole_recovers_with_its_ports_and_keys(
    start: Start, stack_dir: Path
) -> None:
    first = start(stack_dir / "stack")
    kept = (stack_dir / "stack" / "secrets.json").read_text()
    for process in (psutil.Process(first.process.pid), *first.parts()):
        with contextlib.suppress(psutil.NoSuchProcess):  # some end with those before them
            process.kill()
    first.process.wait()
    again = start(stack_dir / "stack")
    assert (again.kafka, again.database_url, again.api) == (
        first.kafka,
        first.database_url,
        first.api,
    )
    assert (stack_dir / "stack" / "secrets.json").read_text() == kept
    eventually(lambda: answers(again))


DEMO = """
SELECT
    (SELECT count(DISTINCT event_id) FROM milestream.event_log) = 3
    AND EXISTS (SELECT FROM milestream.event_log WHERE limit_reached)
    AND EXISTS (SELECT FROM milestream.event_log WHERE NOT condition_reached)
    AND EXISTS (SELECT FROM milestream.event_log WHERE user_group_id = 'gold' AND points > 0)
    AND (SELECT count(DISTINCT streak_id) FROM milestream.streak_progress) = 2
    AND EXISTS (SELECT FROM milestream.points_ledger WHERE action_id LIKE 'milestone:%')
    AND EXISTS (SELECT FROM milestream.points_ledger WHERE action_id LIKE 'challenge:%')
    AND EXISTS (SELECT FROM milestream.challenge_progress WHERE status = 'failed')
    AND (SELECT count(*) FROM milestream.leaderboards) = 2
    AND (SELECT count(DISTINCT activity_id) FROM milestream.pathway_logs WHERE complete) = 7
    AND EXISTS (SELECT FROM milestream.reward_logs WHERE coupon_code IS NOT NULL)
"""
"""Whether the demo's records have led to everything that they can lead to."""


HISTORY = """
SELECT
    (SELECT count(*) FROM milestream.challenge_logs WHERE activity_at < %(today)s),
    (SELECT count(*) FROM milestream.event_log WHERE occurred_at < %(today)s)
"""


def test_the_demo_runs_when_its_history_is_through_and_leads_to_everything(
    running: Callable[[Path], Mapping[str, str]], stack_dir: Path
) -> None:
    today = datetime.now(UTC).date()
    shown = running(stack_dir / "stack")
    # Where midnight passes before the demo looks at its clock, its history lacks the first day.
    days = [today - timedelta(days=n) for n in range(1, HISTORY_DAYS)]
    logs = sum(1 for day in days for _ in demo_people.day(day, MEMBERS))
    events = sum(1 for day in days for _ in demo_events.day(day, MEMBERS))
    with psycopg.connect(shown["PostgreSQL"], autocommit=True) as connection:
        before = datetime.combine(today, datetime.min.time(), UTC)
        row = connection.execute(HISTORY, {"today": before}).fetchone()
        assert row is not None
        assert row[0] >= logs  # what flows has late ones too
        assert row[1] >= events

        def is_there() -> bool:
            (found,) = connection.execute(DEMO).fetchone() or (False,)
            return bool(found)

        eventually(is_there, seconds=400)
        refused = connection.execute("SELECT count(*) FROM milestream.dead_letters").fetchone()
        assert refused is not None
        assert refused[0] < 100  # a bad record now and then is part of it, no more


def test_no_part_outlives_a_killed_up(start: Start, stack_dir: Path) -> None:
    up = start(stack_dir / "stack")
    up.process.kill()
    up.process.wait()
    eventually(lambda: up.parts() == [])


def test_a_part_that_keeps_dying_ends_the_start_with_its_log(stack_dir: Path) -> None:
    data_dir = stack_dir / "stack"
    data_dir.mkdir()
    (data_dir / "worker-1").write_text("a file, where the worker wants its directory")
    process = launch(data_dir, "--no-demo")
    try:
        assert process.wait(READY_SECONDS) == 1
    finally:
        process.kill()
        process.communicate()
    said = (data_dir / "up.log").read_text()
    assert "milestream: worker-1 keeps dying; the end of" in said
    assert str(data_dir / "log" / "worker-1.log") in said


def test_what_the_readme_says_to_type_gives_what_it_shows(lasting: Up, tmp_path: Path) -> None:
    shell = _shell(lasting, tmp_path)
    readme = Document(ROOT / "README.md")
    key = json.loads(shell("milestream keys create --project default --role admin"))
    given = f"API={lasting.api} KEY={key['keyId']} SECRET={key['secret']}\n"
    shown = [json.loads(code) for language, code in readme.blocks if language == "json"]
    scripts = [code for language, code in readme.blocks if language == "sh"]
    typed = [given + code for code in scripts if "make " not in code][1:]
    rules, log, kafka, imported, event, spend, void, dry, why, tried, recalculated, *last = typed
    pathway, doctor = last
    shell(rules)
    logged = json.loads(shell(log))
    assert _parts_of(logged, shown[0]) == shown[0]
    again = json.loads(shell(log))
    assert again["status"] == 409
    assert _parts_of(again["record"], shown[0]) == shown[0]
    shell(imported)
    assert json.loads(shell(event).splitlines()[-1]) == shown[1]
    assert json.loads(shell(spend)) == shown[2]
    assert json.loads(shell(void))["points"] == {"reversed": 20, "notRecovered": 30}
    token = "TOKEN=$(milestream keys token --project default --user joe)\n"
    assert json.loads(shell(token + dry))["data"]["points"] == 20
    own = re.sub("REWARD=[0-9a-f-]+", f"REWARD={logged['achievedMilestoneRewardLog']['id']}", why)
    eventually(lambda: "missing" in json.loads(shell(own).splitlines()[-1]))  # the tables have ann
    explained, missing = map(json.loads, shell(own).splitlines())
    assert [each["after"] for each in explained["inputs"]] == [87.5]
    assert (missing["target"], missing["value"], missing["missing"]) == (80, 60, 20)
    assert re.search(r"^milestone +\S+ +\S+ +0 +0 +0 +0 +1 +0 +1 +0$", shell(tried), re.MULTILINE)
    assert shell(recalculated).splitlines()[1] == "members 1, completions 0, rewards 1, points 0"
    assert json.loads(shell(pathway).splitlines()[-1])["status"] == "success"
    shell(doctor)
    if shutil.which("kcat"):
        own = kafka.replace("KAFKA=127.0.0.1:9092", f"KAFKA={lasting.kafka}")
        (reward,) = map(json.loads, shell(own).splitlines())
        assert reward["data"]["id"] == logged["achievedMilestoneRewardLog"]["id"]


def test_a_data_dir_has_one_stack_at_a_time(lasting: Up) -> None:
    refused = subprocess.run(
        [Path(sys.executable).with_name("milestream"), "up", "--json"],
        env={**os.environ, f"{PREFIX}DATA_DIR": str(lasting.data_dir)},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"another stack (process {lasting.process.pid})" in refused.stderr
    eventually(lasting.is_ready)


def test_what_dies_is_started_again(lasting: Up) -> None:
    for name in ("worker", "projector", "api", "broker"):
        before = lasting.part(name)
        before.kill()
        before.wait(60)

        def is_back(name: str = name, before: psutil.Process = before) -> bool:
            found = [process for process in lasting.parts() if process.pid != before.pid]
            word = "kafka.Kafka" if name == "broker" else name
            return any(word in _words(process) for process in found)

        eventually(is_back)
    eventually(lambda: answers(lasting))
    said = (lasting.data_dir / "up.log").read_text()
    assert "worker-1 died and was started again: it did not say why; see " in said


def _shell(up: Up, directory: Path) -> Callable[[str], str]:
    """Return what runs a script as a reader would, beside a stack, and gives its output."""
    own = directory / "bin" / "curl"
    own.parent.mkdir()
    own.write_text(f"#!{sys.executable}\n{Path(curl.__file__).read_text()}")
    own.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = os.pathsep.join([str(own.parent), str(Path(sys.executable).parent), kept["PATH"]])
    variables = {**kept, "PATH": path, f"{PREFIX}DATA_DIR": str(up.data_dir)}

    def run(script: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=directory,
            env=variables,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _parts_of(answer: Any, shown: Any) -> Any:
    """Return of an answer what a document shows, which leaves out fields; the month is its own."""
    if not isinstance(shown, dict):
        return answer
    of_today = {"periodKey": shown["periodKey"]} if "periodKey" in shown else {}
    return {name: _parts_of(answer[name], part) for name, part in shown.items()} | of_today
