"""The README names every setting, topic, table and command that there is."""

import re
from pathlib import Path

import pytest

from deploy.cli import SUB_COMMANDS
from schemas.settings import Settings, variable
from schemas.topics import TOPICS, changelog_topic

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TABLES = re.findall(
    r"CREATE TABLE milestream\.(\w+)",
    "".join(path.read_text() for path in sorted(ROOT.glob("projections/migrations/*.sql"))),
)


@pytest.mark.parametrize("name", [variable(field) for field in Settings.model_fields])
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", [*TOPICS, changelog_topic("milestream").name])
def test_every_topic_is_named(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_named(name: str) -> None:
    assert f"`{name}`" in README


def test_there_are_tables() -> None:
    assert len(TABLES) >= 9


@pytest.mark.parametrize("name", [name for name, sub in SUB_COMMANDS.items() if not sub.hidden])
def test_every_command_is_named(name: str) -> None:
    assert re.search(rf"`(milestream )?{name}[ `,]", README)
