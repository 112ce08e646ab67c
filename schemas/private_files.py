"""Files that are their owner's alone: what a data dir holds, whatever modes it had before."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def private_umask() -> Iterator[None]:
    """Let what this process and its children make be their owner's alone."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def tighten(place: Path, *, whole: bool = True) -> None:
    """Take all rights on a file or directory from everybody but its owner; with ``whole``, on all
    that is in it too. Symbolic links are left alone, and so is what belongs to somebody else."""
    _tighten(place)
    if whole:
        for parent, directories, files in os.walk(place):
            for name in directories + files:
                _tighten(Path(parent) / name)


def _tighten(place: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):  # it has just gone, or is somebody else's
        found = place.lstat()
        if stat.S_ISLNK(found.st_mode):
            return
        # With an access control list, the group's bits are no rights but the limit of its entries.
        taken = stat.S_IRWXO if _has_list(place) else _OTHERS
        if found.st_mode & taken:
            place.chmod(stat.S_IMODE(found.st_mode) & ~taken)


def _has_list(place: Path) -> bool:
    with suppress(OSError, AttributeError):  # there are none, on this file or on this system
        return bool(os.getxattr(place, "system.posix_acl_access"))
    return False
