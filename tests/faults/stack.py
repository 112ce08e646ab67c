"""What a schedule runs on: shared servers, and workers, projector and API of the schedule's own."""

import asyncio
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection, sql

from api.auth import credentials
from api.auth.credentials import Role
from deploy.stack.child import Child
from deploy.topics_create import create_topics
from projections.migrate import migrate
from schemas.settings import Settings
from schemas.topics import changelog_topic
from tests.databases import drop_database
from tests.faults.entry import CLOCK, CONTROL, CRASH_AT, CRASHED
from tests.faults.processes import Process
from tests.faults.servers import Brokers, Database, environment
from tests.integration.processor.driving import drain
from tests.ports import free_port

_TAKEN = re.compile(r"took over partitions \[(.*?)\]")
_DAMAGED = re.compile(r"cannot open|[Cc]orrupt|delete it|not an sstable|File too large")

PATIENCE_SECONDS = 120
"""For what comes soon on a machine of its own, and late on one that others use as well."""


class Servers:
    """Brokers and a database for a whole run: schedules come one after the other."""

    def __init__(
        self, directory: Path, brokers: int, features: Mapping[str, int] | None = None
    ) -> None:
        self.directory = directory
        self.brokers = Brokers(directory, brokers, features=features)
        self.database = Database(directory)

    def __enter__(self) -> Self:
        try:
            self.database.start()
            self.database.make_owner()
            self.brokers.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def heal(self) -> None:
        """Start again what the last schedule left dead, and wait until all answer."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        processes = [self.database.process, *self.brokers.processes]
        while not (all(process.alive for process in processes) and self.database.answers()):
            assert time.monotonic() < deadline, "the servers do not come back"
            for process in processes:
                process.look()
            time.sleep(0.1)
        self.brokers.wait()

    def _stop(self) -> None:
        self.brokers.stop()
        self.database.stop()


@contextmanager
def running_servers(brokers: int, features: Mapping[str, int] | None = None) -> Iterator[Servers]:
    """Run brokers and a database in a directory that goes away afterwards; ``features`` are those
    of Kafka whose version is not what its release begins with."""
    with (
        tempfile.TemporaryDirectory(prefix="milestream-faults-") as directory,
        Servers(Path(directory), brokers, features) as servers,
    ):
        yield servers


class Worker:
    """A worker process with its state, and the orders that it can be given."""

    def __init__(self, settings: Settings, directory: Path, name: str) -> None:
        self.settings = settings
        self.control = directory / f"{name}-control"
        self.control.mkdir()
        env = environment() | settings.to_env() | {CONTROL: str(self.control)}
        command = [sys.executable, "-m", "tests.faults.entry"]
        self.process = Process(name, Child(command, env, str(Path.cwd())), directory)
        self.process.is_excused = self._excuse
        self._orders = 0
        self._excused = 0

    @property
    def is_ready(self) -> bool:
        """Whether it took partitions over in its present life."""
        return self.process.alive and self.process.said("Worker ready")

    @property
    def has_partitions(self) -> bool:
        """Whether it took some over last: with more workers than partitions, one has none."""
        taken = _TAKEN.findall(self.process.text())
        return self.process.alive and bool(taken) and taken[-1] != ""

    def _excuse(self, code: int) -> bool:
        """Whether it ended because it was told to, each order counted once."""
        obeyed = len(list(self.control.glob(f"{CRASHED}-*")))
        if code != -signal.SIGKILL or obeyed <= self._excused:
            return False
        self._excused += 1
        return True

    def crash_at(self, point: str) -> None:
        """Order it to die at a point."""
        self._orders += 1
        partial = self.control / "order"
        partial.write_text(f"{self._orders} {point}", "utf-8")
        partial.rename(self.control / CRASH_AT)

    def has_crashed(self) -> bool:
        """Whether it did what it was last ordered."""
        return (self.control / f"{CRASHED}-{self._orders}").exists()

    def spare(self) -> None:
        """Take the order back."""
        (self.control / CRASH_AT).unlink(missing_ok=True)

    def shift_clock(self, seconds: float) -> bool:
        """Set its wall clock off by so much; tell whether it did."""
        if not self.is_ready:
            return False
        (self.control / CLOCK).write_text(str(seconds), "utf-8")
        return self.process.send(signal.SIGUSR2)

    def asks_for_another_state(self) -> bool:
        """Whether it ended again and again because its local state is damaged."""
        ends = self.process.ends[self.process.forgiven :]
        return len(ends) >= 2 and all(_DAMAGED.search(words) for _, words in ends[-2:])

    def stores(self) -> list[Path]:
        """The directories of its partitions' stores."""
        return sorted(p for p in self.settings.data_dir.rglob("partition-*") if p.is_dir())

    def wipe(self) -> None:
        """Delete its state; it must be dead."""
        for store in self.stores():
            shutil.rmtree(store)


