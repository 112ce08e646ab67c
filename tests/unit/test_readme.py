"""The README names every setting, topic, table, path and command that there is."""

import re
from pathlib import Path

import pytest
import yaml
from fastapi.routing import APIRoute

from api.events.routes import router
from deploy.apply import check
from deploy.cli import SUB_COMMANDS
from deploy.placement import PLACEABLE
from schemas.settings import Settings, variable
from schemas.topics import TOPICS, changelog_topic

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PATHS = sorted({r.path for r in router.routes if isinstance(r, APIRoute) and r.include_in_schema})
EXAMPLES = re.findall(r"<<'YAML'\n(.*?)\nYAML\n", README, re.DOTALL)
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


def test_every_topic_that_can_be_imported_is_named_where_import_is() -> None:
    (row,) = [line for line in README.splitlines() if line.startswith("| `milestream import TOPIC")]
    assert all(f"`{name}`" in row for name in PLACEABLE)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_of_the_events_face_is_named(path: str) -> None:
    shown = path.replace(":path", "")
    assert re.search(rf"`(GET|POST) {re.escape(shown)}[`?]", README)


def test_the_definitions_to_copy_are_valid() -> None:
    found = [
        check("README.md", document)
        for example in EXAMPLES
        for document in yaml.safe_load_all(example)
    ]
    assert {document.definition.kind for document in found} == {
        "challenge", "milestone", "event", "streak", "pathway",
    }  # fmt: skip
