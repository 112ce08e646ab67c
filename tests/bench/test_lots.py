"""The benchmark of lots folds what it says, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest

from tests.bench import lots


def test_lots_are_measured_against_no_wallet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lots, "LOTS", 20)
    monkeypatch.setattr(lots, "CHUNKS", 2)
    said: list[str] = []
    nothing: Any = None
    found = lots.measure(nothing, tmp_path, said.append)
    assert [finding.what.split(" of ")[0] for finding in found] == ["an event", "a spend"]
    assert all(finding.ratio for finding in found)
    assert len(said) == 2
