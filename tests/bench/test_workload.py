"""The input of the benchmarks, and the tables that they end in."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from schemas.amounts import SCALE
from schemas.records import ChallengeLog, Event, activity_nanos
from tests.bench.events import EVENT, LEAST, write_events, write_members
from tests.bench.peers import EVENT_MODULES, MODULES, peer
from tests.bench.report import Report, Row
from tests.bench.stats import Asked as Timed
from tests.bench.stats import StatsTiming, ask_stats
from tests.bench.workload import CHALLENGES, Workload, write_logs
from tests.integration.api.serving import let_the_hour_begin
from tests.stack import FreshSettings

SMALL = Workload(records=5000, members=100)


def logs(tmp_path: Path) -> list[bytes]:
    path = tmp_path / "logs"
    write_logs(SMALL, path)
    return path.read_bytes().splitlines()


def test_the_logs_are_valid_spread_over_members_and_two_percent_come_again(tmp_path: Path) -> None:
    lines = logs(tmp_path)
    assert len(lines) == SMALL.records
    assert 0.01 < 1 - len(set(lines)) / len(lines) < 0.03
    decoded = [msgspec.json.decode(line, type=ChallengeLog) for line in lines]
    assert {log.challenge_id for log in decoded} == set(CHALLENGES)
    members = Counter(log.owned_by.external_id for log in decoded if log.owned_by)
    assert len(members) == SMALL.members
    assert max(members.values()) < 10 * SMALL.records / SMALL.members
    assert all(0 <= (activity_nanos(log.activity_value) or 0) < 90 * SCALE for log in decoded)


def test_the_logs_are_the_same_every_time(tmp_path: Path) -> None:
    assert logs(tmp_path) == logs(tmp_path)


def test_every_peer_can_be_started() -> None:
    for module in (*MODULES, *EVENT_MODULES):
        found = peer(module)
        assert found.command[:2] == ("-m", f"tests.bench.peers.{module}")
        assert 0 < found.share <= 1


def test_the_events_are_valid_and_some_fail_their_conditions(tmp_path: Path) -> None:
    path = tmp_path / "events"
    write_events(SMALL, path)
    lines = path.read_bytes().splitlines()
    assert len(lines) == SMALL.records
    assert 0.01 < 1 - len(set(lines)) / len(lines) < 0.03
    decoded = [msgspec.json.decode(line, type=Event) for line in lines]
    assert {event.event_id for event in decoded} == {EVENT}
    assert len({event.user_id for event in decoded}) == SMALL.members
    amounts = [msgspec.json.decode(event.metadata)["amount"] for event in decoded]
    assert 0.05 < sum(amount <= LEAST for amount in amounts) / len(amounts) < 0.15
    write_members(SMALL, path)
    known = {json.loads(line)["externalId"] for line in path.read_bytes().splitlines()}
    assert {event.user_id for event in decoded} <= known


def test_the_rate_of_events_is_told_beside_that_of_challenge_logs(tmp_path: Path) -> None:
    rows = [Row("a", "exactly once", 1000, 1.0, 1000.0, 30.0, None)]
    events = Row("a: events", "exactly once", 1000, 2.0, 500.0, 60.0, 2.0)
    stats = StatsTiming(5000, 10, [Timed("all events", 4.25, 5.5, 9.0)])
    load = {"records": 1000, "members": 10, "duplicates": 0.02}
    Report(load, 90_000, 800, rows, events, stats).write(tmp_path)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["eventsToLogs"] == 0.5
    assert found["events"]["rate"] == 500
    assert found["stats"]["asked"][0]["p50"] == 4.25
    text = (tmp_path / "bench.md").read_text()
    assert "| a: events | exactly once | 1,000 | 2.0 | 500 | 60 | 16,667 | 2.0x |" in text
    assert "fold at 0.50 of the rate of challenge logs" in text
    assert "all events: 4.2 ms" in text


async def test_statistics_of_made_events_can_be_asked_for(
    fresh_settings: FreshSettings, tmp_path: Path
) -> None:
    let_the_hour_begin()  # it is asked for the 90 days of today
    found = await asyncio.to_thread(ask_stats, fresh_settings, 20_000, tmp_path)
    assert [asked.question for asked in found.asked] == ["all events", "one event"]
    assert all(0 < asked.p50 <= asked.slowest for asked in found.asked)


def test_a_report_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    rows = [
        Row("a", "exactly once", 1000, 1.0, 1000.0, 30.0, None),
        Row("b", "none", 1000, 2.0, 500.0, 60.0, 2.0),
    ]
    Report({"records": 1000, "members": 10, "duplicates": 0.02}, 90_000, 800, rows).write(tmp_path)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["rows"][1]["ratio"] == 2
    assert found["rows"][0]["aCoreSecond"] == pytest.approx(33_333, abs=1)
    assert found["machine"]["cores"]
    text = (tmp_path / "bench.md").read_text()
    assert "| b | none | 1,000 | 2.0 | 500 | 60 | 16,667 | 2.0x |" in text
