"""Definitions as YAML for people: read by `milestream apply` as what they were."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from api.faces.dashboard import definitions
from api.http.yaml_text import yaml_of
from deploy.apply import read
from schemas import definitions as models

ODD = [
    *("no", "1e3", "1:30", "12", "+12", ".5", "1.", "0x1F", "null", "~", ""),
    *("<<", "=", "2026-11-01", "a\nb\n", "a\r\nb", "x\n\ty", "line \nb", " lead", "x #y", "y: z"),
    *("é😀\x07\u2028", "'\""),
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_read_back_as_it_was(text: str, tmp_path: Path) -> None:
    event = models.parse("event", {
        "id": "e", "title": "t", "description": text, "type": "FIXED", "reward": {"default": 1},
    })  # fmt: skip
    file = tmp_path / "event.yaml"
    shown = yaml_of({"kind": "event", "project": "p", **models.wire_fields(event)})
    file.write_text(shown, "utf-8", newline="")
    (document,) = read([file])
    assert document.definition == event
    assert yaml.safe_load(shown)["description"] == text


@pytest.mark.parametrize("number", ["1.25", "100", "0.000000001", "12345678901234567890.123456789"])
def test_numbers_are_exact(number: str, tmp_path: Path) -> None:
    challenge = models.parse("challenge", {
        "id": "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01", "name": "n",
        "completionTargetValue": Decimal(number),
    })  # fmt: skip
    file = tmp_path / "challenge.yaml"
    file.write_text(yaml_of({"kind": "challenge", **models.wire_fields(challenge)}), "utf-8")
    (document,) = read([file])
    assert document.definition == challenge
    assert f": {number}\n" in file.read_text("utf-8")


def test_changes_are_lines_beside_what_stays() -> None:
    old = [f"line {number}" for number in range(30)]
    new = [*old[:20], "new", *old[21:]]
    shown = definitions.changes(old, new)
    assert shown is not None
    assert shown[0] == ["…", ""]
    assert [line for line in shown if line[0] in "+-"] == [["-", "line 20"], ["+", "new"]]
    assert shown[1] == [" ", "line 17"]
    assert definitions.changes(old, old) == []
    assert definitions.changes([], ["a"]) == [["+", "a"]]  # nothing is left out


def test_texts_that_are_too_long_are_not_compared() -> None:
    half = ["x"] * (definitions.MAX_LINES // 2)
    assert definitions.changes(half, half) == []
    assert definitions.changes([*half, "y"], half) is None
