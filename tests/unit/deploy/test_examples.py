"""Every command's help has examples, and each of them can be typed as it stands."""

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from typer.testing import CliRunner

from deploy.cli import SUB_COMMANDS, app, load
from deploy.examples import EXAMPLES

LOADED = {name: load(name) for name in SUB_COMMANDS}


def _leaves() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in LOADED.items():
        below = getattr(command, "commands", None)
        if below is None:
            found[name] = command
        else:
            found |= {f"{name} {each}": sub for each, sub in below.items()}
    return found


LEAVES = _leaves()


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(LEAVES)
    assert all(EXAMPLES.values())


@pytest.mark.parametrize(
    ("name", "typed"), [(name, typed) for name, each in EXAMPLES.items() for typed, _ in each]
)
def test_an_example_is_understood(
    name: str, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(typed) if not word.startswith("MILESTREAM_")]
    program, *rest = words
    assert program == "milestream"
    assert rest[: len(name.split())] == name.split()
    for word in rest:
        if Path(word).suffix in (".yaml", ".ndjson", ".gz", ".pem"):
            Path(word).touch()
    command: click.Command = LEAVES[name]
    with command.make_context(name, rest[len(name.split()) :]) as context:
        assert context.params is not None


@pytest.mark.parametrize("name", LEAVES)
def test_help_shows_them(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for typed, comes in EXAMPLES[name]:
        assert typed in shown.output
        assert comes[1:] in shown.output


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("milestream exp", {"export", "export-member"}),
        ("milestream keys cr", {"create"}),
        ("milestream keys token --us", {"--user"}),
    ],
)
def test_a_shell_completes_commands_and_options(words: str, completed: set[str]) -> None:
    asked = {"_MILESTREAM_COMPLETE": "complete_bash", "COMP_WORDS": words,
             "COMP_CWORD": str(len(words.split()) - 1)}  # fmt: skip
    found = CliRunner().invoke(app, [], env=asked, prog_name="milestream")
    assert completed <= set(found.output.split())
