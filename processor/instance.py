"""A worker's instance in its data dir: one process at a time, with its own state and membership.

A worker that starts again takes the same instance, and with it the same static group membership:
it has its partitions back at once. A second worker on the same data dir takes the next instance.
"""

import fcntl
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from processor.store import StoreError
from schemas.private_files import tighten
from schemas.settings import Settings

MAX_WORKERS = 256


@dataclass(frozen=True)
class WorkerInstance:
    """An instance that this process owns for as long as ``lock`` is open.

    ``name`` is its static membership of the consumer group.
    """

    name: str
    directory: Path
    lock: IO[bytes]


def take_instance(settings: Settings) -> WorkerInstance:
    """Take the instance that ``MILESTREAM_WORKER_INSTANCE`` names, or the first that is free.

    Its files are private to their owner from now on, whatever they were before.

    Raises:
        StoreError: another process holds it, all are taken, or the data dir cannot be used.
    """
    try:
        return _take(settings)
    except OSError as error:
        raise StoreError(f"cannot use the data dir: {error}") from error


def _take(settings: Settings) -> WorkerInstance:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    tighten(settings.data_dir, whole=False)
    for name, instance in _candidates(settings):
        lock = _lock(settings.data_dir / f"worker-{name}.lock")
        if lock is not None:
            place = settings.data_dir / f"worker-{name}"
            place.mkdir(exist_ok=True)
            tighten(place)
            return WorkerInstance(instance, place / settings.topic(settings.application_id), lock)
    raise StoreError(
        f"another worker already runs with this instance in {settings.data_dir}; give this one "
        "another MILESTREAM_WORKER_INSTANCE or MILESTREAM_DATA_DIR"
    )


def _candidates(settings: Settings) -> Iterable[tuple[str, str]]:
    if settings.worker_instance is not None:
        yield settings.worker_instance, settings.worker_instance
        return
    home = str(settings.data_dir.resolve()).replace("/", "_")
    for number in range(1, MAX_WORKERS + 1):
        yield str(number), f"{socket.gethostname()}{home}-{number}"[-200:]


def _lock(path: Path) -> IO[bytes] | None:
    file = path.open("wb")
    tighten(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
