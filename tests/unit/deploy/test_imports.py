"""What a worker imports: in a process of its own, for this one has imported everything."""

import subprocess
import sys

PROGRAM = """
import gc, sys
from deploy.cli import load
from deploy.imports import kept_for_life, without_aiohttp
load("worker")
with kept_for_life(), without_aiohttp():
    import processor.worker
assert "faust" in sys.modules
print([name for name in sys.modules if name.partition(".")[0] == "aiohttp"])
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
from aiohttp.client import ClientSession
print(ClientSession.__module__, "aiohttp.web" in sys.modules)
"""


def test_a_worker_starts_without_what_it_does_not_use_and_its_garbage_is_not_looked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["[]", "True True", "aiohttp.client False"]
