"""The stack's processes under supervisord: started in order, restarted, stopped in reverse."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.errors import CommandError
from deploy.stack.child import Child
from schemas.settings import PREFIX

MARKER = "MILESTREAM_STACK_DIR"
"""In the environment of every process of a stack: its data dir."""

_CHILD_PROGRAM = Path(__file__).with_name("child.py")
_MAX_SOCKET_PATH = 90  # bytes; the limit is 104 or 108, and supervisord adds its process number
_START_SECONDS = 10
_LEFTOVER_SECONDS = 20
_STEADY_SECONDS = 5  # a part that lives so long has read its settings and found its servers
# A part that dies sooner than this is started again a second later each time, up to half a minute.
_HEALTHY_SECONDS = 30
_RETRIES = 30
_STEADY_AGAIN_SECONDS = 15  # and so long, when it has died before
_LAUNCHES_AT_START = 3  # a part that died this often while the stack starts keeps dying
_FATAL_WORDS = (" CRITICAL ", "milestream: ", "Error: ")
"""In a line that tells why a part ended: a process that stops, a command, a traceback."""

_SURVIVED_WORDS = (" INFO ", " WARNING ")
"""In a line of what a part went on after, whatever error it names."""


def _is_fatal(line: str) -> bool:
    return any(word in line for word in _FATAL_WORDS) and not any(
        word in line for word in _SURVIVED_WORDS
    )


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    Parts stop by their `stage`, the highest first, and those of one stage at the same time. A part
    that has not ended `stop_seconds` after its signal is killed.
    """

    name: str
    stage: int
    child: Child
    stop_signal: str = "TERM"
    stop_seconds: int = 7


@dataclass(frozen=True)
class PartState:
    """How a part is doing."""

    name: str
    state: str
    """supervisord's word for it: STOPPED, STARTING, RUNNING, BACKOFF, EXITED, FATAL…"""
    process_id: int
    launched_at: int
    """Unix time of its latest start; another value means that it was started again."""


