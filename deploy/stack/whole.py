"""The whole stack of `milestream up`: the servers, then everything of ours on top of them."""

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import orjson

from deploy.stack.child import Child
from deploy.stack.data_dir import Secrets
from deploy.stack.database import url
from deploy.stack.ports import Ports
from deploy.stack.servers import LocalServers, wait_until
from deploy.stack.supervision import Part, PartState, Supervisor, base_environment
from schemas import database_roles
from schemas.settings import Settings

_WATCH_SECONDS = 1.0
_FATAL_LOOKS = 30
_TELL_SECONDS = 10
_SERVICES_STAGE = 2  # after the servers on the way up, before them on the way down

_WITHHELD = {
    "worker": ("database_url",),
    "demo-traffic": ("database_url", "master_key"),
    "projector": ("master_key",),
}
"""By command, the settings with secrets that it does not use, and so is not given."""


@dataclass(frozen=True)
class Addresses:
    """Where a running stack can be reached; the one line of `--json`."""

    kafka: str
    database_url: str
    api: str

    def to_json(self) -> str:
        """One line: `{"kafka","database_url","api"}`."""
        return orjson.dumps(self).decode()


class WholeStack:
    """Everything that `milestream up` runs, for as long as the `with` block lasts."""

    def __init__(self, settings: Settings, *, demo: bool) -> None:
        """Take settings as they were given, without those of a local stack."""
        self._demo = demo
        self._given = settings.model_fields_set
        self.servers = LocalServers(settings.data_dir, settings, self._parts)
        self._seen: dict[str, PartState] = {}
        self._fatal_looks = 0

    @property
    def settings(self) -> Settings:
        """What the parts run with."""
        return self.servers.settings

    def __enter__(self) -> "WholeStack":
        """Start everything and wait until it is ready.

        Raises:
            CommandError: a part cannot be started, or keeps dying; nothing is left running.
        """
        self.servers.__enter__()
        try:
            self._start_services()
        except BaseException:
            self.servers.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop everything, in order."""
        self.servers.stop()

    def addresses(self) -> Addresses:
        """Where the stack can be reached."""
        return Addresses(
            self.settings.kafka, self.settings.database_url, local_address(self.settings)
        )

    def watch(self) -> None:
        """Say on stderr what died and was started again, until interrupted.

        Raises:
            CommandError: supervisord itself died, which ends all its parts.
        """
        while True:
            time.sleep(_WATCH_SECONDS)
            self._look(self.servers.supervisor)

    def _look(self, supervisor: Supervisor) -> None:
        for state in supervisor.states():
            before = self._seen.get(state.name, state)
            if state.state == "FATAL" and before.state == "FATAL":
                self._fatal_looks += 1
                if self._fatal_looks % _FATAL_LOOKS == 0:
                    # supervisord has given up on it; we do not, its cause may be gone by now.
                    supervisor.run(state.name)
            if state.launched_at != before.launched_at:
                why = supervisor.last_words(state.name)
                print(f"{state.name} died and was started again: {why}", file=sys.stderr)
            self._seen[state.name] = state

    def _start_services(self) -> None:
        from deploy.topics_create import create_topics
        from projections.migrate import migrate

        create_topics(self.settings)
        migrate(self.settings.database_url)
        supervisor = self.servers.supervisor
        services = [state.name for state in supervisor.states() if state.state == "STOPPED"]
        for name in services:
            supervisor.run(name)
        self._wait_until_ready(supervisor)
        wait_until(supervisor, "supervisord", supervisor.all_are_steady)
        self._seen = {state.name: state for state in supervisor.states()}

    def _wait_until_ready(self, supervisor: Supervisor) -> None:
        """Wait for `/readyz`: to answer at all, not for ever; for its 200, as long as it takes."""
        wait_until(supervisor, "api", lambda: readiness(self.settings) is not None)
        told = time.monotonic()
        while (answer := readiness(self.settings)) is None or answer[0] != HTTPStatus.OK:
            supervisor.check_start()
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                print(f"Not ready yet: {answer[1] if answer else 'no answer'}", file=sys.stderr)
            time.sleep(0.2)

    def _parts(self, settings: Settings, ports: Ports, secrets: Secrets) -> Sequence[Part]:
        names = [f"worker-{number}" for number in range(1, settings.workers + 1)]
        parts = [
            self._part(
                name,
                ["worker"],
                settings,
                # A static member of the group: restarted, it has its partitions at once.
                worker_instance=f"{name}-{secrets.stack_id}",
                metrics_port=ports.take(f"{name}-metrics"),
            )
            for name in names
        ]
        projector, api = self._logins(settings, secrets)
        port = ports.take("projector-metrics")
        parts.append(self._part("projector", ["projector"], projector, metrics_port=port))
        parts.append(self._part("api", ["api"], api))
        if self._demo:
            parts.append(self._part("demo-traffic", ["demo-traffic"], settings))
        return parts

    def _logins(self, settings: Settings, secrets: Secrets) -> tuple[Settings, Settings]:
        """Settings of projector and API: with logins of their own, where the database is ours."""
        if "database_url" in self._given:
            return settings, settings
        port = settings.database_port
        projector = url(port, secrets.projector_password, user=database_roles.PROJECTOR)
        api = url(port, secrets.api_password, user=database_roles.API)
        return (
            settings.model_copy(update={"database_url": projector}),
            settings.model_copy(update={"database_url": api}),
        )

    def _part(self, name: str, arguments: Sequence[str], settings: Settings, **own: object) -> Part:
        # A data dir of its own, for that of the stack says what other commands may know.
        own_settings = settings.model_copy(update={"data_dir": settings.data_dir / name, **own})
        withheld = _WITHHELD.get(arguments[0], ())
        environment = {**base_environment(settings.data_dir), **own_settings.to_env(withheld)}
        environment["PYTHONUNBUFFERED"] = "1"
        command = [sys.executable, "-P", "-m", "deploy.cli", *arguments]
        return Part(name, _SERVICES_STAGE, Child(command, environment, str(Path.cwd())))


def local_address(settings: Settings) -> str:
    """The API's address from this machine, also where it listens on all of its addresses."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    host = everywhere.get(settings.api_host, settings.api_host)
    return (
        f"http://[{host}]:{settings.api_port}"
        if ":" in host
        else (f"http://{host}:{settings.api_port}")
    )


def readiness(settings: Settings) -> tuple[int, str] | None:
    """Status and beginning of the body that `/readyz` answers; None where nothing answers."""
    try:
        with urllib.request.urlopen(  # noqa: S310
            f"{local_address(settings)}/readyz", timeout=5
        ) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read(500).decode("utf-8", "replace")
    except OSError:
        return None
