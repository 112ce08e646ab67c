"""Directories for scratch state, which outlive no run: what a killed one left, the next removes."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "milestream-scratch-"


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give an empty directory, deleted afterwards; those that killed runs left are deleted first.

    Raises:
        OSError: none can be made.
    """
    remove_left()
    directory, lock = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def remove_left() -> None:
    """Delete the directories of runs that have ended: nobody holds their lock any more."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _lock(directory)
        if lock is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _locked() -> tuple[Path, int]:
    """Return a new directory, and the descriptor that holds its lock.

    Until it has the lock, another run may take the directory for one that was left, and delete it.
    """
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _lock(directory)
        if lock is not None:
            return directory, lock


def _lock(directory: Path) -> int | None:
    """Lock a directory; None where another process has it, or it is not there (any more)."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, or another user's
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), directory.stat()):
            return descriptor
    os.close(descriptor)
    return None
