"""A worker as `milestream worker` runs it, which a test can tell to die at a named point.

Nothing of this is in the product: methods are wrapped here, before the worker starts. The file
`crash-at` in the directory of `FAULTS_CONTROL` has the order's number and the point's name; who
reaches the point renames the file to `crashed-` and the number, and kills its own process with
SIGKILL, as a power cut would. SIGUSR2 makes it read the file `clock`, whose seconds are added to
the wall clock from then on.
"""

import asyncio
import functools
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

CONTROL = "FAULTS_CONTROL"
CRASH_AT, CRASHED, CLOCK = "crash-at", "crashed", "clock"


@dataclass(frozen=True)
class Point:
    """A place in the worker: before or after a function, of a module or of a class in it."""

    name: str
    owner: str
    function: str
    after: bool = True
    within: str | None = None
    """Only while the function of this name runs (``restoring``), or only while it does not."""


WRITER = "processor.transactions.writer:TransactionWriter"
STORE = "processor.store:PartitionStore"
COMMIT_POINTS = (
    Point("after fold", "processor.folding", "fold_chunk"),
    Point("before write", WRITER, "produce", after=False),
    Point("in write", WRITER, "produce", after=False),
    Point("after write", WRITER, "produce"),
    Point("before commit", WRITER, "commit", after=False),
    Point("in commit", WRITER, "commit", after=False),
    Point("after commit", WRITER, "commit"),
    Point("after store write", STORE, "apply", within="folding"),
)
HAND_OVER_POINTS = (
    Point("revoked", "processor.chunk_transport:ChunkConsumer", "on_partitions_revoked"),
    Point("before fence", "processor.transactions:Producers", "fence", after=False),
    Point("after fence", "processor.transactions:Producers", "fence"),
    Point("mid restore", STORE, "apply", after=False, within="restoring"),
    Point("mid restore", STORE, "fill", after=False, within="restoring"),
    Point("after restore", "processor.recovery", "take_over"),
    Point(
        "after seek", "processor.chunk_transport:ChunkConsumerThread", "seek_to_committed"
    ),
)  # fmt: skip
POINTS = (*COMMIT_POINTS, *HAND_OVER_POINTS)


class _Crash:
    """Dies where it was told to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._order = directory / CRASH_AT
        self.restoring = False

    def is_at(self, point: Point) -> bool:
        if point.within is not None and (point.within == "restoring") != self.restoring:
            return False
        try:
            _, _, wanted = self._order.read_text("utf-8").partition(" ")
        except FileNotFoundError:
            return False
        return wanted == point.name

    def die(self) -> None:
        number, _, _ = self._order.read_text("utf-8").partition(" ")
        self._order.rename(self._directory / f"{CRASHED}-{number}")
        os.kill(os.getpid(), signal.SIGKILL)


def _owner(path: str) -> Any:
    module, _, name = path.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


def install(directory: Path) -> None:
    """Wrap every point's function; one that is not there any more raises."""
    crash = _Crash(directory)
    for point in POINTS:
        owner = _owner(point.owner)
        setattr(owner, point.function, _wrapped(getattr(owner, point.function), point, crash))
    _mark_restoring(crash)


def _mark_restoring(crash: _Crash) -> None:
    recovery = _owner("processor.recovery")
    take_over = recovery.take_over

    @functools.wraps(take_over)
    async def marked(*args: Any, **kwargs: Any) -> Any:
        crash.restoring = True
        try:
            return await take_over(*args, **kwargs)
        finally:
            crash.restoring = False

    recovery.take_over = marked


def _wrapped(function: Any, point: Point, crash: _Crash) -> Callable[..., Any]:
    @functools.wraps(function)
    async def waited(*args: Any, **kwargs: Any) -> Any:
        if not point.after and crash.is_at(point):
            await _on_the_way(function, point, args, kwargs)
            crash.die()
        result = await function(*args, **kwargs)
        if point.after and crash.is_at(point):
            crash.die()
        return result

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        if not point.after and crash.is_at(point):
            crash.die()
        result = function(*args, **kwargs)
        if point.after and crash.is_at(point):
            crash.die()
        return result

    return waited if inspect.iscoroutinefunction(function) else plain


async def _on_the_way(function: Any, point: Point, args: Any, kwargs: Any) -> None:
    if point.name in ("in write", "in commit"):  # on its way, its answer is not awaited
        asking = asyncio.ensure_future(function(*args, **kwargs))
        await asyncio.sleep(0.005)
        del asking


def obey_the_clock(directory: Path) -> None:
    """Let SIGUSR2 shift what Python takes for the time of day; monotonic time goes on as it was."""
    real = time.time
    shift = 0.0

    def read(*_: object) -> None:
        nonlocal shift
        shift = float((directory / CLOCK).read_text("utf-8"))
        print(f"the clock is {shift:+.0f} s off", file=sys.stderr, flush=True)

    class Shifted(datetime):
        """Says the shifted time."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(real() + shift, tz)

    signal.signal(signal.SIGUSR2, read)
    time.time = lambda: real() + shift
    _owner("processor.worker").datetime = Shifted


def main() -> None:
    """Run the worker."""
    directory = Path(os.environ[CONTROL])
    install(directory)
    obey_the_clock(directory)
    from deploy.cli import main as milestream

    sys.argv = ["milestream", "worker"]
    milestream()


if __name__ == "__main__":
    main()
