"""The Python client on the real stack: its README typed, from a wheel that is installed alone."""

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import pytest_asyncio
from packaging.requirements import Requirement

from api.auth.credentials import NewKey
from tests.documents import ROOT, Document
from tests.integration.api.serving import PATIENCE_SECONDS, Served

PROJECT = "clients"
CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
MILESTONE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e02"
CLIENT = ROOT / "api" / "client"

DEFINITIONS = {
    f"challenge/{CHALLENGE}": {
        "name": "Monthly spend",
        "aggregationPeriod": "monthly",
        "completionTargetValue": 500,
    },
    f"milestone/{MILESTONE}": {
        "linkedSchemaRecordId": CHALLENGE,
        "name": "Free delivery",
        "milestoneTargetValue": 80,
    },
    "event/order_placed": {
        "title": "Order placed",
        "type": "TRANSACTION",
        "rewardValueField": "amount",
        "reward": {"default": 1},
    },
}
"""Those of the top README."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the client, from its wheel, and what it says that it needs; nothing else."""
    directory = tmp_path_factory.mktemp("alone")
    wheels = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, CLIENT],
        check=True,
        timeout=120,
    )
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as packed:
        assert "milestream_client/py.typed" in packed.namelist()
        packed.extractall(directory)
    (metadata,) = directory.glob("milestream_client-*.dist-info/METADATA")
    for name in _needed(importlib.metadata.PathDistribution(metadata.parent), "kafka"):
        _link(importlib.metadata.distribution(name), directory)
    return directory


def _needed(distribution: importlib.metadata.Distribution, *extras: str) -> set[str]:
    """Return the names of what a distribution requires, and of what that requires in turn."""
    found: set[str] = set()
    for each in map(Requirement, distribution.requires or []):
        asked = [{"extra": extra} for extra in ("", *extras)]
        if each.marker is None or any(map(each.marker.evaluate, asked)):
            below = importlib.metadata.distribution(each.name)
            assert each.specifier.contains(below.version), each
            found |= {each.name, *_needed(below, *each.extras)}
    return found


def _link(distribution: importlib.metadata.Distribution, directory: Path) -> None:
    tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}
    for top in tops - {"__pycache__"}:
        place = directory / top
        if not place.exists():
            place.symlink_to(Path(str(distribution.locate_file(top))))


@pytest_asyncio.fixture
async def key(full_stack: Served) -> NewKey:
    """A key of a project of its own, which has the README's definitions."""
    made = await full_stack.key(project=PROJECT)
    async with await full_stack.client(project=PROJECT) as admin:
        for path, definition in DEFINITIONS.items():
            answer = await admin.put(f"/definitions/{path}", json=definition)
            assert answer.status_code in (200, 201), answer.text
    return made


def test_what_its_readme_says_to_type_holds_where_nothing_else_is_installed(
    full_stack: Served, key: NewKey, alone: Path, tmp_path: Path
) -> None:
    settings = full_stack.settings
    given = {
        "URL": full_stack.url,
        "KEY": key.key_id,
        "SECRET": key.secret,
        "KAFKA": settings.kafka,
        "PREFIX": settings.topic_prefix,
        "PROJECT": PROJECT,
    }
    blocks = [
        code for language, code in Document(CLIENT / "README.md").blocks if language == "python"
    ]
    own = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    # However busy the machine is.
    own += "import milestream_client.http, milestream_client.publishing as p\n"
    own += f"p.DEADLINE_SECONDS = milestream_client.http.DEADLINE_SECONDS = {PATIENCE_SECONDS}\n"
    typed = tmp_path / "typed.py"
    assert re.fullmatch(r"(?:[A-Z, ]+ = .+\n)+", blocks[0])
    # -I -S: no site-packages, so the product and whatever else is installed are not there.
    path = f"import sys; sys.path.insert(0, {str(alone)!r})\n"
    foreign = (
        "import importlib.util as u\nassert not u.find_spec('schemas') and not u.find_spec('api')\n"
    )
    typed.write_text(path + foreign + own + "\n".join(blocks[1:]))
    done = subprocess.run(
        [sys.executable, "-I", "-S", typed],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
