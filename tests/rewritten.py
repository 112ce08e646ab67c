"""Test files are rewritten once, before several processes import them.

pytest rewrites each file's assertions when it is first imported, and keeps the bytecode. In a fresh
clone, processes that start together would all do it at the same time: half of what they do until
the first test.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import PYC_TAIL

SECONDS = 300
MANY = 30
"""So many that are new are worth a process of their own."""


@contextmanager
def meanwhile(config: pytest.Config) -> Iterator[None]:
    """Have all tests of this run collected beside what the block does, where many files are new."""
    if sys.dont_write_bytecode or len(_new(config.rootpath)) < MANY:
        yield
        return
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", config.option.markexpr]
    process = subprocess.Popen(
        [*command, *config.args],
        cwd=config.invocation_params.dir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()


def _new(root: Path) -> list[Path]:
    """Return the test files that have no bytecode of this pytest."""
    files = (root / "tests").rglob("test_*.py")
    return [file for file in files if not _bytecode(file).exists()]


def _bytecode(file: Path) -> Path:
    path = Path(cache_from_source(str(file)))
    return path.with_name(f"{file.stem}.{sys.implementation.cache_tag}{PYC_TAIL}")
