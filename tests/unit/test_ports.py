"""Ports of tests' servers are given once, and never from those of outgoing connections."""

import socket
from pathlib import Path

from tests import ports

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_port_is_given_once_and_can_be_bound() -> None:
    given = [ports.free_port() for _ in range(20)]
    assert len(set(given)) == len(given)
    with socket.create_server(("127.0.0.1", given[-1])) as server:
        assert server.getsockname()[1] == given[-1]


def test_no_port_lies_among_those_of_outgoing_connections() -> None:
    first, last = (int(text) for text in RANGE.read_text().split())
    assert first >= ports.LAST or last < ports.FIRST
