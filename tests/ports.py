"""Ports for servers that tests start.

They lie below those that the system gives to outgoing connections: one of these could take a port
between the moment when it is found free and the moment when a server binds it. They lie above those
that local stacks choose and keep (``deploy.stack.ports``).
"""

import os
import socket

FIRST, LAST = 20_000, 32_000

_next = FIRST + os.getpid() * 997 % (LAST - FIRST)
"""Processes that share a run begin far from each other."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now and was not returned before.

    Raises:
        OSError: none is free.
    """
    global _next  # noqa: PLW0603  # a port is given once a process
    for _ in range(LAST - FIRST):
        port = _next
        _next = _next + 1 if _next + 1 < LAST else FIRST
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
