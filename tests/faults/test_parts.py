"""The harness's own parts: a schedule follows from its seed, a line can be cut, points exist."""

import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.actions import ACTIONS
from tests.faults.proxy import Proxy
from tests.faults.replay import replay
from tests.faults.run import Outcome, report
from tests.faults.schedule import Schedule
from tests.integration.processor.driving import wait_until


def test_a_seed_gives_one_schedule_and_seeds_in_a_row_have_every_fault() -> None:
    names = list(ACTIONS)
    for seed in range(len(names)):
        assert Schedule.of(seed, names) == Schedule.of(seed, names)
        assert names[seed] in {step.action for step in Schedule.of(seed, names).steps}
    assert Schedule.of(1, names) != Schedule.of(2, names)


def test_every_fault_comes_round_several_times() -> None:
    names = list(ACTIONS)
    seeds = range(len(names), 2 * len(names))
    times = Counter(step.action for seed in seeds for step in Schedule.of(seed, names).steps)
    assert min(times[name] for name in names) >= 3


def test_the_report_names_the_faults_that_never_happened(tmp_path: Path) -> None:
    kinds = Counter({"kill worker": 2})
    outcome = Outcome(Schedule.of(1, list(ACTIONS)), kinds=kinds)
    text = report([outcome, outcome], tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert document["kinds"]["kill worker"] == 4
    assert document["never"] == [name for name in ACTIONS if name != "kill worker"]
    assert f"1 of {len(ACTIONS)} kinds" in text


def test_every_crash_point_is_a_place_in_the_worker(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.faults.entry import install; "
        "install(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=120, check=False)
    assert done.returncode == 0


def lies(offset: int, value: dict[str, Any]) -> SimpleNamespace:
    """A record on a topic."""
    raw = json.dumps(value).encode()
    return SimpleNamespace(offset=offset, value=raw, headers=(), timestamp=1_700_000_000_000)


def chunk(sequence: int, first: int, last: int, count: int) -> SimpleNamespace:
    """What the chunk log says of commands that were folded."""
    span = {"topic": "member-commands", "first": first, "last": last}
    return lies(0, {"sequence": sequence, "count": count, "inputs": [span], "definitions": 0})


COMMANDS = [lies(n, {"type": "upsert-member", "externalId": f"m{n}"}) for n in (0, 1, 3, 4)]
"""Offset 2 is a transaction's marker."""


def replayed(*chunks: SimpleNamespace) -> int:
    """Replay chunks over the commands; return how many records were folded."""
    return replay(0, 1, chunks, {"member-commands": COMMANDS}, ()).taken


def test_chunks_that_take_each_record_once_are_right() -> None:
    assert replayed(chunk(0, 0, 1, 2), chunk(2, 3, 4, 2)) == 4


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(0, 0, 1, 2)],  # the end is missing
        [chunk(0, 0, 0, 1), chunk(1, 3, 4, 2)],  # one in between is missing
        [chunk(0, 1, 4, 3)],  # the first is missing
        [chunk(0, 0, 1, 2), chunk(2, 1, 4, 3)],  # one is there twice
        [chunk(0, 0, 1, 2), chunk(2, 3, 4, 3)],  # the count is another
        [chunk(0, 0, 1, 2), chunk(3, 3, 4, 2)],  # the sequence has a gap
    ],
)
def test_what_was_left_out_or_taken_twice_is_found(chunks: list[SimpleNamespace]) -> None:
    with pytest.raises(AssertionError):
        replayed(*chunks)


@contextmanager
def echo() -> Iterator[int]:
    """Run a server that says what it hears, on a port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while heard := connection.recv(1024):
                connection.sendall(heard)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before an echo."""
    with echo() as port:
        made = Proxy(port)
        try:
            yield made
        finally:
            made.close()


def connect(proxy: Proxy) -> socket.socket:
    """Connect through a proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def test_a_line_carries_both_ways(proxy: Proxy) -> None:
    with connect(proxy) as line:
        line.sendall(b"hello")
        assert line.recv(5) == b"hello"


def is_dead(line: socket.socket) -> bool:
    """Whether nothing goes through a line any more: waits for its end."""
    try:
        line.sendall(b"hello")
        while line.recv(5):
            pass
    except ConnectionError:
        return True
    return True


def test_a_line_that_is_cut_ends_and_takes_nobody_until_it_is_healed(proxy: Proxy) -> None:
    with connect(proxy) as line:
        line.sendall(b"hello")
        assert line.recv(5) == b"hello"
        proxy.cut()
        assert is_dead(line)
    with connect(proxy) as line:
        assert is_dead(line)
    assert proxy.refused >= 2
    proxy.heal()
    test_a_line_carries_both_ways(proxy)


def test_a_halved_line_takes_everything_and_gives_nothing(proxy: Proxy) -> None:
    with connect(proxy) as line:
        proxy.halve()
        line.sendall(b"hello")
        wait_until(lambda: proxy.held == 5, 30, lambda: f"{proxy.held} bytes were held")
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(5)
        proxy.heal()
    test_a_line_carries_both_ways(proxy)


def test_a_slow_line_holds_what_it_carries(proxy: Proxy) -> None:
    proxy.slow(0.05)
    test_a_line_carries_both_ways(proxy)
    assert proxy.held == 10
