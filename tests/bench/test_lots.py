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
    kinds = [finding.what.split(", ")[1] for finding in found]
    wallets = ["rolling", "calendar", "sliding", "after hours", "waiting", "own days"]
    assert kinds == [wallet for wallet in wallets for _ in range(3)]
    assert all(finding.ratio for finding in found)
    assert len(said) == 1 + len(wallets)
