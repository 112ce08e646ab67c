"""Temporary files of a run lie in memory where there is room, and nothing of them is left."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import in_memory


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Memory with room."""
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "ROOM", 0)
    monkeypatch.setattr(in_memory, "LEFT", 0)
    return tmp_path


def test_temporary_files_of_what_is_started_lie_there_until_the_end(memory: Path) -> None:
    environment: dict[str, str] = {}
    directory = in_memory.begin(environment)
    assert directory == memory / f"milestream-tests-{os.getpid()}"
    program = "import tempfile; print(tempfile.mkdtemp())"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert Path(said.stdout.strip()).parent == directory
    assert environment["PYTEST_DEBUG_TEMPROOT"] == tempfile.gettempdir()
    in_memory.end(directory)
    assert list(memory.iterdir()) == []


def test_who_says_where_they_are_is_heard(memory: Path) -> None:
    assert in_memory.begin({"TMPDIR": "/var/tmp"}) is None
    assert list(memory.iterdir()) == []


def test_they_stay_on_the_disk_where_memory_is_short(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_memory, "ROOM", 1 << 60)
    environment: dict[str, str] = {}
    assert in_memory.begin(environment) is None
    assert environment == {}
    assert list(memory.iterdir()) == []


def test_what_a_killed_run_has_left_is_removed_and_no_other_s(memory: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(60)
    for name in (f"milestream-tests-{ended.pid}", "milestream-tests-1", "another"):
        (memory / name / "postgres").mkdir(parents=True)
    assert in_memory.begin({}) is not None
    left = {path.name for path in memory.iterdir()}
    assert left == {"milestream-tests-1", "another", f"milestream-tests-{os.getpid()}"}
