"""Parts that watch workers fold, at a size that takes seconds."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from tests.bench import big_member, state, workers
from tests.bench.watched import Sample, tenths
from tests.stack import FreshSettings


def seen(done: int) -> Sample:
    return Sample(done / 10, done, [done / 20], 0, 0, 0)


def test_a_fold_is_cut_into_ten_parts_of_about_as_much_work() -> None:
    parts = tenths([seen(done) for done in range(5, 1005, 5)], 1000)
    assert [b.done - a.done for a, b in parts] == [95, *[100] * 9]


def test_a_fold_in_few_steps_has_as_many_parts() -> None:
    parts = tenths([seen(10), seen(500), seen(1000)], 1000)
    assert [(a.done, b.done) for a, b in parts] == [(10, 500), (500, 1000)]


async def test_two_workers_are_held_against_one(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "RECORDS", 3000)
    (found,) = await asyncio.to_thread(workers.measure, fresh_settings, tmp_path, print)
    assert found.ratio is not None
    assert found.ratio > 0
    assert 0 < found.values["twoWorkerCores"] <= found.values["twoMachineCores"] + 0.2
    assert not children()


async def test_state_is_counted_by_what_there_is_one_of_a_log(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOGS", 3000)
    monkeypatch.setattr(state, "MEMBERS", 30)
    store, changelog, memory, _ = await asyncio.to_thread(
        state.measure, fresh_settings, tmp_path, print
    )
    assert 0.97 * 3000 < store.values["entriesOfLogs"] < 3000  # duplicates are none
    assert store.values["bytesCompacted"] > 0
    assert changelog.values["records"] >= changelog.values["recordsWhenCompacted"]
    assert changelog.values["bytes"] > 0
    assert memory.ratio is not None


async def test_a_large_member_is_held_against_many_small_ones(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(big_member, "LOGS", 3000)
    found = await asyncio.to_thread(big_member.measure, fresh_settings, tmp_path, print)
    assert [finding.at_least for finding in found] == [0.9, 0.9]


def children() -> list[str]:
    """Return the commands of this process's children that are workers."""
    running = psutil.Process(os.getpid()).children(recursive=True)
    return [" ".join(each.cmdline()) for each in running if "worker" in each.cmdline()]
