"""How `milestream simulate` may be asked, and which documents it takes."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.apply import ApplyError, as_whole_set, read
from deploy.cli import load
from deploy.commands.simulate import check_clock
from deploy.errors import CommandError

CHALLENGE = """
kind: challenge
id: 7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01
name: Monthly spend
completionTargetValue: 500
"""
OF_ANOTHER = """
kind: event
project: shop
eventId: visit
title: A visit
reward: {default: 5}
"""
ON_CLOCK = """
kind: project
id: default
clock: manual
"""
LOOSE = """
kind: milestone
id: 7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e02
name: Nowhere
linkedSchemaRecordId: 7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e09
milestoneTargetValue: 80
"""


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(CHALLENGE)
    return path


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(load("simulate"), arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--input", "LOGS", "--from-topics"),
        ("--from-topics", "--topic", "events"),
        ("--from-topics", "--format", "csv"),
        ("--from-topics", "--text", "metadata.sku"),
        ("--input", "LOGS", "--topic", "ticks"),
        ("--input", "LOGS", "--format", "xml"),
        ("--input", "nowhere.ndjson"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(
    arguments: tuple[str, ...], documents: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs.ndjson"
    logs.write_text("")
    asked = [str(logs) if each == "LOGS" else each for each in arguments]
    assert simulate("-f", str(documents), *asked).exit_code == 2


def test_documents_are_asked_for() -> None:
    assert simulate("--from-topics").exit_code == 2


def test_one_file_alone_is_read_from_stdin() -> None:
    assert simulate("-f", "-", "--input", "-").exit_code == 2


def test_documents_are_all_that_their_project_has(documents: Path) -> None:
    project, definitions = as_whole_set(read([documents]))
    assert project == "default"
    assert definitions.challenge("default", "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01") is not None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no definition"),
        (f"{CHALLENGE}---{OF_ANOTHER}", "document 2: project: must be one for all documents"),
        (f"{CHALLENGE}---{LOOSE}", "document 2: linkedSchemaRecordId: there is no such challenge"),
        (CHALLENGE.replace("500", "none"), "document 1: completionTargetValue: must be a number"),
    ],
)
def test_documents_that_are_no_set_are_refused(text: str, fault: str, documents: Path) -> None:
    documents.write_text(text)
    with pytest.raises(ApplyError, match=fault):
        as_whole_set(read([documents]))
    failed = simulate("-f", str(documents), "--from-topics")
    assert isinstance(failed.exception, ApplyError)


def test_documents_leave_a_project_its_clock(documents: Path) -> None:
    _, live = as_whole_set(read([documents]))
    documents.write_text(f"{CHALLENGE}---{ON_CLOCK}")
    _, manual = as_whole_set(read([documents]))
    for same in (live, manual):
        check_clock("default", same, same)
    with pytest.raises(CommandError, match=r"is manual, and live in the documents: .* clock: man"):
        check_clock("default", live, manual)
    with pytest.raises(CommandError, match=r"is live, and manual in the documents: .* clock: liv"):
        check_clock("default", manual, live)
