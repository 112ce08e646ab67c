"""The local stack's own broker and database: they keep data and ports, and want passwords."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.errors import CommandError
from deploy.stack import LocalServers, database, database_logins
from deploy.stack.broker import format_storage
from deploy.stack.data_dir import Secrets
from deploy.stack.ports import Ports
from deploy.stack.servers import broker_answers
from projections.analysts import create_login, revoke_login
from projections.migrate import migrate
from schemas.settings import Settings
from tests.stack import stack_directory

TOPIC = "kept"


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One data dir for all these tests: each start is a restart on what the others left."""
    with stack_directory() as directory:
        yield directory / "local stack %s"  # a path that needs care


@pytest.fixture(scope="class")
def running(data_dir: Path) -> Iterator[LocalServers]:
    with LocalServers(data_dir) as servers:
        yield servers


async def _write(settings: Settings, value: bytes) -> None:
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        await producer.send_and_wait(TOPIC, value)


async def _read(settings: Settings) -> bytes:
    options = {**settings.kafka_options(), "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(TOPIC, **options) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 60)
        return bytes(record.value)


def _login(url: str, **changes: str) -> str:
    """The URL of another login: `user`, `password`."""
    parts = urlsplit(url)
    user = changes.get("user", parts.username)
    password = changes.get("password", parts.password)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


def _process(servers: LocalServers, name: str) -> psutil.Process:
    states = {state.name: state for state in servers.supervisor.states()}
    return psutil.Process(states[name].process_id)


def _eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.2)


