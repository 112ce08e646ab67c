"""Becomes one part of the local stack: `python child.py SPEC`, started by supervisord.

SPEC is a JSON file of `Child`. This process drops root where the part must not have it, asks the
kernel to end the part when supervisord dies, and then replaces itself with the part's program.
It is run as a file and imports nothing of ours, so that it starts in milliseconds.
"""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import orjson

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Child:
    """What to run, and how."""

    command: list[str]
    environment: dict[str, str]
    directory: str
    death_signal: int = signal.SIGKILL
    """What the part gets when its parent dies without having stopped it (Linux only)."""
    user: list[int] = field(default_factory=list)
    """uid and gid to run as; empty: those of the parent."""

    def save(self, path: Path) -> None:
        """Write the spec; only its owner may read it, for the environment holds secrets."""
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(self, option=orjson.OPT_INDENT_2))


def die_with_parent(death_signal: int) -> None:
    """Ask the kernel for `death_signal` when the parent dies; does nothing but on Linux.

    A change of user clears the request and an exec keeps it, so it stands between the two.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, death_signal) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _become(child: Child, parent: int) -> None:
    os.chdir(child.directory)
    if child.user:
        uid, gid = child.user
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(child.death_signal)
    if os.getppid() != parent:
        sys.exit("the parent has died")  # before the request above, so the kernel will not tell
    os.execve(child.command[0], child.command, child.environment)  # noqa: S606


def main() -> None:
    """Read the spec named on the command line and become it."""
    parent = os.getppid()
    _become(Child(**orjson.loads(Path(sys.argv[1]).read_bytes())), parent)


if __name__ == "__main__":
    main()
