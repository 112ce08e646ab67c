"""The latency of events, measured end to end at a rate that says nothing."""

from pathlib import Path

import pytest

from tests.bench import latency
from tests.stack import FreshSettings


def test_the_time_from_an_event_to_a_subscriber_and_a_row_is_measured(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RATE": "50", "SECONDS": "2", "WARM_UP": "1", "MEMBERS": "20"}.items():
        monkeypatch.setenv(f"MILESTREAM_BENCH_LATENCY_{name}", value)
    subscriber, row = latency.measure(fresh_settings, tmp_path, lambda _: None)
    for found in (subscriber, row):
        assert found.values["events"] == 100
        assert 0 < found.values["p50_ms"] <= found.values["p99_ms"] <= found.values["slowest_ms"]
