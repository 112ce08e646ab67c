"""Running the API and what it needs as processes of their own, and talking to it."""

import asyncio
import contextlib
import importlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
from psycopg import AsyncConnection

from api.auth import credentials
from api.auth.credentials import NewKey, Role
from deploy.topics_create import create_topics
from schemas.settings import PREFIX, Settings
from tests import forking
from tests.forking import Forked
from tests.plain_http import NO_TLS
from tests.ports import free_port
from tests.stack import FreshSettings

PATIENCE_SECONDS = 300
_LIMIT_SECONDS = 60.0
_ALWAYS: Mapping[str, Sequence[str]] = {
    "api": (
        "api.kafka.definition_store.TIMEOUT_SECONDS",
        "api.database_deadline.QUICK_SECONDS",
        "api.resources.POOL_TIMEOUT_SECONDS",
    ),
}
_PATIENT: Mapping[str, Sequence[str]] = {
    "api": (
        "api.auth.shares.END_USER_SECONDS",
        "api.auth.shares.WAIT_SECONDS",
        "api.dead_letters.watch.TIMEOUT_SECONDS",
        "api.explaining.explaining.END_USER_SECONDS",
        "api.explaining.explaining.KEY_SECONDS",
        "api.faces.dashboard.answers.PAGE_SECONDS",
        "api.kafka.barrier.MAX_WAIT_SECONDS",
        "api.kafka.clocks.TIMEOUT_SECONDS",
        "api.kafka.past.TIMEOUT_SECONDS",
        "api.kafka.processor_client.TIMEOUT_SECONDS",
        "api.kafka.sealer.TIMEOUT_SECONDS",
    ),
    "worker": ("processor.dry_runs.ANSWER_SECONDS",),
}
"""Limits of work that a busy machine does not do in a few seconds, by command. They make an API
wait for a worker's answer, for the read models, the broker and the database, and a worker answer
it. Each is named where it is looked up: who imports it has a name of its own for it. The first ones
hold also where a test sees that nobody answers."""
PROJECT = "acme"


@dataclass(frozen=True)
class Served:
    """An API that serves, the settings that it runs with, and processes by their commands."""

    settings: Settings
    processes: Mapping[str, Forked] = field(default_factory=dict, kw_only=True)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.settings.api_port}"

    async def key(self, role: Role = Role.ADMIN, project: str = PROJECT) -> NewKey:
        """Make an API key."""
        async with await AsyncConnection.connect(self.settings.database_url) as connection:
            return await credentials.create_key(connection, project, role, None, signing=False)

    async def client(self, role: Role = Role.ADMIN, project: str = PROJECT) -> httpx.AsyncClient:
        """Return a client with a key of its own."""
        key = await self.key(role, project)
        headers = {"x-api-key": key.key_id, "x-api-secret": key.secret}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS
        )

    async def token(self, user: str, project: str = PROJECT, **claims: Any) -> str:
        """Return an end user's token; claims that are None are left out."""
        async with await AsyncConnection.connect(self.settings.database_url) as connection:
            master_key = self.settings.master_key
            secret = await credentials.jwt_secret(connection, project, master_key)
        good = {"sub": user, "aud": project, "exp": int(time.time()) + 300}
        payload = {name: value for name, value in (good | claims).items() if value is not None}
        return jwt.encode(payload, secret, algorithm="HS256")

    async def end_user(self, user: str, project: str = PROJECT, **claims: Any) -> httpx.AsyncClient:
        """Return a client that speaks for an end user."""
        headers = {"authorization": f"Bearer {await self.token(user, project, **claims)}"}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS
        )

    def guest(self) -> httpx.AsyncClient:
        """Return a client without credentials."""
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS, verify=NO_TLS)


@contextlib.contextmanager
def served(
    fresh_settings: FreshSettings, *commands: str, log: Path, patient: bool = False
) -> Iterator[Served]:
    """Run the API, and these other commands, on topics and a database of their own.

    Beside a worker it is a patient one; that it gives up soon is to be seen where nobody answers.
    """
    settings = fresh_settings.migrated(api_port=free_port(), partitions=2)
    create_topics(settings)
    with contextlib.ExitStack() as stack:
        patient = patient or "worker" in commands
        started = {
            command: stack.enter_context(process(settings, command, log, patient=patient))
            for command in (*commands, "api")
        }
        api = Served(settings, processes=started)
        wait_until_ready(api, log, with_worker="worker" in commands)
        yield api


@contextlib.contextmanager
def process(
    settings: Settings, command: str, log: Path, *, patient: bool = False, prepared: str = ""
) -> Iterator[Forked]:
    """Run `milestream <command>` until the context ends; an API or a worker may be a patient one.

    `prepared` is Python that runs in its process before it starts.
    """
    limits = [*_ALWAYS.get(command, ()), *(_PATIENT.get(command, ()) if patient else ())]
    prepared = f"{_extended(limits)}\n{prepared}"
    with (log / f"{command}.log").open("ab") as output:
        child = forking.start([command], environment(settings), output, prepared=prepared)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _extended(limits: Sequence[str]) -> str:
    """Return Python that extends limits; one that is not there is a fault of these tests."""
    lines = []
    for limit in limits:
        module, _, name = limit.rpartition(".")
        assert hasattr(importlib.import_module(module), name), limit
        lines.append(f"import {module}; {limit} = {_LIMIT_SECONDS}")
    return "\n".join(lines)


def run(settings: Settings, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `milestream …` to its end."""
    return forking.run(arguments, environment(settings), stdin=stdin, seconds=PATIENCE_SECONDS)


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that is to have these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**inherited, **settings.to_env()}


def wait_until_ready(api: Served, log: Path, *, with_worker: bool = True) -> None:
    """Return when `/readyz` says so, or says that nothing but a worker is missing, where it runs
    without one; fail with the API's log where it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"{api.url}/readyz", timeout=20, verify=NO_TLS)
            parts = [part for name, part in answer.json().items() if name != "status"]
            missing = [part.get("reason") for part in parts if not part["ok"]]
            if not missing or (not with_worker and missing == ["no_worker"]):
                return
        time.sleep(0.1)
    raise AssertionError("the API did not start:\n" + (log / "api.log").read_text())


def let_the_hour_begin(seconds: float = 90) -> None:
    """Wait for the next hour where this one ends within seconds.

    A day ends at some hour in every zone that tests name, so none ends soon after this.
    """
    left = 3600 - time.time() % 3600
    if left < seconds:
        time.sleep(left + 0.1)


async def passed() -> datetime:
    """Return a moment after all that was done, and before all that is done next."""
    moment = datetime.now(UTC)
    deadline = time.monotonic() + 10
    while datetime.now(UTC) < moment + timedelta(milliseconds=2):
        assert time.monotonic() < deadline, "the clock stands still"
        await asyncio.sleep(0.001)
    return moment


def filters(*conditions: tuple[str, str, Any], joiner: str = "AND") -> str:
    """Return the parameter `filters` of these (field, operator, value)."""
    listed = [{"fieldSlug": f, "operator": o, "value": v} for f, o, v in conditions]
    return json.dumps({"type": joiner, "conditions": listed})
