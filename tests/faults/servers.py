"""Brokers and a database of the harness's own, so that nobody else misses what it kills."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from deploy.stack import broker, database, database_logins
from deploy.stack.child import Child
from deploy.stack.data_dir import keep_secrets
from deploy.stack.servers import broker_answers
from schemas.settings import PREFIX, Settings
from tests.faults.processes import Process
from tests.faults.proxy import Proxy
from tests.ports import free_port

START_SECONDS = 120


def environment() -> dict[str, str]:
    """Ours without any setting of Milestream's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


class Brokers:
    """Brokers that are controllers too, each with a second listener behind a proxy."""

    def __init__(
        self,
        directory: Path,
        count: int,
        *,
        features: Mapping[str, int] | None = None,
        properties: Mapping[str, object] | None = None,
        proxy: Callable[[int], Proxy] = Proxy,
    ) -> None:
        """``features`` and ``properties`` are those that differ from the others' here."""
        self._directory = directory
        self.count = count
        self._features = features
        self._more = properties or {}
        ports = [free_port() for _ in range(3 * count)]
        self._plain, self._behind, self._controllers = (ports[i::3] for i in range(3))
        self.proxies = [proxy(port) for port in self._behind]
        self.processes: list[Process] = []

    def start(self) -> None:
        """Format and start them, and wait until they answer."""
        cluster = uuid.uuid4()
        with ThreadPoolExecutor() as pool:
            files = list(pool.map(lambda n: self._prepare(n, cluster), range(self.count)))
        for number, properties in enumerate(files):
            small = {"-Xmx256m": "-Xmx384m"}
            command = [small.get(word, word) for word in broker.tool("kafka.Kafka")]
            child = Child([*command, str(properties)], environment(), str(self._directory))
            self.processes.append(Process(f"broker-{number + 1}", child, self._directory))
        for process in self.processes:
            process.start()
        self.wait()

    def listen_at(self, *plain: int) -> None:
        """Say on which ports they listen, where the properties name others."""
        self._plain = list(plain)

    def wait(self) -> None:
        """Wait until every broker answers."""
        deadline = time.monotonic() + START_SECONDS
        for number, port in enumerate(self._plain):
            while not broker_answers(Settings.of({"kafka": f"127.0.0.1:{port}"})):
                if time.monotonic() > deadline:
                    raise AssertionError(f"no answer: {self.processes[number].text()[-3000:]}")
                time.sleep(0.2)

    @property
    def bootstrap(self) -> str:
        """Where they are."""
        return ",".join(f"127.0.0.1:{port}" for port in self._plain)

    @property
    def proxied(self) -> str:
        """Where they are for who is to reach them through the proxies alone."""
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)

    def stop(self) -> None:
        """End them, and the proxies."""
        for process in self.processes:
            process.stop(signal.SIGKILL)
        for proxy in self.proxies:
            proxy.close()

    def _prepare(self, number: int, cluster: uuid.UUID) -> Path:
        properties = self._directory / f"broker-{number + 1}.properties"
        values = {**self._properties(number), **self._more}
        properties.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        broker.format_storage(properties, cluster, self._features)
        return properties

    def _properties(self, number: int) -> Mapping[str, object]:
        plain, behind = self._plain[number], self._behind[number]
        controller = self._controllers[number]
        voters = enumerate(self._controllers, 1)
        most, majority = min(self.count, 3), min(self.count, 2)
        local = "127.0.0.1"
        return {
            "process.roles": "broker,controller",
            "node.id": number + 1,
            "controller.quorum.voters": ",".join(f"{n}@{local}:{port}" for n, port in voters),
            "listeners": f"PLAINTEXT://{local}:{plain},PROXIED://{local}:{behind},"
            f"CONTROLLER://{local}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{local}:{plain},"
            f"PROXIED://{local}:{self.proxies[number].port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._directory / f"kafka-{number + 1}",
            "default.replication.factor": most,
            "min.insync.replicas": majority,
            "offsets.topic.replication.factor": most,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": most,
            "transaction.state.log.min.isr": majority,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": most,
            "share.coordinator.state.topic.min.isr": majority,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            # Leaders go back to the first replica soon after it is there again.
            "auto.leader.rebalance.enable": "true",
            "leader.imbalance.check.interval.seconds": 2,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "replica.lag.time.max.ms": 5000,
            "controller.quorum.election.timeout.ms": 1000,
            "controller.quorum.fetch.timeout.ms": 2000,
            # The cleaner looks every second in place of every 15, so that a schedule sees it work.
            "log.cleaner.backoff.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        }


class Database:
    """A PostgreSQL server whose data can be copied and put back as it was."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._copy = directory / "postgres-of-before"
        self._secrets = keep_secrets(directory)
        prepared = database.prepare(directory, self.port, self._secrets.superuser_password)
        self._user = prepared.user
        user = [prepared.user.uid, prepared.user.gid] if prepared.user else []
        child = Child(
            prepared.command,
            environment(),
            str(directory / "postgres"),
            death_signal=signal.SIGQUIT,
            user=user,
        )
        self.process = Process("database", child, directory)

    @property
    def url(self) -> str:
        """The owner's login: no superuser's, but one that may make databases."""
        return database.url(self.port, self._secrets.database_password)

    @property
    def _superuser_url(self) -> str:
        return database_logins.superuser(self.port, self._secrets, "postgres")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start()
        self.wait()

    def make_owner(self) -> None:
        """Make the owner of all that schedules make."""
        database_logins.make_database(self.port, self._secrets)
        with psycopg.connect(self._superuser_url) as connection:
            connection.execute("ALTER ROLE milestream CREATEDB")

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                raise AssertionError(f"no database: {self.process.text()[-2000:]}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether it takes a login."""
        try:
            psycopg.connect(self._superuser_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it at once, in order."""
        self.process.stop(signal.SIGINT, 20)

    def keep(self) -> None:
        """Stop it and copy its data, as a backup would."""
        self.stop()
        shutil.rmtree(self._copy, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._directory / "postgres"), str(self._copy)], check=True)

    def go_back(self) -> bool:
        """Stop it and put the copy back in place; tell whether there was one."""
        if not self._copy.exists():
            return False
        self.stop()
        shutil.rmtree(self._directory / "postgres")
        self._copy.rename(self._directory / "postgres")
        return True
