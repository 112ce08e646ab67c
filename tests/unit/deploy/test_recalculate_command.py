"""How `milestream recalculate` may be asked."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.apply import read
from deploy.cli import load
from deploy.errors import CommandError
from deploy.recalculation import project_of

CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
DOCUMENT = f"""
kind: challenge
id: {CHALLENGE}
project: shop
name: Monthly spend
completionTargetValue: 500
"""


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(DOCUMENT)
    return path


def recalculate(*arguments: str) -> Result:
    return CliRunner().invoke(load("recalculate"), arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-f", "RULES", "--challenge", CHALLENGE),
        ("--challenge", "spend"),
        ("--challenge", CHALLENGE, "--project", "A shop"),
        ("--challenge", CHALLENGE, "--since", "2026-11-01"),
        ("--challenge", CHALLENGE, "--since", "yesterday"),
        ("--challenge", CHALLENGE, "--mode", "subtractive"),
        ("--challenge", CHALLENGE, "--max-points", "-1"),
        ("--challenge", CHALLENGE, "--max-points", "1000000000000001"),
        ("--challenge", CHALLENGE, "--max-rewards", "many"),
        ("--challenge", CHALLENGE, "--actor", ""),
    ],
)
def test_what_is_no_request_is_wrong_usage(documents: Path, arguments: tuple[str, ...]) -> None:
    typed = [str(documents) if each == "RULES" else each for each in arguments]
    assert recalculate(*typed).exit_code == 2


def test_the_project_is_that_of_the_documents(documents: Path) -> None:
    found = read([documents])
    assert project_of(found, "default", given=None) == "shop"
    assert project_of(found, "shop", given="shop") == "shop"
    assert project_of([], "default", given=None) == "default"
    with pytest.raises(CommandError, match="default, shop"):
        project_of(found, "default", given="default")


def test_documents_are_of_one_project(documents: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(DOCUMENT.replace("shop", "bar").replace("e01", "e02"))
    with pytest.raises(CommandError, match="bar, shop"):
        project_of(read([documents, other]), "default", given=None)
