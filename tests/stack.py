"""The real broker and the real database that tests run on, and settings of their own on them.

Which servers: those of `MILESTREAM_TEST_KAFKA` and `MILESTREAM_TEST_DATABASE_URL` where both are
given; containers where `MILESTREAM_TEST_CONTAINERS=1` and Docker is there; else the local stack's,
which need nothing. A server that cannot be had fails the tests, it never skips them.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from deploy.stack import LocalServers
from projections.migrate import migrate
from schemas.settings import Settings
from tests.databases import copy_database, drop_database, make_database, make_ready
from tests.ports import free_port

KAFKA_VARIABLE = "MILESTREAM_TEST_KAFKA"
DATABASE_URL_VARIABLE = "MILESTREAM_TEST_DATABASE_URL"
_CONTAINERS = "MILESTREAM_TEST_CONTAINERS"
KAFKA_IMAGE = "apache/kafka:4.1.0"
DATABASE_IMAGE = "postgres:18"


class FreshSettings:
    """Makes settings with a topic prefix, a database and a data dir that nothing else has.

    The topics are not made yet.
    """

    def __init__(self, servers: Settings, data_dir: Path, template: "Template") -> None:
        self._servers = servers
        self._data_dir = data_dir
        self._template = template
        self._made: list[Settings] = []

    def __call__(self, **overrides: object) -> Settings:
        """Return such settings, with `overrides` by field name. The database is empty."""
        return self._make(make_database, overrides)

    def migrated(self, **overrides: object) -> Settings:
        """Return such settings; the database is migrated, and otherwise empty."""
        return self._make(self._template.copy, overrides)

    def _make(
        self, make: Callable[[psycopg.Connection, str], None], overrides: Mapping[str, object]
    ) -> Settings:
        name = _fresh_name()
        with psycopg.connect(self._servers.database_url, autocommit=True) as connection:
            make(connection, name)
        fields = {
            "kafka": self._servers.kafka,
            "database_url": _url_of(self._servers, name),
            "topic_prefix": f"{name}.",
            "application_id": name,
            "data_dir": self._data_dir / name,
            "master_key": secrets.token_bytes(32),
            **overrides,
        }
        settings = Settings.of(fields)
        self._made.append(settings)
        return settings

    def remove(self) -> None:
        """Drop the databases and delete the topics that were made."""
        if not self._made:
            return
        with psycopg.connect(self._servers.database_url, autocommit=True) as connection:
            for settings in self._made:
                drop_database(connection, urlsplit(settings.database_url).path[1:])
        asyncio.run(self._delete_topics())

    async def _delete_topics(self) -> None:
        from aiokafka.admin import AIOKafkaAdminClient

        prefixes = tuple(settings.topic_prefix for settings in self._made)
        admin = AIOKafkaAdminClient(**self._servers.kafka_options())
        await admin.start()
        try:
            topics = [name for name in await admin.list_topics() if name.startswith(prefixes)]
            if topics:
                await admin.delete_topics(topics)
        finally:
            await admin.close()


class Template:
    """A migrated database that others are copied from, made when the first one is."""

    def __init__(self, servers: Settings) -> None:
        self._servers = servers
        self._name: str | None = None

    def copy(self, connection: psycopg.Connection, name: str) -> None:
        """Make a database like it."""
        if self._name is None:
            self._name = _fresh_name()
            make_database(connection, self._name)
            migrate(_url_of(self._servers, self._name))
        copy_database(connection, self._name, name)

    def remove(self) -> None:
        """Drop it, where it was made."""
        if self._name is not None:
            with psycopg.connect(self._servers.database_url, autocommit=True) as connection:
                drop_database(connection, self._name)


def _fresh_name() -> str:
    return f"t{secrets.token_hex(5)}"


def _url_of(servers: Settings, database: str) -> str:
    return urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{database}"))


@contextmanager
def stack_directory() -> Iterator[Path]:
    """A temporary directory for a stack's data, not below pytest's own.

    Every pytest that starts closes the directory that it shares with the others of its user. That
    revokes the execute permission that a root-run database granted to its own user.
    """
    with tempfile.TemporaryDirectory(prefix="milestream-tests-") as directory:
        yield Path(directory)


def are_shared() -> bool:
    """Whether the servers were there before the tests and stay after them."""
    return KAFKA_VARIABLE in os.environ and DATABASE_URL_VARIABLE in os.environ


def describe() -> str:
    """Say which servers the tests run on, for the head of the report."""
    if are_shared():
        return f"the servers of {KAFKA_VARIABLE} and {DATABASE_URL_VARIABLE}"
    return "containers" if _use_containers() else "the local stack's own servers"


@contextmanager
def running_servers() -> Iterator[Settings]:
    """Run, or find, a broker and a database; give settings that name them."""
    if are_shared():
        kafka, database_url = os.environ[KAFKA_VARIABLE], os.environ[DATABASE_URL_VARIABLE]
        yield Settings.of({"kafka": kafka, "database_url": database_url})
    elif _use_containers():
        with _containers() as settings:
            yield settings
    else:
        from tests.class_archive import java_options

        os.environ["JAVA_TOOL_OPTIONS"] = java_options()
        with stack_directory() as data_dir, LocalServers(data_dir) as servers:
            with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
                make_ready(connection, urlsplit(servers.settings.database_url).password or "")
            yield servers.settings


def _use_containers() -> bool:
    if os.environ.get(_CONTAINERS) != "1":
        return False
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env().ping()
    except DockerException:
        return False
    return True


@contextmanager
def _containers() -> Iterator[Settings]:
    from testcontainers.postgres import PostgresContainer

    with ExitStack() as stack:
        kafka = stack.enter_context(_kafka_container())
        database = stack.enter_context(PostgresContainer(DATABASE_IMAGE, driver=None))
        yield Settings.of({"kafka": kafka, "database_url": database.get_connection_url()})


@contextmanager
def _kafka_container() -> Iterator[str]:
    """Apache's own image, which advertises the port that it is published on."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    port = free_port()
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_envs(**environment)
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
        yield f"127.0.0.1:{port}"
