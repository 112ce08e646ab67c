"""Processes of `milestream` that are there at once: forks of one that has imported everything.

To start Python and import a worker takes 0.4 s of processor time, an API 0.6 s, and a run of the
tests starts hundreds. Each is a process as any other: its environment, streams and exit code are
its own, signals stop and kill it. Whole stacks are started as their users start them, by
`milestream up`, in the tests of those and in those of faults.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

START_SECONDS = 120


class Forked:
    """A process that was forked; what `subprocess.Popen` has of the same name does the same."""

    def __init__(self, arguments: Sequence[str], pid: int, told: int) -> None:
        """``told`` is where its end is written."""
        self.args = ["milestream", *arguments]
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        """Return how it ended, or None where it runs."""
        with self._reading:
            if self.returncode is None and select.select([self._told], [], [], 0)[0]:
                told = os.read(self._told, 16)
                assert told, "the process that forks has ended"
                self.returncode = int(told)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            select.select([self._told], [], [], left)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._told)


class _Server:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.settimeout(START_SECONDS)
        with theirs:
            subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def fork(self, order: Mapping[str, object], streams: Sequence[int]) -> int:
        """Have a process forked; return its number."""
        with self._asking:
            socket.send_fds(self._orders, [json.dumps(order).encode()], streams)
            return int(self._orders.recv(16))


@cache
def _server() -> _Server:
    return _Server()


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes],
    *,
    errors: IO[bytes] | None = None,
    given: IO[bytes] | None = None,
    prepared: str = "",
) -> Forked:
    """Start `milestream` with these arguments; `prepared` is Python that runs before it.

    Args:
        arguments: of the command line.
        environment: all of its environment.
        output: where its standard output goes.
        errors: where its standard error goes; None: there as well.
        given: its standard input; None: nothing.
        prepared: what runs in its process first.
    """
    told, tell = os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        streams = [(given or nothing).fileno(), output.fileno(), (errors or output).fileno(), tell]
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "prepared": prepared,
        }
        pid = _server().fork(order, streams)
    os.close(tell)
    return Forked(arguments, pid, told)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, stdin: str = "", seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `milestream` with these arguments to its end.

    Raises:
        subprocess.TimeoutExpired: it did not end; it was killed.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        given.write(stdin.encode())
        given.seek(0)
        process = start(arguments, environment, output, errors=errors, given=given)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(process.args, code, *texts)
