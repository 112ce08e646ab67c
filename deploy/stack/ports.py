"""Which ports the local stack listens on: chosen once, then kept by the data dir."""

import errno
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from deploy.errors import CommandError
from schemas.settings import variable

_FILE = "ports.json"
_HERE = "127.0.0.1"
_TRIES = 500
_PATIENCE_SECONDS = 3

# Never from the range that the kernel gives to outgoing connections (from 32768 on Linux): while
# a server is down, one of its own clients could get its port, and the server could not come back.
_FIRST_CHOICE = {"kafka": 9092, "controller": 19092, "database": 5432, "api": 8080}
_FIRST_METRICS = 9464


class Ports:
    """The ports of one data dir, reserved as long as this object is open.

    A reservation is an abstract Unix socket named after the port, so two stacks that start at the
    same moment cannot choose the same port before either of them listens on it. The kernel ends
    it with the process. Where there are no abstract sockets (macOS), only listening counts.
    """

    def __init__(self, data_dir: Path, given: Mapping[str, int], api_host: str = _HERE) -> None:
        """Reserve ports from a data dir's file, with `given` ones (by use) before kept ones."""
        self._path = data_dir / _FILE
        self._given = given
        self._api_host = api_host
        self._reserved: dict[int, socket.socket] = {}
        self._kept: dict[str, int] = {}
        with suppress(FileNotFoundError):
            self._kept = orjson.loads(self._path.read_bytes())

    def take(self, use: str) -> int:
        """Reserve the port of a use (`kafka`, `controller`, `database`, `api`, any metrics).

        Raises:
            CommandError: the port that was given, or that this data dir began with, is taken.
        """
        port = self._given.get(use) or self._kept.get(use)
        if port is None:
            port = self._free(use)
        else:
            self._wait_for(use, port)
        if self._kept.get(use) != port:
            self._kept[use] = port
            self._save()
        return port

    def close(self) -> None:
        """Give all reservations back."""
        for reservation in self._reserved.values():
            reservation.close()
        self._reserved.clear()

    def _wait_for(self, use: str, port: int) -> None:
        """Reserve this very port; what was killed a moment ago may still be giving it back."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._reserve(use, port):
            if time.monotonic() > deadline:
                raise CommandError(self._taken(use, port))
            time.sleep(0.1)

    def _free(self, use: str) -> int:
        first = _FIRST_CHOICE.get(use, _FIRST_METRICS)
        for port in range(first, first + _TRIES):
            if port not in self._kept.values() and self._reserve(use, port):
                return port
        raise CommandError(f"no port is free from {first} to {first + _TRIES - 1}")

    def _reserve(self, use: str, port: int) -> bool:
        if port in self._reserved:
            return False
        reservation = socket.socket(socket.AF_UNIX)
        if _bind(reservation, port) and _can_listen(
            self._api_host if use == "api" else _HERE, port
        ):
            self._reserved[port] = reservation
            return True
        reservation.close()
        return False

    def _taken(self, use: str, port: int) -> str:
        if use in self._given:
            setting = variable(f"{use}_port")
            return f"port {port} is taken by another program: end it, or set {setting} to another"
        setting = f"or set {variable(f'{use}_port')}" if use in ("kafka", "database", "api") else ""
        return (
            f"port {port}, on which this data dir's {use} listens, is taken by another program; "
            f"end that program {setting}".rstrip()
        )

    def _save(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(
            orjson.dumps(self._kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        partial.replace(self._path)


def _bind(reservation: socket.socket, port: int) -> bool:
    try:
        if sys.platform == "linux":
            reservation.bind(f"\0milestream-port-{port}")
    except OSError:
        return False
    return True


def _can_listen(host: str, port: int) -> bool:
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CommandError(f"{variable('api_host')}: {host}: {error.strerror}") from error
    with socket.socket(family, kind) as probe:
        # As servers do it: connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise CommandError(f"cannot listen on {host}: {error.strerror}") from error
            return False
        return True
