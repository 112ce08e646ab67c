"""What the commands say where no broker answers: one line, and no traceback."""

import os
import subprocess

import pytest

from schemas.settings import Settings
from tests.integration.deploy.conftest import MILESTREAM

RECALCULATE = ["recalculate", "--challenge", "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"]


@pytest.mark.parametrize(
    "command",
    [["verify"], ["rebuild", "members"], ["dead-letters", "list"], ["worker"], RECALCULATE],
)
def test_one_line_says_so(settings: Settings, command: list[str]) -> None:
    away = settings.model_copy(update={"kafka": "127.0.0.1:1"})
    done = subprocess.run(
        [MILESTREAM, *command],
        env={**os.environ, **away.to_env()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("milestream: ")
    assert "127.0.0.1:1" in line
