"""The faults, by name. Each is a generator: it yields how many seconds to wait before it goes on.

``stack.happened`` counts what really happened: a kill by the exit code, a crash point by the file
that the worker left there.
"""

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TypeVar

import psutil
from confluent_kafka.admin import AdminClient

from tests.faults.entry import COMMIT_POINTS, HAND_OVER_POINTS
from tests.faults.processes import Process
from tests.faults.proxy import Proxy
from tests.faults.stack import Stack, Worker

T = TypeVar("T")
Action = Callable[[Stack, Random], Iterator[float]]

ACTIONS: dict[str, Action] = {}
"""Every fault; the order decides which seeds begin with which, so new ones go to the end."""

SESSION_SECONDS = 8
"""A worker's; one that was stopped for longer has lost its partitions."""
LONG_SECONDS = 10
"""Longer than that: a worker that lost its partitions, and a client that gave a broker up."""


def action(name: str) -> Callable[[Action], Action]:
    """Register a fault."""

    def register(made: Action) -> Action:
        ACTIONS[name] = made
        return made

    return register


def some_worker(stack: Stack, rng: Random) -> Worker:
    """Choose a worker that is meant to run."""
    return rng.choice([w for w in stack.workers if w.process.wanted])


def _patiently(condition: Callable[[], bool], seconds: float) -> Iterator[float]:
    """Wait for a condition, no longer than so many seconds."""
    while not condition() and seconds > 0:
        seconds -= 0.1
        yield 0.1


def _aside(call: Callable[[], T], found: list[T] | None = None) -> Iterator[float]:
    """Run what blocks on a thread, so that the other faults go on: one may end what it waits for.

    What it returns is added to ``found``, what it raises is raised. It may start no process: those
    end with the thread that started them.
    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        while not running.done():
            yield 0.1
        result = running.result()
        if found is not None:
            found.append(result)


def _dismiss(process: Process, rng: Random) -> Iterator[float]:
    """Let a process end for good, one way or the other."""
    process.dismiss(rng.choice((signal.SIGTERM, signal.SIGKILL)))
    yield from _patiently(lambda: not process.alive, 30)
    process.stop(signal.SIGKILL)


def _kill(stack: Stack, process: Process, name: str) -> None:
    if process.kill():
        stack.happened[f"kill {name}"] += 1


def _pause(stack: Stack, process: Process, name: str, seconds: float) -> Iterator[float]:
    if process.send(signal.SIGSTOP):
        yield seconds
        if process.send(signal.SIGCONT):
            stack.happened[f"stop {name} for {seconds:.0f} s"] += 1


def _terminate(stack: Stack, process: Process, name: str) -> Iterator[float]:
    if not process.alive:
        return
    starts = process.starts
    process.terminate()

    def is_over() -> bool:
        return process.starts > starts or not process.alive

    yield from _patiently(is_over, 30)
    if is_over():
        stack.happened[f"TERM {name}"] += 1
    else:
        stack.remarks.append(f"{name} did not end within 30 s of TERM")
        process.kill()


@action("kill worker")
def kill_worker(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL, three times; its state stays."""
    for _ in range(3):
        _kill(stack, some_worker(stack, rng).process, "worker")
        yield rng.uniform(0.5, 4)


