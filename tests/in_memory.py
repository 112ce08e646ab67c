"""Temporary files of a run in memory, where there is enough: what servers write for tests is gone
with them, and a third of the processor time of a broker that makes topics is the disk's."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
ROOM = 6 << 30
"""Bytes that must be free there: several times what a run has at once."""
LEFT = 4 << 30
"""Bytes of memory that must be available besides, for what runs."""
_PREFIX = "milestream-tests-"
_OWN_FILES_OF_PYTEST = "PYTEST_DEBUG_TEMPROOT"


def begin(environment: "os._Environ[str] | dict[str, str]") -> Path | None:
    """Have this process, and all that it starts, make temporary files in memory; return where.

    None: they stay where they are, for memory is short, programs may not run there, or somebody has
    said where with `TMPDIR`. What pytest itself keeps of tests that failed stays on the disk.
    """
    if "TMPDIR" in environment or not _has_room():
        return None
    _sweep()
    directory = MEMORY / f"{_PREFIX}{os.getpid()}"
    directory.mkdir()
    directory.chmod(0o711)  # the database's own user passes
    environment.setdefault(_OWN_FILES_OF_PYTEST, tempfile.gettempdir())
    environment["TMPDIR"] = str(directory)
    tempfile.tempdir = None  # looked up again
    return directory


def end(directory: Path) -> None:
    """Give the memory back."""
    shutil.rmtree(directory, ignore_errors=True)


def _has_room() -> bool:
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return False
    free = found.f_bavail * found.f_frsize
    return (
        os.access(MEMORY, os.W_OK | os.X_OK)
        and not found.f_flag & os.ST_NOEXEC
        and free >= ROOM
        and psutil.virtual_memory().available >= ROOM + LEFT
    )


def _sweep() -> None:
    """Remove what runs have left that were killed."""
    for left in MEMORY.glob(f"{_PREFIX}*"):
        number = left.name.removeprefix(_PREFIX)
        if number.isdigit() and not psutil.pid_exists(int(number)):
            end(left)
