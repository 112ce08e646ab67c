"""Scratch directories: gone with their run, or with the next one where it was killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from processor.simulation.scratch import remove_left, scratch_directory

_RUN = """
import sys
from processor.simulation.scratch import scratch_directory
with scratch_directory() as directory:
    (directory / "state").write_text("of a member")
    print(directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scratch directories are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_directory_is_gone_with_its_run(temporary: Path) -> None:
    with scratch_directory() as directory, scratch_directory() as other:
        (directory / "state").write_text("of a member")
        assert directory.parent == temporary
        assert directory != other
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next_and_what_runs_stays(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        left = Path(run.stdout.readline().strip())
        remove_left()
        assert (left / "state").exists()
        run.kill()
    assert (left / "state").exists()
    with scratch_directory() as directory:
        assert list(temporary.iterdir()) == [directory]


def test_what_is_no_directory_of_ones_own_is_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (temporary / "milestream-scratch-link").symlink_to(elsewhere)
    remove_left()
    assert (elsewhere / "kept").exists()
