"""A stack's data dir: who holds it, and what is made once and kept in it.

lock            held by the running stack
ports.json      the ports it began with
secrets.json    the database's passwords, the master key, the stack's id (mode 0600)
stack.json      the settings that other commands talk to this stack with (mode 0600)
kafka/          the broker's storage
postgres/       the database's cluster
worker-N/       a worker's state
log/            one log file per part
run/            what the parts are started with; made anew at every start

All of it is its owner's alone (0700, files 0600).
"""

import base64
import fcntl
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import orjson

from deploy.errors import CommandError
from schemas.private_files import tighten
from schemas.settings import variable


@dataclass(frozen=True)
class Secrets:
    """What a stack needs and was not given."""

    database_password: str
    """The owner's, who is no superuser."""
    master_key: str
    """32 bytes, base64."""
    stack_id: str
    """Tells this stack's workers from those of another that shares its broker."""
    superuser_password: str
    api_password: str
    projector_password: str


def hold(data_dir: Path) -> TextIO:
    """Make the data dir and hold it until the returned file is closed.

    What is in it is its owner's alone from now on, whatever it was before.

    Raises:
        CommandError: another stack holds it, or it cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("log", "run"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        file = (data_dir / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"{variable('data_dir')}: cannot use {data_dir}: {error.strerror or error}"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise CommandError(
            f"another stack (process {holder}) runs in {data_dir}; end it, or set "
            "MILESTREAM_DATA_DIR to another directory"
        ) from None
    tighten(data_dir)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def keep_secrets(data_dir: Path) -> Secrets:
    """Read the data dir's secrets; make those that it has not got yet."""
    path = data_dir / "secrets.json"
    kept: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    made = {
        "database_password": secrets.token_urlsafe(24),
        "master_key": base64.b64encode(secrets.token_bytes(32)).decode("ascii"),
        "stack_id": secrets.token_hex(4),
        "superuser_password": secrets.token_urlsafe(24),
        "api_password": secrets.token_urlsafe(24),
        "projector_password": secrets.token_urlsafe(24),
    }
    if kept.keys() != made.keys():
        kept = {**made, **kept}
        write_private(path, kept)
    return Secrets(**kept)


def write_private(path: Path, values: Mapping[str, str]) -> None:
    """Write a JSON object that only its owner may read, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(values, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
