"""How `milestream recalculate` may be asked."""

from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from msgspec import Raw

from api.recalculating.answers import RecalculationAnswer, RecalculationTotals
from deploy.apply import read
from deploy.cli import load
from deploy.commands import recalculate as command
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
        ("--cancel", "spend"),
        ("--cancel", CHALLENGE, "--apply"),
        ("--cancel", CHALLENGE, "--challenge", CHALLENGE),
        ("--cancel", CHALLENGE, "-f", "RULES"),
        ("--cancel", CHALLENGE, "--project", "A shop"),
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


def test_a_refusal_over_what_others_changed_says_what_to_do(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = RecalculationAnswer(
        id=UUID(CHALLENGE),
        status="refused",
        code="definitions_changed",
        definitions=Raw(b"[]"),
        totals=RecalculationTotals(members=0, completions=0, rewards=0, points=0),
        not_given=[],
    )
    monkeypatch.setattr(command, "_run", lambda _settings, _asked: answer)
    done = recalculate("-f", str(documents), "--apply")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"refused (definitions_changed), recalculation {CHALLENGE}\n")
    assert "give the command again" in done.stderr
