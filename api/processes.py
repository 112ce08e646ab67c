"""Several API processes behind one port: forked by a parent, which listens and serves nothing.

Each has a listening socket of its own on the same port, and the kernel spreads connections over
them. The parent keeps the sockets open: connections to a process that died wait for the one that
takes its place.
"""

import contextlib
import itertools
import logging
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from api import metrics
from api.siblings import Siblings

logger = logging.getLogger(__name__)

BACKLOG = 2048

START_SECONDS = 120.0
"""How long a process may take until it serves."""
HUNG_SECONDS = 60.0
"""A process whose event loop has stood still for so long is killed."""
STOP_SECONDS = 20.0
"""How long processes may take to end; those that are left are killed then."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A process that lived for so long is started again after the first pause, others after longer
ones."""
_LOOK_SECONDS = 0.5

Serve = Callable[[Siblings, Sequence[socket.socket], int], int]
"""Serves in a process of its own until told to stop, given its listening sockets and a descriptor
that ends when the parent does; returns the process's exit code."""


class CannotListen(Exception):
    """The address is taken, or is none; the message says which."""


def listening(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """Return `count` times sockets that listen on all addresses of a host.

    Raises:
        CannotListen: somebody else listens there, or there is no such address.
    """
    made: list[list[socket.socket]] = [[] for _ in range(count)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            with _bound(family, address, shared=False):
                pass  # Another server that shares its port would not be noticed otherwise.
            for sockets in made:
                sockets.append(_bound(family, address, shared=True))
        for each in itertools.chain(*made):
            each.listen(BACKLOG)
    except OSError as error:
        for each in itertools.chain(*made):
            each.close()
        raise CannotListen(f"cannot listen on {host}, port {port}: {error}") from error
    return made


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


@dataclass
class _Place:
    """One process of the group, and those that take its place."""

    number: int
    sockets: Sequence[socket.socket]
    pid: int | None = None
    launched: float = 0.0
    next_launch: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    has_served: bool = False
    """Whether any of them ever did."""


@dataclass
class ProcessGroup:
    """The processes of one port. Belongs to a process without threads or event loop."""

    sockets: Sequence[Sequence[socket.socket]]
    serve: Serve
    _places: list[_Place] = field(default_factory=list)
    _stopping: bool = False
    _failed: bool = False

    def __post_init__(self) -> None:
        self._siblings = Siblings(len(self.sockets))
        self._places = [_Place(number, each) for number, each in enumerate(self.sockets)]

    def run(self) -> int:
        """Keep all processes running until TERM or INT; return 0, or 1 where one cannot start."""
        with (
            tempfile.TemporaryDirectory(prefix="milestream-api-") as directory,
            _signals_noticed(self._on_signal) as noticed,
        ):
            self._directory = Path(directory)
            self._parent_ends, self._parent_lives = os.pipe()
            while not self._stopping:
                self._launch_due()
                select.select([noticed], [], [], _LOOK_SECONDS)
                _drain(noticed)
                self._reap()
                self._kill_hung()
            self._stop(noticed)
        return 1 if self._failed else 0

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping = self._stopping or number != signal.SIGCHLD

    def _launch_due(self) -> None:
        for place in self._places:
            if place.pid is None and time.monotonic() >= place.next_launch:
                place.launched = time.monotonic()
                pid = os.fork()
                if pid == 0:
                    self._be(place)
                place.pid = pid

    def _be(self, place: _Place) -> NoReturn:
        """Be the process of a place, in a child just forked."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._parent_lives)
            for other in self._places:
                if other is not place:
                    for each in other.sockets:
                        each.close()
            self._siblings.number = place.number
            metrics.share(self._directory, place.number)
            code = self.serve(self._siblings, place.sockets, self._parent_ends)
        except BaseException:
            logger.exception("API process %d: an error that nobody expected", place.number)
        finally:
            logging.shutdown()
            os._exit(code)  # what the parent would do at its end is none of this process's matter

    def _reap(self) -> None:
        """Note which processes have ended, and when others are to take their places."""
        for place in self._places:
            status = None if place.pid is None else _ended(place.pid)
            if status is None:
                continue
            pid, place.pid = place.pid, None
            place.has_served |= self._siblings.has_served(place.number)
            self._siblings.forget(place.number)
            if self._stopping:
                self._failed |= status != 0
            elif place.has_served:
                self._launch_later(place, f"{pid} {_said(status)}")
            else:
                logger.critical("the API cannot start: process %d %s", place.number, _said(status))
                self._stopping = self._failed = True

    def _launch_later(self, place: _Place, ended: str) -> None:
        lived = time.monotonic() - place.launched
        place.pause = (
            FIRST_PAUSE_SECONDS
            if lived > HEALTHY_SECONDS
            else min(2 * place.pause, LONGEST_PAUSE_SECONDS)
        )
        place.next_launch = time.monotonic() + place.pause
        logger.error(
            "API process %d (%s) is started again in %g s", place.number, ended, place.pause
        )

    def _kill_hung(self) -> None:
        for place in self._places:
            if place.pid is None:
                continue
            if self._siblings.has_served(place.number):
                silence, most = self._siblings.silence(place.number), HUNG_SECONDS
            else:
                silence, most = time.monotonic() - place.launched, START_SECONDS
            if silence > most:
                logger.error("API process %d has stood still for %d s", place.number, silence)
                _signal(place.pid, signal.SIGKILL)

    def _stop(self, noticed: int) -> None:
        """End all processes: those that still run after a while are killed."""
        for each in itertools.chain(*self.sockets):
            each.close()
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(place.pid is not None for place in self._places):
            select.select([noticed], [], [], _LOOK_SECONDS)
            _drain(noticed)
            self._reap()
            if time.monotonic() > deadline:
                self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid is not None:
                _signal(place.pid, number)


@contextlib.contextmanager
def _signals_noticed(handler: Callable[[int, object], None]) -> Iterator[int]:
    """Call `handler` for TERM, INT and the end of children; yield a descriptor to wait at."""
    noticed, written = os.pipe()
    os.set_blocking(noticed, False)
    os.set_blocking(written, False)
    woken = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield noticed
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        signal.set_wakeup_fd(woken)
        os.close(noticed)
        os.close(written)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)


def _ended(pid: int) -> int | None:
    """Return the exit status of a child that has ended, negative for a signal; None while it
    runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _said(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with {status}"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
