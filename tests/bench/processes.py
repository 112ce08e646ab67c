"""Processes that are measured: started as users start them, imports and all."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from tests.integration.api.serving import environment

END_SECONDS = 60


@contextmanager
def process(settings: Settings, command: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `milestream <command>` until the context ends; its log is in the directory `log`."""
    with (log / f"{command}.log").open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", "from deploy.cli import main; main()", command],
            env=environment(settings),
            stdout=output,
            stderr=output,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
