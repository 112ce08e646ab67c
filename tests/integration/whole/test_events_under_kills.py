"""Imported events; import, worker and projector killed again and again: the tables equal a
recomputation, in plain SQL over the log and in plain Python over the file."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from tests import forking
from tests.integration.api.serving import environment, run
from tests.integration.processor.driving import Worker, produce, wait_until
from tests.integration.projections import recomputation
from tests.integration.projections.driving import caught_up, query
from tests.integration.whole.event_expectations import (
    PROJECT,
    Expected,
    event_lines,
    member_lines,
    rules,
)
from tests.sizes import PAUSES, RECORDS

MEMBERS = 6_000
WORKER_KILLS = 4
PROJECTOR_KILLS = 4
IMPORT_KILLS = 2


class Killed:
    """A `milestream` process that is killed so many times and started again, then left alone."""

    def __init__(
        self, settings: Settings, arguments: tuple[str, ...], log: Path, kills: int, pause: float
    ) -> None:
        self._arguments = arguments
        self._environment = environment(settings)
        self._log = log
        self._kills = kills
        self._pause = pause
        self._chance = random.Random(" ".join(arguments[:1]))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self.killed = 0
        self.code: int | None = None

    def __enter__(self) -> "Killed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def join(self) -> None:
        """Wait until it ends by itself."""
        self._thread.join()

    def text(self) -> str:
        """What it said at last."""
        return self._log.read_text("utf-8", "replace")[-2000:]

    def _live(self) -> None:
        while True:
            with self._log.open("ab") as log:
                process = forking.start(self._arguments, self._environment, log)
            killing = self.killed < self._kills
            until = time.monotonic() + self._chance.uniform(self._pause, 2 * self._pause)
            while process.poll() is None and not self._ending.is_set():
                if killing and time.monotonic() > until:
                    break
                time.sleep(0.05)
            if process.poll() is not None or self._ending.is_set():
                process.kill()
                self.code = process.wait()
                return
            process.kill()
            process.wait()
            self.killed += 1


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Settings with time going by in short ticks."""
    return settings.model_copy(update={"tick_seconds": 2})


def test_what_was_added_up_equals_a_recomputation(quick: Settings, tmp_path: Path) -> None:
    settings, expected = quick, Expected()
    members, events = tmp_path / "members.ndjson", tmp_path / "events.ndjson"
    with members.open("w") as out:
        out.writelines(member_lines(MEMBERS))
    with events.open("w") as out:
        out.writelines(event_lines(expected, RECORDS, MEMBERS, seed=20261121))
    produce(settings, rules())
    assert run(settings, "import", "member-commands", str(members), "--project", PROJECT).stdout
    into = ("import", "events", str(events), "--project", PROJECT)
    worker = Worker(settings, "w")
    with (
        Killed(settings, into, tmp_path / "import.log", IMPORT_KILLS, 1.0) as importing,
        Killed(settings, ("projector",), tmp_path / "projector.log", PROJECTOR_KILLS, 2) as writing,
    ):
        try:
            kill_again_and_again(worker)
            worker.start()
            importing.join()
            assert importing.code == 0, importing.text()
            wait_until_logged(settings, len(expected.rows), worker, writing)
            wait_until_equal(lambda: challenge(settings), expected.challenge_rows)
            wait_until_equal(lambda: logins(settings), expected.login_rows)
            wait_until(lambda: writing.killed == PROJECTOR_KILLS, 120, writing.text)
            asyncio.run(caught_up(settings))
        finally:
            worker.kill()
    check(settings, expected)


def kill_again_and_again(worker: Worker) -> None:
    """Let a worker work for a while, and kill it, several times."""
    chance = random.Random(4)
    for life in range(1, WORKER_KILLS + 1):
        worker.start()
        worker.ready(times=life)
        time.sleep(chance.uniform(0.5, 3) * PAUSES)
        worker.kill()


def wait_until_logged(settings: Settings, events: int, worker: Worker, writing: Killed) -> None:
    """Wait for the log; each look goes through all of it, so not too often."""
    deadline, found = time.monotonic() + 400, 0
    while found < events:
        assert time.monotonic() < deadline, (
            f"{found} of {events} events\n{worker.text()[-2000:]}\n{writing.text()}"
        )
        time.sleep(1)
        found = int(query(settings, "SELECT count(*) FROM milestream.event_log")[0][0])


def challenge(settings: Settings) -> set[tuple[Any, ...]]:
    """Return (member, month, sum, status) of every progress."""
    text = "SELECT member_id::text, period_key, current_progress_value, status"
    return set(query(settings, f"{text} FROM milestream.challenge_progress"))


def logins(settings: Settings) -> set[tuple[Any, ...]]:
    """Return the daily streak as `Expected.login_rows` has it."""
    text = (
        "SELECT member_id::text, current_length, longest_length, completed, status,"
        " started_period_key FROM milestream.streak_progress WHERE streak_id = 'logins'"
    )
    return set(query(settings, text))


def wait_until_equal(
    found: Callable[[], set[tuple[Any, ...]]], wanted: Callable[[datetime], set[Any]]
) -> None:
    """Wait for the ticks: what ends with a period ends some seconds after it."""
    deadline = time.monotonic() + 240
    while (left := found() ^ wanted(datetime.now(UTC))) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left, (len(left), sorted(left, key=str)[:6])


def check(settings: Settings, expected: Expected) -> None:
    """Compare the log with the file, and everything else with the log and the ledger."""
    log = query(
        settings,
        "SELECT user_id, idempotency_key, event_id, points::bigint, condition_reached,"
        " limit_reached, user_group_id, local_date, local_hour FROM milestream.event_log",
    )
    assert len(log) == len(expected.rows)
    assert {(row[0], row[1]): row[2:] for row in log} == expected.rows
    recomputation.check(settings)
    check_points(settings, expected)
    weeks = query(
        settings,
        "SELECT member_id::text, freezes_left, started_period_key"
        " FROM milestream.streak_progress WHERE streak_id = 'weeks'",
    )
    assert set(weeks) == expected.week_rows()
    assert query(settings, "SELECT count(*) FROM milestream.dead_letters") == [(0,)]


def check_points(settings: Settings, expected: Expected) -> None:
    """Compare the ledger with what was to be given, and the balances with the ledger."""
    given = query(
        settings,
        "SELECT action_id, count(*), sum(points)::bigint FROM milestream.points_ledger GROUP BY 1",
    )
    grants = {action: (count, points) for action, count, points in given}
    streaks = [action for action in grants if action not in expected.grants()]
    assert len(streaks) == 1  # the milestone of the daily streak
    assert {a: g for a, g in grants.items() if a not in streaks} == expected.grants()
    ledger = "FROM milestream.points_ledger GROUP BY project, member_id"
    for table, columns, by in (
        ("points_balances", "project, member_id, challenge_group, balance", ", challenge_group"),
        ("points_totals", "project, member_id, balance", ""),
    ):
        kept = query(settings, f"SELECT {columns} FROM milestream.{table}")
        summed = query(settings, f"SELECT project, member_id{by}, sum(points) {ledger}{by}")
        assert set(kept) == set(summed), table
    newest = query(
        settings,
        "SELECT DISTINCT ON (member_id) member_id, total_balance FROM milestream.points_ledger"
        " ORDER BY member_id, total_balance DESC",  # nothing is redeemed, so it only grows
    )
    totals = query(settings, "SELECT member_id, balance FROM milestream.points_totals")
    assert set(newest) == set(totals)
