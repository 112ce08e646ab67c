"""Ports of tests' servers are given once, and never from those of outgoing connections."""

import socket
import subprocess
import sys
from pathlib import Path

from tests import ports

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_port_is_given_once_and_can_be_bound() -> None:
    given = [ports.free_port() for _ in range(20)]
    assert len(set(given)) == len(given)
    with socket.create_server(("127.0.0.1", given[-1])) as server:
        assert server.getsockname()[1] == given[-1]


def test_another_process_is_not_given_a_port_whose_server_is_down() -> None:
    given = ports.free_port()
    program = f"from tests import ports; ports._next = {given}; print(ports.free_port())"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert given < int(said.stdout) < ports.LAST


def test_no_port_lies_among_those_of_outgoing_connections() -> None:
    first, last = (int(text) for text in RANGE.read_text().split())
    assert first >= ports.LAST or last < ports.FIRST
