"""Ports for servers that tests start.

They lie below those that the system gives to outgoing connections: one of these could take a port
between the moment when it is found free and the moment when a server binds it. They lie above those
that local stacks choose and keep (``deploy.stack.ports``).

A port is one process's to its end, whatever other tests run on the machine: else another process
would find it free, and take it, while the server that it was for is down for a restart.
"""

import os
import socket
import sys

FIRST, LAST = 20_000, 32_000

_next = FIRST + os.getpid() * 997 % (LAST - FIRST)
"""Processes that share a run begin far from each other."""
_claims: list[socket.socket] = []
"""What says that ports are this process's."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now and was not returned before, to nobody.

    Raises:
        OSError: none is free.
    """
    global _next  # noqa: PLW0603  # a port is given once a process
    for _ in range(LAST - FIRST):
        port = _next
        _next = _next + 1 if _next + 1 < LAST else FIRST
        if _can_be_bound(port) and _claim(port):
            return port
    raise OSError("no port is free")


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Take a name without a file, which is gone with this process; tell whether it was free."""
    if sys.platform != "linux":
        return True  # names are files there
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0milestream-tests-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
