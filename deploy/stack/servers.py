"""A broker and a database of one's own: `LocalServers`."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from deploy.errors import CommandError
from deploy.stack import broker, database, database_logins
from deploy.stack.child import Child
from deploy.stack.data_dir import Secrets, hold, keep_secrets, write_private
from deploy.stack.jars import kafka_jars
from deploy.stack.ports import Ports
from deploy.stack.supervision import Part, Supervisor, base_environment, end_leftovers
from schemas.private_files import private_umask
from schemas.settings import LOCAL_STACK_FILE, PREFIX, Settings

START_SECONDS = 120

MoreParts = Callable[[Settings, Ports, Secrets], Sequence[Part]]
"""What runs besides the servers, given the settings that name them."""


class LocalServers:
    """A real Kafka broker and a real PostgreSQL, for as long as the `with` block lasts.

    Their data stays in the data dir; a second start there finds it, on the same ports. What
    `settings` name with `kafka` or `database_url` is used instead of a server of our own.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Settings | None = None,
        more_parts: MoreParts = lambda _settings, _ports, _secrets: (),
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._given = settings or Settings.of({})
        self._more_parts = more_parts
        self._open = ExitStack()
        self._settings: Settings | None = None
        self._superuser_url: str | None = None
        self._supervisor: Supervisor | None = None

    @property
    def settings(self) -> Settings:
        """Where the servers are, and all else that a part needs to know."""
        if self._settings is None:
            raise RuntimeError("the servers have not been started")
        return self._settings

    @property
    def superuser_url(self) -> str:
        """The superuser's login to the database, where that is this stack's own."""
        if self._superuser_url is None:
            raise RuntimeError("the stack has no database of its own that was started")
        return self._superuser_url

    @property
    def supervisor(self) -> Supervisor:
        """The processes."""
        if self._supervisor is None:
            raise RuntimeError("the servers have not been started")
        return self._supervisor

    def __enter__(self) -> Self:
        """Start the servers and wait until both answer.

        Raises:
            CommandError: they cannot be started; nothing is left running.
        """
        try:
            if "kafka" not in self._given.model_fields_set:
                kafka_jars()  # for all who use this environment, and so not private
            with private_umask():
                self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything, in order."""
        self.stop()

    def stop(self) -> None:
        """Stop everything, in order, and give the data dir and the ports back."""
        self._open.close()

    def _start(self) -> None:
        self._open.enter_context(hold(self._data_dir))
        end_leftovers(self._data_dir)
        ports = Ports(self._data_dir, self._given_ports(), self._given.api_host)
        self._open.callback(ports.close)
        secrets = keep_secrets(self._data_dir)
        own = self._own(ports, secrets)
        self._settings = Settings.of({**_given(self._given), **own, "data_dir": self._data_dir})
        servers = self._servers(ports, secrets)
        more = self._more_parts(self._settings, ports, secrets)
        self._supervisor = Supervisor(self._data_dir, [*servers, *more])
        self._open.callback(self._supervisor.stop)
        self._supervisor.start()
        for server in servers:
            self._supervisor.run(server.name)
        if "kafka" in own:
            self._wait("broker", lambda: broker_answers(self.settings))
        if "database_url" in own:
            port = self._settings.database_port
            self._wait("database", lambda: _database_answers(port, secrets))
            database_logins.make_database(port, secrets)
            self._superuser_url = database_logins.superuser(port, secrets)
        write_private(self._data_dir / LOCAL_STACK_FILE, _for_other_commands(self._settings))

    def _given_ports(self) -> dict[str, int]:
        given = self._given.model_dump(include=self._given.model_fields_set)
        return {
            use: given[f"{use}_port"]
            for use in ("kafka", "database", "api")
            if f"{use}_port" in given
        }

    def _own(self, ports: Ports, secrets: Secrets) -> dict[str, object]:
        """The fields that were not given, as this stack has them."""
        given = self._given.model_fields_set
        own: dict[str, object] = {"api_port": ports.take("api")}
        if "kafka" not in given:
            own["kafka_port"] = ports.take("kafka")
            own["kafka"] = f"127.0.0.1:{own['kafka_port']}"
        if "database_url" not in given:
            own["database_port"] = port = ports.take("database")
            own["database_url"] = database.url(port, secrets.database_password)
        if "master_key" not in given:
            own["master_key"] = secrets.master_key
        return own

    def _servers(self, ports: Ports, secrets: Secrets) -> list[Part]:
        settings, given = self.settings, self._given.model_fields_set
        servers = []
        if "kafka" not in given:
            command = broker.prepare(self._data_dir, settings.kafka_port, ports.take("controller"))
            child = Child(command, base_environment(self._data_dir), str(self._data_dir))
            # Killing a broker is safe, its log is then read once more at the next start.
            servers.append(Part("broker", 0, child, stop_seconds=4))
        if "database_url" not in given:
            prepared = database.prepare(
                self._data_dir, settings.database_port, secrets.superuser_password
            )
            user = [prepared.user.uid, prepared.user.gid] if prepared.user else []
            child = Child(
                prepared.command,
                base_environment(self._data_dir),
                str(self._data_dir / "postgres"),
                # Its own "immediate shutdown": it takes its sessions' processes with it.
                death_signal=signal.SIGQUIT,
                user=user,
            )
            servers.append(Part("database", 1, child, stop_signal="INT", stop_seconds=4))
        return servers

    def _wait(self, name: str, answers: Callable[[], bool]) -> None:
        wait_until(self.supervisor, name, answers)


def wait_until(supervisor: Supervisor, name: str, answers: Callable[[], bool]) -> None:
    """Wait until a part answers.

    Raises:
        CommandError: it does not within `START_SECONDS`, or some part keeps dying.
    """
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        supervisor.check_start()
        if time.monotonic() > deadline:
            tail = supervisor.log_tail(name)
            raise CommandError(f"{name} does not answer after {START_SECONDS} s; {tail}")
        time.sleep(0.1)


def broker_answers(settings: Settings) -> bool:
    """Whether the cluster names at least one broker."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    async def ask() -> bool:
        admin = AIOKafkaAdminClient(**settings.kafka_options(), request_timeout_ms=2000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
        finally:
            await admin.close()

    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # that it does not answer yet is no news
    try:
        return asyncio.run(asyncio.wait_for(ask(), timeout=5))
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        logger.setLevel(level)


def _database_answers(port: int, secrets: Secrets) -> bool:
    try:
        database_logins.first_connection(port, secrets).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise CommandError(
                "the database does not know the passwords in secrets.json: it has others"
            ) from error
        return False
    return True


def _given(settings: Settings) -> Mapping[str, object]:
    return settings.model_dump(include=settings.model_fields_set)


def _for_other_commands(settings: Settings) -> dict[str, str]:
    """What the same commands in another terminal need in order to talk to this stack."""
    of_one_part = {
        *("data_dir", "workers", "worker_instance", "metrics_port", "metrics_host"),
        *("log_level", "log_format"),
    }
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in settings.to_env().items()
        if name.removeprefix(PREFIX).lower() not in of_one_part
    }
