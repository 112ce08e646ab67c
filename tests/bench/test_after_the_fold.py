"""Recovery and projection, measured end to end at a size that says nothing."""

from pathlib import Path

import pytest

from tests.bench import projection, recovery
from tests.stack import FreshSettings

RECORDS = 3_000


def test_a_recovery_is_measured(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECORDS", RECORDS)
    (found,) = recovery.measure(fresh_settings, tmp_path, print)
    assert found.values["changelogRecords"] > RECORDS
    assert found.values["logsPerSecond"] > 0
    assert found.ratio is not None


def test_a_projection_is_measured(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "RECORDS", RECORDS)
    (found,) = projection.measure(fresh_settings, tmp_path, print)
    assert found.values["copyRowsPerSecond"] > 0
    assert found.ratio is not None