@action("stop worker")
def stop_worker(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGSTOP past the session, then SIGCONT."""
    yield from _pause(stack, some_worker(stack, rng).process, "worker", LONG_SECONDS)


@action("TERM worker")
def terminate_worker(stack: Stack, rng: Random) -> Iterator[float]:
    """TERM, and a start."""
    for _ in range(2):
        yield from _terminate(stack, some_worker(stack, rng).process, "worker")
        yield rng.uniform(1, 3)


@action("kill projector")
def kill_projector(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL, three times."""
    for _ in range(3):
        _kill(stack, stack.projector, "projector")
        yield rng.uniform(1, 4)


@action("kill worker and its state")
def kill_and_wipe_worker(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL, and the disk is lost as well."""
    worker = some_worker(stack, rng)
    if worker.process.kill():
        worker.wipe()
        stack.happened["worker's state lost"] += 1
    yield 0


def _crash(point: str) -> Action:
    def crash(stack: Stack, rng: Random) -> Iterator[float]:
        yield from _patiently(lambda: any(w.has_partitions for w in stack.workers), 20)
        busy = [w for w in stack.workers if w.process.wanted and w.has_partitions]
        worker = rng.choice(busy) if busy else some_worker(stack, rng)
        worker.crash_at(point)
        newcomer = None
        if point in {each.name for each in HAND_OVER_POINTS}:
            newcomer = _provoke(point, worker, rng, stack)
        yield from _patiently(lambda: worker.has_crashed() or not worker.process.wanted, 20)
        worker.spare()
        if worker.has_crashed():
            starts = worker.process.starts
            yield from _patiently(
                lambda: worker.process.starts > starts or not worker.process.alive, 20
            )
            stack.happened[f"crash {point}"] += 1
        else:
            stack.remarks.append(f"{worker.process.name} did not come to {point!r}")
        if newcomer is not None:
            yield from _dismiss(newcomer.process, rng)

    return crash


def _provoke(point: str, worker: Worker, rng: Random, stack: Stack) -> Worker | None:
    """Let a hand-over begin: another worker comes, which is returned, or the worker itself comes
    back: one that goes is missed after its session only, and by then is back."""
    if point == "mid restore":
        worker.process.kill()
        worker.wipe()
    elif point != "revoked" and rng.random() < 0.5:
        worker.process.terminate()
    else:
        newcomer = stack.new_worker(len(stack.workers))
        stack.workers.append(newcomer)
        newcomer.process.start()
        return newcomer
    return None


for _point in (*COMMIT_POINTS, *HAND_OVER_POINTS):
    ACTIONS[f"crash {_point.name}"] = _crash(_point.name)


# The other processes.


@action("stop projector")
def stop_projector(stack: Stack, _: Random) -> Iterator[float]:
    """SIGSTOP for longer than any of its time limits, then SIGCONT; then TERM."""
    yield from _pause(stack, stack.projector, "projector", LONG_SECONDS)
    yield from _terminate(stack, stack.projector, "projector")


@action("kill API")
def kill_api(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL, a pause of the next one, TERM."""
    _kill(stack, stack.api, "API")
    yield rng.uniform(2, 4)
    yield from _pause(stack, stack.api, "API", 4)
    yield from _terminate(stack, stack.api, "API")


def _some_broker(stack: Stack, rng: Random) -> Process:
    return rng.choice(stack.servers.brokers.processes)


def _alone(stack: Stack, token: str) -> Iterator[float]:
    """Wait until nobody else has a fault of this kind going."""
    while not stack.take(token):
        yield 0.2


def _broker_is_back(stack: Stack, broker: Process) -> Iterator[float]:
    yield from _patiently(lambda: broker.alive and broker.said("Kafka Server started"), 40)
    yield 1
    stack.give_back("broker")


@action("kill broker")
def kill_broker(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL; the leaders that it had move to the others."""
    yield from _alone(stack, "broker")
    broker = _some_broker(stack, rng)
    _kill(stack, broker, "broker")
    yield from _broker_is_back(stack, broker)


@action("TERM broker, leaders back")
def restart_broker(stack: Stack, rng: Random) -> Iterator[float]:
    """TERM, so that its leaders move; when it is back, the controller moves them back to it."""
    yield from _alone(stack, "broker")
    broker = _some_broker(stack, rng)
    node = stack.servers.brokers.processes.index(broker) + 1
    yield from _terminate(stack, broker, "broker")
    told: list[set[tuple[str, int]]] = []

    def ask() -> set[tuple[str, int]]:
        return _led_by_others(stack.settings.kafka, node)

    yield from _aside(ask, told)
    yield from _broker_is_back(stack, broker)
    for _ in range(30):
        yield from _aside(ask, told)
        if not told[-1]:
            break
        yield 0.5
    if told[0] - told[-1]:
        stack.happened["leaders moved back (partitions)"] += len(told[0] - told[-1])


def _led_by_others(bootstrap: str, node: int) -> set[tuple[str, int]]:
    """Return the partitions whose first replica a broker has, and whose leader it is not."""
    topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=60).topics
    return {
        (name, number)
        for name, topic in topics.items()
        for number, partition in topic.partitions.items()
        if partition.replicas[0] == node != partition.leader
    }


@action("stop broker")
def stop_broker(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGSTOP past its session with the controllers, then SIGCONT."""
    yield from _alone(stack, "broker")
    broker = _some_broker(stack, rng)
    yield from _pause(stack, broker, "broker", LONG_SECONDS)
    yield 2
    stack.give_back("broker")


@action("kill database")
def kill_database(stack: Stack, rng: Random) -> Iterator[float]:
    """SIGKILL, then a stop at once, in order."""
    yield from _alone(stack, "database")
    database = stack.servers.database.process
    _kill(stack, database, "database")
    yield rng.uniform(3, 6)
    if database.send(signal.SIGINT):
        database.expect_end()
        stack.happened["stop database in order"] += 1
    yield 3
    stack.give_back("database")


@action("freeze database")
def freeze_database(stack: Stack, _: Random) -> Iterator[float]:
    """SIGSTOP for its server and all its sessions."""
    yield from _alone(stack, "database")
    server = stack.servers.database.process
    if server.alive:
        frozen = [psutil.Process(server.pid)]
        with contextlib.suppress(psutil.NoSuchProcess):
            frozen += frozen[0].children(recursive=True)
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield LONG_SECONDS
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        stack.happened[f"stop database for {LONG_SECONDS} s"] += 1
    stack.give_back("database")


@action("database goes back")
def restore_database(stack: Stack, _: Random) -> Iterator[float]:
    """The database's data is copied, and some seconds later the copy is put back in place."""
    yield from _alone(stack, "database")
    database = stack.servers.database
    yield from _aside(database.keep)
    database.process.start()
    yield 5
    put_back: list[bool] = []
    yield from _aside(database.go_back, put_back)
    if put_back[0]:
        database.process.start()
        stack.happened["database put back to a copy"] += 1
    stack.give_back("database")


# The network.


def _network(name: str, break_: Callable[[Proxy], None], seconds: float) -> Action:
    def network(stack: Stack, _: Random) -> Iterator[float]:
        yield from _alone(stack, "network")
        proxies = stack.servers.brokers.proxies
        before = sum(proxy.held + proxy.refused for proxy in proxies)
        for proxy in proxies:
            break_(proxy)
        yield seconds
        for proxy in proxies:
            proxy.heal()
        if sum(proxy.held + proxy.refused for proxy in proxies) > before:
            stack.happened[f"network {name}"] += 1
        stack.give_back("network")

    return network


ACTIONS["network cut"] = _network("cut", Proxy.cut, 4)
ACTIONS["network cut past the session"] = _network("cut past the session", Proxy.cut, 11)
ACTIONS["network slow"] = _network("slow", lambda proxy: proxy.slow(0.15), 8)
ACTIONS["network halved"] = _network("halved", Proxy.halve, 11)


# The disk of a worker's state.


@action("disk full")
def disk_full(stack: Stack, rng: Random) -> Iterator[float]:
    """No file may grow past 4 KiB (RLIMIT_FSIZE), then the worker has to write its store out."""
    worker = some_worker(stack, rng)
    yield from _patiently(lambda: worker.is_ready, 20)
    if not worker.process.alive:
        return
    with contextlib.suppress(ProcessLookupError):  # it may have been killed meanwhile
        _, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        stack.happened["disk full"] += 1
    yield rng.uniform(2, 4)
    yield from _terminate(stack, worker.process, "worker with a full disk")


@action("disk slow")
def disk_slow(stack: Stack, rng: Random) -> Iterator[float]:
    """The worker stands still for 0.3 s, again and again, as it does on a disk that hangs."""
    worker = some_worker(stack, rng)
    for _ in range(15):
        if worker.process.send(signal.SIGSTOP):
            yield 0.3
            worker.process.send(signal.SIGCONT)
            stack.happened["worker held up for 0.3 s"] += 1
        yield 0.2


def _damage(how: str, damage: Callable[[Path, Random], None]) -> Action:
    def damaged(stack: Stack, rng: Random) -> Iterator[float]:
        worker = some_worker(stack, rng)
        # Told to stop, it writes its store out; only files can be damaged.
        yield from _terminate(stack, worker.process, "worker")
        worker.process.kill()
        files = [f for store in worker.stores() for f in sorted(store.iterdir()) if f.is_file()]
        chosen = [f for f in files if f.stat().st_size > 0 and not f.name.startswith("LO")]
        if chosen:
            file = rng.choice(chosen)
            damage(file, rng)
            kind = file.suffix.lstrip(".") or file.name.rpartition("-")[0] or file.name
            stack.happened[f"state {how} ({kind})"] += 1

    return damaged


def _truncate(file: Path, _: Random) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _corrupt(file: Path, rng: Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(8):
        content[rng.randrange(len(content))] ^= 0xFF
    file.write_bytes(content)


ACTIONS["state truncated"] = _damage("truncated", _truncate)
ACTIONS["state corrupted"] = _damage("corrupted", _corrupt)


# Time, and more workers.


@action("clock jumps")
def clock_jumps(stack: Stack, rng: Random) -> Iterator[float]:
    """The worker's wall clock is a day ahead, then an hour behind, then right."""
    worker = some_worker(stack, rng)
    yield from _patiently(lambda: worker.is_ready, 20)
    for seconds in (26 * 3600, -3600, 0):
        if worker.shift_clock(seconds):
            stack.happened["clock jump"] += 1
        yield rng.uniform(2, 4)


@action("two workers with one data dir")
def twin(stack: Stack, rng: Random) -> Iterator[float]:
    """A second worker with the same instance and data dir: one of the two must end, and say so.

    It is the first, where another fault ends that one meanwhile.
    """
    worker = some_worker(stack, rng)
    yield from _patiently(lambda: worker.is_ready, 20)
    other = stack.twin_of(worker)
    other.start()

    def is_refused() -> bool:
        return any(each.said("another worker already runs") for each in (other, worker.process))

    yield from _patiently(lambda: is_refused() or not other.alive, 30)
    if is_refused():
        stack.happened["twin worker refused"] += 1
    other.stop(signal.SIGKILL)


@action("rebalance storm")
def storm(stack: Stack, rng: Random) -> Iterator[float]:
    """More workers than partitions, which come and go."""
    count = min(stack.settings.partitions + 1 - len(stack.workers), 3)
    more = [stack.new_worker(len(stack.workers) + number) for number in range(max(count, 1))]
    stack.workers.extend(more)
    for worker in more:
        worker.process.start()
    yield 6
    for _ in range(4):
        worker = rng.choice(more)
        if rng.random() < 0.5:
            _kill(stack, worker.process, "worker")
        else:
            yield from _terminate(stack, worker.process, "worker")
        stack.happened["worker came and went beside more than there are partitions"] += 1
        yield rng.uniform(0.5, 2)
    for worker in more:
        yield from _dismiss(worker.process, rng)


@action("changelog compacted")
def compact(stack: Stack, rng: Random) -> Iterator[float]:
    """The changelog's segments are a second short and cleaned at once; then a state is lost."""
    yield from _aside(stack.force_compaction)
    yield 5
    yield from _aside(stack.note_changelog)
    yield 3
    yield from kill_and_wipe_worker(stack, rng)
