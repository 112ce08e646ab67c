"""The processes that the HTTP benchmarks ask, each one as `milestream up` runs it."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from api.auth.credentials import Role
from deploy.topics_create import create_topics
from projections.migrate import migrate
from schemas.settings import Settings
from tests.bench.processes import process
from tests.bench.workload import PROJECT, publish_definitions
from tests.integration.api.serving import Served, wait_until_ready
from tests.ports import free_port
from tests.stack import FreshSettings


@dataclass(frozen=True)
class Stack:
    """A stack that serves, the benchmark's definitions in force.

    Attributes:
        headers: the credentials of its project.
        processes: the process of each command.
    """

    served: Served
    headers: Mapping[str, str]
    processes: Mapping[str, int]

    @property
    def settings(self) -> Settings:
        """What it runs with."""
        return self.served.settings

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time until now: of each command, of broker and database where they
        run here, and of the whole machine.
        """
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
        own = {"generator": _own_seconds(psutil.Process())}
        taken = {name: _seconds(psutil.Process(pid)) for name, pid in self.processes.items()}
        return {**taken, **own, **self._of_servers(), "machine": busy}

    def _of_servers(self) -> dict[str, float]:
        listening = {
            each.laddr.port: psutil.Process(each.pid)
            for each in psutil.net_connections("tcp")
            if each.laddr and each.pid is not None and each.status == psutil.CONN_LISTEN
        }
        ports = {
            "broker": int(self.settings.kafka.rpartition(":")[2]),
            "database": urlsplit(self.settings.database_url).port,
        }
        return {
            name: _seconds(listening[port]) for name, port in ports.items() if port in listening
        }


def _seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and its children."""
    return sum(_own_seconds(each) for each in (process, *process.children(recursive=True)))


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def running(
    fresh: FreshSettings, *commands: str, log: Path, api_processes: int = 1
) -> Iterator[Stack]:
    """Run an API of so many processes and these other commands on topics and a database of their
    own."""
    settings = fresh(api_port=free_port(), api_processes=api_processes)
    create_topics(settings)
    migrate(settings.database_url)
    asyncio.run(publish_definitions(settings))
    served = Served(settings)
    with contextlib.ExitStack() as stack:
        children = {
            command: stack.enter_context(process(settings, command, log)).pid
            for command in (*commands, "api")
        }
        wait_until_ready(served, log, with_worker="worker" in commands)
        key = asyncio.run(served.key(Role.ADMIN, PROJECT))
        headers = {"x-api-key": key.key_id, "x-api-secret": key.secret}
        yield Stack(served, headers, children)
