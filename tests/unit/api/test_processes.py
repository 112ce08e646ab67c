"""Several processes behind one port: started, spread, started again, ended; here, they serve the
number of their process and what they have counted."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from api.processes import CannotListen, listening
from tests.ports import free_port

SECONDS = 30

_SCRIPT = """
import asyncio, os, sys
from api import metrics, processes

async def serving(siblings, sockets, parent_ends):
    counted = metrics.Metrics()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def answer(reader, writer):
        counted.shed.labels("x").inc()
        writer.write(f"{siblings.number} {os.getpid()}\\n".encode() + counted.exposition())
        writer.close()

    for each in sockets:
        await asyncio.start_server(answer, sock=each)
    loop.add_signal_handler(15, ended.set)
    loop.add_reader(parent_ends, ended.set)
    siblings.beat()
    await ended.wait()

def serve(siblings, sockets, parent_ends):
    if sys.argv[2] == "refuses" and siblings.number == 1:
        return 3
    asyncio.run(serving(siblings, sockets, parent_ends))
    return 0

processes.FIRST_PAUSE_SECONDS = 0.1
sockets = processes.listening("127.0.0.1", int(sys.argv[1]), 3)
sys.exit(processes.ProcessGroup(sockets, serve).run())
"""


@dataclass(frozen=True)
class Group:
    """A running group of three."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def children(self) -> set[int]:
        """Return the ids of its processes."""
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def ask(self) -> tuple[int, int, str]:
        """Return the number and the id of the process that answers, and what all counted."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.settimeout(SECONDS)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        head, _, counted = received.decode().partition("\n")
        number, pid = head.split()
        return int(number), int(pid), counted


@contextlib.contextmanager
def running(tmp_path: Path, how: str = "serves") -> Iterator[Group]:
    """Run a group until the context ends."""
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(port), how], stdout=output, stderr=output
        )
    try:
        yield Group(process, port, log)
    finally:
        process.terminate()
        process.wait(SECONDS)


def until(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_up(group: Group) -> bool:
    """Tell whether all three answer."""
    try:
        return {group.ask()[0] for _ in range(40)} == {0, 1, 2}
    except OSError:
        return False


def test_connections_spread_and_counts_add_up(tmp_path: Path) -> None:
    with running(tmp_path) as group:
        until(lambda: is_up(group), "not all processes are asked")
        counted = group.ask()[2]
        again = group.ask()[2]
    total = 'milestream_api_shed_total{topic="x"} '
    (before,) = (line for line in counted.splitlines() if line.startswith(total))
    (after,) = (line for line in again.splitlines() if line.startswith(total))
    assert float(after.removeprefix(total)) == float(before.removeprefix(total)) + 1
    assert float(before.removeprefix(total)) > 40


def test_one_that_dies_is_started_again_and_no_connection_is_lost(tmp_path: Path) -> None:
    with running(tmp_path) as group:
        until(lambda: is_up(group), "not all processes are asked")
        killed = group.ask()[1]
        os.kill(killed, signal.SIGKILL)
        asked = [group.ask()[1] for _ in range(40)]  # some wait for the one that is to come
        assert len(group.children()) == 3
        assert killed not in group.children()
        assert set(asked[-20:]) <= group.children()
    assert "was ended by signal 9) is started again" in group.log.read_text()


def test_told_to_stop_all_end_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as group:
        until(lambda: is_up(group), "not all processes are asked")
        children = group.children()
        group.process.terminate()
        assert group.process.wait(SECONDS) == 0
    assert not any(psutil.pid_exists(pid) for pid in children)


def test_where_one_cannot_start_all_end_and_say_so(tmp_path: Path) -> None:
    with running(tmp_path, "refuses") as group:
        assert group.process.wait(SECONDS) == 1
    assert "the API cannot start: process 1 ended with 3" in group.log.read_text()


def test_processes_whose_parent_was_killed_end(tmp_path: Path) -> None:
    with running(tmp_path) as group:
        until(lambda: is_up(group), "not all processes are asked")
        children = group.children()
        group.process.kill()
        until(lambda: not any(_runs(pid) for pid in children), "some live on")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_port_that_somebody_has_is_refused() -> None:
    port = free_port()
    sockets = listening("127.0.0.1", port, 2)
    try:
        with pytest.raises(CannotListen, match=f"port {port}"):
            listening("127.0.0.1", port, 2)
    finally:
        for each in [*sockets[0], *sockets[1]]:
            each.close()