class Supervisor:
    """supervisord for one data dir. Its parts begin when `run` names them, not before."""

    def __init__(self, data_dir: Path, parts: Sequence[Part]) -> None:
        self._data_dir = data_dir
        self._parts = {part.name: part for part in parts}
        self._socket = _socket_path(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._launches: dict[str, set[int]] = {part.name: set() for part in parts}
        self._seen_at: dict[str, float] = {}
        """When, by ``time.monotonic``, a part's latest launch was first seen."""
        self._told: dict[str, int] = {}
        """The size of a part's log when its last words were asked for."""

    def start(self) -> None:
        """Start supervisord itself.

        Raises:
            CommandError: it does not answer.
        """
        run = self._data_dir / "run"
        for part in self._parts.values():
            part.child.save(run / f"{part.name}.json")
        configuration = run / "supervisord.conf"
        configuration.write_text(self._configuration(), "utf-8")
        self._socket.unlink(missing_ok=True)  # of one that was killed
        environment = base_environment(self._data_dir)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        # On TERM it stops the parts in order; its parts themselves die with it.
        Child(command, environment, str(self._data_dir), signal.SIGTERM).save(
            run / "supervisord.json"
        )
        self._process = subprocess.Popen(
            _become(run / "supervisord.json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for us alone, who then stop the parts in order
        )
        self._wait_until_it_answers()

    def run(self, name: str) -> None:
        """Start a part, without waiting for it."""
        self._call("startProcess", f"{_group(self._parts[name].stage)}:{name}", False)

    def states(self) -> list[PartState]:
        """How all parts are doing.

        Raises:
            CommandError: supervisord has died.
        """
        found = cast("list[Mapping[str, Any]]", self._call("getAllProcessInfo"))
        states = [
            PartState(
                name=one["name"],
                state=one["statename"],
                process_id=one["pid"],
                launched_at=one["start"],
            )
            for one in found
        ]
        for state in states:
            if state.launched_at and state.launched_at not in self._launches[state.name]:
                self._launches[state.name].add(state.launched_at)
                self._seen_at[state.name] = time.monotonic()
        return states

    def check_start(self) -> list[PartState]:
        """Return the states while the stack starts.

        Raises:
            CommandError: a part keeps dying; with the end of its log.
        """
        states = self.states()
        for state in states:
            launches = len(self._launches[state.name])
            if state.state == "FATAL" or launches >= _LAUNCHES_AT_START:
                raise CommandError(f"{state.name} keeps dying; {self.log_tail(state.name)}")
        return states

    def all_are_steady(self) -> bool:
        """Whether every part runs, and has run for long enough to be believed.

        Raises:
            CommandError: a part keeps dying.
        """
        return all(self._is_steady(state) for state in self.check_start())

    def _is_steady(self, state: PartState) -> bool:
        launches = len(self._launches[state.name])
        wanted = _STEADY_SECONDS if launches == 1 else _STEADY_AGAIN_SECONDS
        lives = time.monotonic() - self._seen_at.get(state.name, time.monotonic())
        return state.state in ("STARTING", "RUNNING") and lives > wanted

    def last_words(self, name: str) -> str:
        """Return the last fatal line that a part logged since this was asked before, in words for
        whoever reads of its end."""
        path = self._data_dir / "log" / f"{name}.log"
        if not path.exists():
            return "it has logged nothing"
        log = path.read_bytes()
        told = self._told.get(name, 0)
        self._told[name] = len(log)
        new = log[told if told <= len(log) else 0 :].decode("utf-8", "replace").splitlines()
        fatal = [line for line in new if _is_fatal(line)]
        if fatal:
            return fatal[-1].partition(" CRITICAL ")[2] or fatal[-1]
        return f"it did not say why; see {path}"

    def log_tail(self, name: str) -> str:
        """The end of a part's log, under a line that says where the log is."""
        path = self._data_dir / "log" / f"{name}.log"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        return "\n".join([f"the end of {path}:", *lines[-20:]])

    def stop(self) -> None:
        """Stop all parts in order, and supervisord; nothing of it runs afterwards."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        end_leftovers(self._data_dir)
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._data_dir / "run":
            self._socket.parent.rmdir()

    def _stop_seconds(self) -> int:
        """How long an orderly stop may take: stage after stage, and supervisord's own ends."""
        slowest: dict[int, int] = {}
        for part in self._parts.values():
            slowest[part.stage] = max(part.stop_seconds, slowest.get(part.stage, 0))
        return sum(slowest.values()) + 5

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            self._check_alive()
            if time.monotonic() > deadline:
                raise CommandError(f"supervisord does not start; {self.log_tail('supervisord')}")
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def _check_alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise CommandError(f"supervisord has died; {self.log_tail('supervisord')}")

    def _call(self, method: str, *arguments: Any) -> object:
        # A connection of its own for every call: supervisord drops one that was idle.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return cast("object", getattr(proxy.supervisor, method)(*arguments))
        except OSError as error:
            self._check_alive()
            raise CommandError(f"supervisord does not answer: {error}") from error
        finally:
            transport.close()

    def _configuration(self) -> str:
        sections = [
            "[supervisord]",
            "nodaemon = true",
            "silent = true",
            "umask = 077",
            "logfile = log/supervisord.log",
            "pidfile = run/supervisord.pid",
            "[unix_http_server]",
            f"file = {_escape(str(self._socket))}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for stage in sorted({part.stage for part in self._parts.values()}):
            members = [part.name for part in self._parts.values() if part.stage == stage]
            sections += [
                f"[group:{_group(stage)}]",
                f"programs = {','.join(members)}",
                f"priority = {stage}",
            ]
        for part in self._parts.values():
            sections += self._program(part)
        return "\n".join(sections) + "\n"

    def _program(self, part: Part) -> list[str]:
        # Relative paths are those of supervisord's working directory, the data dir.
        return [
            f"[program:{part.name}]",
            f"command = {_escape(shlex.join(_become(Path('run') / f'{part.name}.json')))}",
            "autostart = false",
            "autorestart = true",
            f"startsecs = {_HEALTHY_SECONDS}",
            f"startretries = {_RETRIES}",
            f"stopsignal = {part.stop_signal}",
            f"stopwaitsecs = {part.stop_seconds}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = log/{part.name}.log",
            "stdout_logfile_maxbytes = 20MB",
            "stdout_logfile_backups = 2",
        ]


def base_environment(data_dir: Path) -> dict[str, str]:
    """The environment of supervisord and of every part: ours without our settings, of which each
    part is given its own, and the stack's mark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, MARKER: str(data_dir)}


def end_leftovers(data_dir: Path) -> None:
    """End the processes of a stack that was itself killed; the caller holds the data dir's lock.

    The kernel has mostly ended them already (see `deploy.stack.child`); supervisord may still be
    about to stop in order, and elsewhere than on Linux all of them may still be there.

    Raises:
        CommandError: one does not end.
    """
    left = _marked(data_dir)
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            try:
                process.send_signal(signal_number)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, _LEFTOVER_SECONDS)
        left = _marked(data_dir)
    if left:
        raise CommandError(f"process {left[0].pid} of a former stack does not end")


def _marked(data_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == str(data_dir):
                found.append(process)
        except (psutil.Error, OSError):  # has just ended, or is not ours to look at
            continue
    return found


def _become(spec: Path) -> list[str]:
    return [sys.executable, "-P", str(_CHILD_PROGRAM), str(spec)]


def _group(stage: int) -> str:
    return f"stage-{stage}"


def _escape(value: str) -> str:
    """As supervisord's configuration has a value: it expands `%(name)s`."""
    return value.replace("%", "%%")


def _socket_path(data_dir: Path) -> Path:
    path = data_dir / "run" / "supervisor.sock"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="milestream-")) / "supervisor.sock"