class Stack:
    """One schedule's topics, tables and processes, on the servers of the run."""

    def __init__(
        self, servers: Servers, *, partitions: int = 3, workers: int = 2, api_prepared: str = ""
    ) -> None:
        """``api_prepared`` is Python that runs in the API's process before it starts."""
        self.servers = servers
        self.name = f"f{secrets.token_hex(4)}"
        self.directory = servers.directory / self.name
        self.directory.mkdir()
        self.happened: Counter[str] = Counter()
        self.remarks: list[str] = []
        with psycopg.connect(servers.database.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        url = urlsplit(servers.database.url)
        api_port = free_port()
        self.settings = Settings.of(
            {
                "kafka": servers.brokers.bootstrap,
                "database_url": urlunsplit(url._replace(path=f"/{self.name}")),
                "topic_prefix": f"{self.name}.",
                "application_id": self.name,
                "partitions": partitions,
                "replication_factor": min(servers.brokers.count, 3),
                "data_dir": self.directory / "data",
                "master_key": secrets.token_bytes(32),
                "api_port": api_port,
                "tick_seconds": 2,
            }
        )
        create_topics(self.settings)
        migrate(self.settings.database_url)
        self.workers = [self.new_worker(number) for number in range(workers)]
        self.projector = self._command("projector")
        self.api = self._command("api", api_prepared)
        self._tokens: set[str] = set()
        self.changelog_before: dict[int, tuple[int, int]] = {}
        """By partition, an offset of the changelog, and how many records were below it."""

    def new_worker(self, number: int) -> Worker:
        """Return another worker, not started. The first one is behind the proxies."""
        name = f"worker-{number}"
        settings = self.settings.model_copy(
            update={
                "kafka": self.servers.brokers.proxied if number == 0 else self.settings.kafka,
                "data_dir": self.directory / name,
                "worker_instance": f"{self.name}-{number}",
            }
        )
        return Worker(settings, self.directory, name)

    def twin_of(self, worker: Worker) -> Process:
        """Return another process with a worker's settings, not started."""
        return Process(f"{worker.process.name}-twin", worker.process.child, self.directory)

    def force_compaction(self) -> None:
        """Let the changelog's segments be short, and cleaned as soon as they are over."""
        name = self.settings.topic(changelog_topic(self.settings.application_id).name)
        config = {
            **changelog_topic(self.settings.application_id).config,
            "segment.ms": "1000",
            "min.cleanable.dirty.ratio": "0.001",
            "max.compaction.lag.ms": "1000",
        }

        async def alter() -> None:
            admin = AIOKafkaAdminClient(**self.settings.kafka_options())
            try:
                await admin.start()
                await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
            finally:
                await admin.close()

        async def alter_in_the_end() -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    try:
                        return await alter()
                    except KafkaError:  # another fault of the schedule took the broker away
                        await asyncio.sleep(0.5)

        asyncio.run(alter_in_the_end())

    def note_changelog(self) -> None:
        """Note how many records the changelog has now."""
        name = changelog_topic(self.settings.application_id).name
        offsets: dict[int, list[int]] = {}
        for record in drain(self.settings, name, settled=False):
            offsets.setdefault(record.partition, []).append(record.offset)
        self.changelog_before = {p: (max(lie) + 1, len(lie)) for p, lie in offsets.items()}

    def _command(self, name: str, prepared: str = "") -> Process:
        env = environment() | self.settings.to_env()
        program = f"{prepared}\nfrom deploy.cli import main; main()"
        command = [sys.executable, "-c", program, name]
        return Process(name, Child(command, env, str(Path.cwd())), self.directory)

    @property
    def own(self) -> list[Process]:
        """The processes of this schedule."""
        return [*(worker.process for worker in self.workers), self.projector, self.api]

    @property
    def processes(self) -> list[Process]:
        """All processes, servers included."""
        return [*self.own, self.servers.database.process, *self.servers.brokers.processes]

    def start(self) -> None:
        """Start all and wait for the first worker."""
        for process in self.own:
            process.start()
        self.until(lambda: any(w.is_ready for w in self.workers), lambda: "no worker is ready")

    def look(self) -> None:
        """Start again what died; do what a worker says that its operator should do."""
        for process in self.processes:
            process.look()
        for worker in self.workers:
            if worker.asks_for_another_state() and not worker.process.alive:
                worker.wipe()
                worker.process.forgive()
                self.happened["state deleted, as the worker asked"] += 1

    def until(
        self,
        condition: Callable[[], bool],
        otherwise: Callable[[], str],
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait for a condition while everything is kept running; one that reads all topics is asked
        seldom, for it takes the processors from those that it waits for."""
        deadline = time.monotonic() + seconds
        asked = time.monotonic()
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{otherwise()}\n{self.last_words()}")
            rest = time.monotonic() + min(2.0, max(0.5, 4 * (time.monotonic() - asked)))
            while time.monotonic() < rest:
                self.look()
                time.sleep(0.1)
            asked = time.monotonic()

    def take(self, token: str) -> bool:
        """Take what only one fault may have at a time; tell whether it was free."""
        if token in self._tokens:
            return False
        self._tokens.add(token)
        return True

    def give_back(self, token: str) -> None:
        """Give it back."""
        self._tokens.discard(token)

    def last_words(self) -> str:
        """What each process said last."""
        return "\n".join(
            f"--- {process.name}, started {process.starts} times, "
            f"{'alive' if process.alive else 'dead'}:\n{process.text()[-2500:]}"
            for process in self.own
            if process.starts
        )

    def http_key(self) -> dict[str, str]:
        """Make an API key; return the headers that carry it."""

        async def make() -> credentials.NewKey:
            async with await AsyncConnection.connect(self.settings.database_url) as connection:
                return await credentials.create_key(
                    connection, "default", Role.ADMIN, None, signing=False
                )

        key = asyncio.run(make())
        return {"x-api-key": key.key_id, "x-api-secret": key.secret}

    @property
    def api_url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self.settings.api_port}"

    def end(self) -> list[str]:
        """End all processes in order; say what did not go as it should."""
        wrong = []
        for worker in self.workers:
            if worker.process.starts and worker.process.wanted:
                ready = worker.is_ready
                code = worker.process.stop()
                # Before it is ready, it may not have got to mind TERM.
                if code != 0 and (ready or code != -signal.SIGTERM):
                    wrong.append(f"{worker.process.name} ended with {code} on TERM")
        for process in (self.projector, self.api):
            process.stop()
        return wrong + [said for process in self.processes for said in process.silent_ends()]

    def remove(self) -> None:
        """Delete all of it, so that the next schedule finds room."""
        for process in self.own:
            process.stop(signal.SIGKILL)
        with psycopg.connect(self.servers.database.url, autocommit=True) as connection:
            drop_database(connection, self.name)
        asyncio.run(self._delete_topics())
        if os.environ.get("FAULTS_KEEP") is None:
            shutil.rmtree(self.directory)

    async def _delete_topics(self) -> None:
        admin = AIOKafkaAdminClient(**self.settings.kafka_options())
        await admin.start()
        try:
            topics = [t for t in await admin.list_topics() if t.startswith(f"{self.name}.")]
            await admin.delete_topics(topics)
        finally:
            await admin.close()
