"""The examples in other languages, as their first lines say to run them, on the real stack.

kcat runs wherever it is at hand. The others fetch packages, and Go and Java compile for a minute:
they run where `MILESTREAM_TEST_EXAMPLES=1`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import ids
from tests.documents import ROOT
from tests.integration.api.serving import PATIENCE_SECONDS, Served

PROJECT = "examples"
CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
MILESTONE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e02"
DEFINITIONS = {
    f"challenge/{CHALLENGE}": {"name": "Spend", "completionTargetValue": 500},
    f"milestone/{MILESTONE}": {
        "linkedSchemaRecordId": CHALLENGE,
        "name": "At 80",
        "milestoneTargetValue": 80,
    },
}

_OURS = {"JAVA_TOOL_OPTIONS"}
"""What the tests give to their brokers' Java."""

fetched = pytest.mark.skipif(
    os.environ.get("MILESTREAM_TEST_EXAMPLES") != "1",
    reason="fetches packages, some for a minute: MILESTREAM_TEST_EXAMPLES=1 runs it",
)


@pytest.mark.parametrize(
    ("language", "steps"),
    [
        ("kcat", [["sh", "purchase.sh"]]),
        pytest.param(
            "javascript",
            [
                ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"],
                ["node", "purchase.js"],
            ],
            marks=fetched,
        ),
        pytest.param("go", [["go", "build", "-o", "purchase", "."], ["./purchase"]], marks=fetched),
        pytest.param(
            "java",
            [["mvn", "-q", "-B", "compile"], ["mvn", "-q", "-B", "exec:java"]],
            marks=fetched,
        ),
    ],
)
async def test_an_example_counts_a_purchase_once_and_reads_its_reward(
    full_stack: Served, language: str, steps: Sequence[list[str]], tmp_path: Path
) -> None:
    needed = "kcat" if language == "kcat" else steps[0][0]
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not here")
    directory = tmp_path / language
    shutil.copytree(ROOT / "api/client/examples" / language, directory)
    key = await full_stack.key(project=PROJECT)
    async with await full_stack.client(project=PROJECT) as admin:
        for path, definition in DEFINITIONS.items():
            answer = await admin.put(f"/definitions/{path}", json=definition)
            assert answer.status_code in (200, 201), answer.text
    given = {
        "API": full_stack.url,
        "KEY": key.key_id,
        "SECRET": key.secret,
        "KAFKA": full_stack.settings.kafka,
        "PREFIX": full_stack.settings.topic_prefix,
        "PROJECT": PROJECT,
        "CHALLENGE": CHALLENGE,
        "USER_ID": language,
        "MEMBER_ID": ids.member_id(PROJECT, language),
    }
    said = [_run(step, directory, given) for step in steps][-1]
    # Maven has colours at the beginning of a line.
    lines = [line[line.index("{") :] for line in said.splitlines() if "{" in line]
    first, again, event = map(msgspec.json.decode, lines)
    _assert_counted_once(first, again)
    assert event["type"] == "milestream.reward.granted.v1"
    assert event["data"]["id"] == first["body"]["achievedMilestoneRewardLog"]["id"]
    away = {"API": "http://127.0.0.1:1", "KAFKA": "127.0.0.1:1"}
    _run(steps[-1], directory, {**given, **away}, fails=True)


def _run(step: list[str], directory: Path, given: dict[str, str], *, fails: bool = False) -> str:
    """Run a step to its end, which it comes to by itself whatever it meets; return its output."""
    given = {name: value for name, value in os.environ.items() if name not in _OURS} | given
    with subprocess.Popen(
        step,
        cwd=directory,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            said, errors = running.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            said, errors = running.communicate()
            pytest.fail(f"{step} did not end in {PATIENCE_SECONDS} s: {said}{errors}")
    assert (running.returncode != 0) is fails, said + errors
    return said


def _assert_counted_once(first: Any, again: Any) -> None:
    assert (first["status"], again["status"]) == (201, 409)
    assert again["body"]["record"]["id"] == first["body"]["id"]
    assert first["body"]["challengeProgress"]["currentProgressValue"] == 87.5