def _database_answers(settings: Settings) -> bool:
    try:
        psycopg.connect(settings.database_url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def test_data_and_ports_outlive_a_restart(data_dir: Path) -> None:
    with LocalServers(data_dir) as servers:
        first = servers.settings
        asyncio.run(_write(first, b"still here"))
        with psycopg.connect(first.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with LocalServers(data_dir) as servers:
        assert servers.settings == first
        assert asyncio.run(_read(first)) == b"still here"
        with psycopg.connect(first.database_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_nothing_is_left_running_after_a_stop(data_dir: Path) -> None:
    with LocalServers(data_dir) as servers:
        processes = [_process(servers, name) for name in ("broker", "database")]
        processes += [child for process in processes for child in process.children(recursive=True)]
    assert [process for process in processes if process.is_running()] == []


def test_a_stale_process_file_does_not_stop_the_database(stack_dir: Path) -> None:
    database_alone = Settings.of({"kafka": "127.0.0.1:1"})  # named, so none is started
    pid_file = stack_dir / "postgres" / "postmaster.pid"
    with LocalServers(stack_dir, database_alone):
        left_behind = pid_file.read_text().splitlines()
    # As after a reboot: the number in the file is now that of somebody else, here of ourselves.
    pid_file.write_text("\n".join([str(os.getpid()), *left_behind[1:]]) + "\n")
    with LocalServers(stack_dir, database_alone) as servers:
        _eventually(lambda: _database_answers(servers.settings))


def test_a_cluster_whose_owner_was_superuser_is_handed_over(
    stack_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As versions before this one made it."""
    database_alone = Settings.of({"kafka": "127.0.0.1:1"})  # named, so none is started
    kept = stack_dir / "secrets.json"
    secrets = {"database_password": "d", "master_key": f"{'A' * 43}=", "stack_id": "s"}
    logins = ("superuser_password", "api_password", "projector_password")
    kept.write_text(json.dumps(secrets | dict.fromkeys(logins, "d")))
    with monkeypatch.context() as earlier:
        earlier.setattr(database, "SUPERUSER", "milestream")
        earlier.setattr(database_logins, "make_database", _made_as_it_was)
        with LocalServers(stack_dir, database_alone) as servers:
            url = servers.settings.database_url
            migrate(url)
            analyst = create_login(url, "acme")
            with psycopg.connect(url) as connection:
                connection.execute("CREATE VIEW public.mine AS SELECT 42 AS answer")
                connection.execute("INSERT INTO milestream_private.locks VALUES (-1)")
    kept.write_text(json.dumps(secrets))
    for _ in range(2):
        with LocalServers(stack_dir, database_alone) as servers:
            url = servers.settings.database_url
            migrate(url)
            with psycopg.connect(url) as connection:
                assert connection.execute(
                    "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles "
                    "WHERE rolname = current_user"
                ).fetchone() == (False, False, True)
                connection.execute("DROP VIEW public.mine")
                connection.execute("ALTER TABLE milestream.members ADD COLUMN mine integer")
                rows = connection.execute("SELECT FROM milestream_private.locks WHERE slot = -1")
                assert rows.fetchone() is not None
                connection.rollback()
            psycopg.connect(analyst.database_url).close()
    with LocalServers(stack_dir, database_alone) as servers:
        assert revoke_login(servers.settings.database_url, "acme", analyst.user)


def _made_as_it_was(port: int, secrets: Secrets) -> None:
    with database_logins.first_connection(port, secrets) as connection:
        connection.execute("CREATE DATABASE milestream")


def _open_to_others(place: Path) -> bool:
    """Whether others have rights; with an access list, the group's bits are only its limit."""
    rights = stat.S_IMODE(place.lstat().st_mode)
    try:
        listed = bool(os.getxattr(place, "system.posix_acl_access"))
    except OSError:
        listed = False
    return bool(rights & (0o007 if listed else 0o077))


def test_a_data_dir_is_its_owners_alone_whatever_it_was(stack_dir: Path) -> None:
    database_alone = Settings.of({"kafka": "127.0.0.1:1"})  # named, so none is started
    before = os.umask(0)
    try:
        with LocalServers(stack_dir, database_alone):
            assert [p for p in (stack_dir, *stack_dir.rglob("*")) if _open_to_others(p)] == []
        for place in (stack_dir, *stack_dir.rglob("*")):
            place.chmod(0o755 if place.is_dir() else 0o644)
        with LocalServers(stack_dir, database_alone) as servers:
            _eventually(lambda: _database_answers(servers.settings))
            assert [p for p in (stack_dir, *stack_dir.rglob("*")) if _open_to_others(p)] == []
    finally:
        os.umask(before)


def test_what_was_killed_whole_starts_again(data_dir: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from deploy.stack import LocalServers\n"
        "with LocalServers(pathlib.Path(sys.argv[1])) as servers:\n"
        "    print([s.process_id for s in servers.supervisor.states()], flush=True)\n"
        "    time.sleep(1000)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    servers = [psutil.Process(number) for number in json.loads(owner.stdout.readline())]
    for process in (psutil.Process(owner.pid), *servers):
        with contextlib.suppress(psutil.NoSuchProcess):  # some end with those before them
            process.send_signal(signal.SIGKILL)
    owner.communicate(timeout=60)
    with LocalServers(data_dir) as again:
        assert asyncio.run(_read(again.settings)) == b"still here"


def test_servers_do_not_outlive_the_process_that_started_them(data_dir: Path) -> None:
    program = (
        "import sys, os, pathlib\n"
        "from deploy.stack import LocalServers\n"
        "servers = LocalServers(pathlib.Path(sys.argv[1])).__enter__()\n"
        "print([s.process_id for s in servers.supervisor.states()], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(data_dir)],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL
    _eventually(lambda: not any(psutil.pid_exists(pid) for pid in json.loads(done.stdout)))


class TestRunning:
    """What holds while the servers run."""

    def test_the_database_wants_a_password_of_everybody(self, running: LocalServers) -> None:
        url = running.settings.database_url
        for changes in ({"password": "wrong"}, {"password": ""}, {"user": "postgres"}):
            with pytest.raises(psycopg.OperationalError, match=r"password|authentication"):
                psycopg.connect(_login(url, **changes))
        with psycopg.connect(running.superuser_url) as connection:
            rules = connection.execute(
                "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
            ).fetchall()
            sockets = connection.execute("SHOW unix_socket_directories").fetchone()
            encrypted = connection.execute("SHOW password_encryption").fetchone()
        assert rules == [("scram-sha-256",)]
        assert sockets == ("",)
        assert encrypted == ("scram-sha-256",)

    def test_the_database_is_durable_and_new_enough(self, running: LocalServers) -> None:
        with psycopg.connect(running.settings.database_url) as connection:
            assert connection.info.server_version // 10000 == 18
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)

    def test_both_servers_listen_on_this_machine_alone(self, running: LocalServers) -> None:
        for name in ("broker", "database"):
            listening = [
                connection.laddr.ip.removeprefix("::ffff:")
                for connection in _process(running, name).net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
            assert listening
            assert set(listening) == {"127.0.0.1"}

    def test_secrets_can_be_read_by_their_owner_only(
        self, running: LocalServers, data_dir: Path
    ) -> None:
        password = urlsplit(running.settings.database_url).password
        assert password is not None
        holders: dict[Path, int] = {}
        for directory, _, names in os.walk(data_dir):
            for path in (Path(directory, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # the servers' own come and go
                    found = path.stat()
                    if not stat.S_ISREG(found.st_mode) or found.st_size >= 100_000:
                        continue
                    if password in path.read_text("utf-8", "replace"):
                        holders[path] = stat.S_IMODE(found.st_mode)
        assert {path.name for path in holders} >= {"secrets.json", "stack.json"}
        assert set(holders.values()) == {0o600}

    @pytest.mark.parametrize("name", ["broker", "database"])
    def test_a_killed_server_comes_back(self, running: LocalServers, name: str) -> None:
        before = _process(running, name)
        before.kill()
        before.wait(60)
        answers = {"broker": broker_answers, "database": _database_answers}[name]
        _eventually(lambda: answers(running.settings))
        assert _process(running, name).pid != before.pid

    def test_a_data_dir_has_one_stack_at_a_time(
        self, running: LocalServers, data_dir: Path
    ) -> None:
        with (
            pytest.raises(CommandError, match=f"another stack .process {os.getpid()}"),
            LocalServers(data_dir),
        ):
            pass
        _eventually(lambda: broker_answers(running.settings))

    def test_two_stacks_run_side_by_side(self, running: LocalServers, stack_dir: Path) -> None:
        with LocalServers(stack_dir) as second:
            assert second.settings.kafka != running.settings.kafka
            assert second.settings.database_url != running.settings.database_url
            for each in (second, running):
                _eventually(lambda servers=each: broker_answers(servers.settings))  # type: ignore[misc]

    def test_for_root_the_database_runs_as_somebody_else(self, running: LocalServers) -> None:
        assert _process(running, "database").uids().effective != 0


class TestPorts:
    """Ports are the given ones, else those that the data dir began with, else free ones."""

    def test_a_taken_default_gives_a_free_port_that_is_kept(self, tmp_path: Path) -> None:
        first, second = Ports(tmp_path, {}), Ports(self._other(tmp_path), {})
        ports = [first.take("kafka"), second.take("kafka")]
        assert ports[0] != ports[1]
        for opened in (first, second):
            opened.close()
        again = Ports(tmp_path, {})
        assert again.take("kafka") == ports[0]
        again.close()

    def test_a_kept_port_that_another_program_has_is_an_error(self, tmp_path: Path) -> None:
        ports = Ports(tmp_path, {})
        port = ports.take("database")
        ports.close()
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(CommandError, match=f"port {port}.*MILESTREAM_DATABASE_PORT"),
        ):
            Ports(tmp_path, {}).take("database")

    def test_a_given_port_counts_and_is_kept(self, tmp_path: Path) -> None:
        free = Ports(self._other(tmp_path), {})
        port = free.take("api")
        free.close()
        given = Ports(tmp_path, {"api": port})
        assert given.take("api") == port
        given.close()
        later = Ports(tmp_path, {})
        assert later.take("api") == port
        later.close()

    @staticmethod
    def _other(tmp_path: Path) -> Path:
        other = tmp_path / "other"
        other.mkdir()
        return other


def test_a_cluster_id_may_begin_with_a_dash(tmp_path: Path) -> None:
    """One in 64 does."""
    properties = tmp_path / "broker.properties"
    properties.write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
        "controller.quorum.voters=1@127.0.0.1:19093\n"
        "listeners=PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:19093\n"
        f"log.dirs={tmp_path / 'storage'}\n"
    )
    format_storage(properties, uuid.UUID("f8000000-0000-4000-8000-000000000000"))
    assert "cluster.id=-" in (tmp_path / "storage" / "meta.properties").read_text()
