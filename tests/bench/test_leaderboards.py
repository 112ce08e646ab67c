"""The benchmark of boards, end to end with next to nobody on them."""

from pathlib import Path

import pytest

from tests.bench import leaderboards
from tests.stack import FreshSettings


def test_boards_are_asked_and_written(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboards, "MEMBERS", 500)
    monkeypatch.setattr(leaderboards, "GRANTS", 3000)
    monkeypatch.setattr(leaderboards, "SECONDS", 0.5)
    monkeypatch.setattr(leaderboards, "_WARM_UP_SECONDS", 0.1)
    *asked, written = leaderboards.measure(fresh_settings, tmp_path, lambda _: None)
    assert [0 < found.values["p50_ms"] <= found.values["p99_ms"] for found in asked] == [True] * 3
    assert written.values["with_per_s"] != 0
