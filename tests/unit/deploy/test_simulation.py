"""What a file comes to under two sets of definitions, held against plain sums."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.errors import CommandError
from deploy.simulation import InputFile, simulate_file
from processor.domain.definitions import Definitions
from processor.simulation.figures import Counts, Figures, Row, beside
from tests.event_spec import STREAK, all_of, condition, event_of, streak_milestone, streak_of
from tests.points_spec import rolling, wallet_of
from tests.spec import (
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    Defined,
    challenge,
    milestone,
    numbered,
    project_settings,
)

HIGHER, OF_STREAK = numbered(12), numbered(13)
MEMBERS = [numbered(100 + number) for number in range(8)]
NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


def in_force(*defined: Defined) -> Definitions:
    definitions = Definitions()
    for offset, each in enumerate(defined):
        definitions.apply(each.key, each.value, offset, 0)
    return definitions


NOTHING = in_force()


def ndjson(path: Path, values: Iterable[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


def simulated(
    name: str, tried: Definitions, then: Definitions = NOTHING, topic: str = "challenge-logs"
) -> tuple[Figures, Figures]:
    file = InputFile(name, topic, "csv" if name.endswith(".csv") else "ndjson")
    found = simulate_file(file, "default", tried, then, lambda _size, _read, _records: None)
    return found.tried, found.in_force


def moments(random: Random, number: int) -> list[datetime]:
    """Moments of some three months, in their order."""
    begin = datetime(2026, 7, 30, tzinfo=UTC)
    return sorted(begin + timedelta(minutes=random.randrange(140_000)) for _ in range(number))


def month(zone: ZoneInfo, moment: datetime) -> str:
    return f"{moment.astimezone(zone):%Y-%m}"


# Challenges and their milestones.


def some_logs(random: Random) -> list[dict[str, Any]]:
    return [
        {
            "challengeId": CHALLENGE,
            "ownedById": random.choice(MEMBERS),
            "activityAt": at.isoformat(),
            "activityId": random.choice(["run", "walk", "swim"]),
            "uniqueIdentifier": f"log-{random.randrange(600)}",
            "activityValue": random.randrange(1, 12),
            "status": random.choice(["live", "live", "live", "draft"]),
        }
        for at in moments(random, 800)
    ]


def of_challenge(logs: Sequence[Mapping[str, Any]], target: int) -> dict[Row, Counts]:
    """What the challenge comes to by the plain rules."""
    rows: defaultdict[Row, Counts] = defaultdict(Counts)
    seen: set[tuple[str, str]] = set()
    totals: Counter[tuple[str, str]] = Counter()
    for log in logs:
        name = log["ownedById"], log["uniqueIdentifier"]
        counts = log["status"] == "live" and log["activityId"] != "swim"
        repeated = name in seen
        seen.add(name)
        if repeated or not counts:
            continue
        when = month(NEW_YORK, datetime.fromisoformat(log["activityAt"]))
        before = totals[log["ownedById"], when]
        after = totals[log["ownedById"], when] = before + log["activityValue"]
        row = rows[Row("challenge", CHALLENGE, when)]
        row.counted += 1
        if before < target <= after:
            row.completions += 1
            row.points += 50
        for id_, reached, points in ((MILESTONE, 60, 5), (HIGHER, 150, 0)):
            if before < reached <= after:
                given = rows[Row("milestone", id_, when)]
                given.completions += 1
                given.rewards += 1
                given.points += points
    return dict(rows)


def rules(target: int) -> Definitions:
    return in_force(
        challenge(
            completionTargetValue=target,
            aggregationPeriod="monthly",
            timezone="America/New_York",
            activityIds=["run", "walk"],
            pointsOnCompletion=50,
        ),
        milestone(60, MILESTONE, points=5),
        milestone(150, HIGHER),
    )


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_challenges_are_plain_sums(seed: int, tmp_path: Path) -> None:
    logs = some_logs(Random(seed))
    tried, then = simulated(ndjson(tmp_path / "logs.ndjson", logs), rules(100), rules(40))
    assert tried.rows == of_challenge(logs, 100)
    assert then.rows == of_challenge(logs, 40)
    assert tried.rows != then.rows
    assert sum(row.completions for row in tried.rows.values()) > 0


def test_the_order_of_the_lines_moves_no_sum(tmp_path: Path) -> None:
    logs = [
        log | {"uniqueIdentifier": str(number), "status": "live"}
        for number, log in enumerate(some_logs(Random(4)))
    ]
    ordered, _ = simulated(ndjson(tmp_path / "ordered.ndjson", logs), rules(100))
    Random(5).shuffle(logs)
    mixed, _ = simulated(ndjson(tmp_path / "mixed.ndjson", logs), rules(100))
    assert mixed.rows == of_challenge(logs, 100)

    def sums(figures: Figures) -> Counter[str]:
        return sum(
            (
                Counter({f"{row.kind}/{name}": getattr(counts, name)})
                for row, counts in figures.rows.items()
                for name in ("counted", "points", "rewards", "completions")
            ),
            Counter(),
        )

    assert sums(mixed) == sums(ordered)


# Events, what they feed, and streaks.


def some_events(random: Random) -> list[dict[str, Any]]:
    return [
        {
            "eventId": "visit",
            "userId": f"user-{random.randrange(6)}",
            "occurredAt": at.isoformat(),
            "metadata": {"amount": random.randrange(30)},
        }
        for at in moments(random, 900)
    ]


def of_events(events: Sequence[Mapping[str, Any]]) -> dict[Row, Counts]:
    rows: defaultdict[Row, Counts] = defaultdict(Counts)
    a_day: Counter[tuple[str, date]] = Counter()
    runs: Counter[str] = Counter()
    last: dict[str, date] = {}
    for event in events:
        if event["metadata"]["amount"] <= 10:
            continue
        user, at = event["userId"], datetime.fromisoformat(event["occurredAt"])
        when, day = month(BERLIN, at), at.astimezone(BERLIN).date()
        rows[Row("event", "visit", when)].counted += 1
        rows[Row("challenge", OTHER_CHALLENGE, when)].counted += 1
        a_day[user, day] += 1
        if a_day[user, day] <= 2:
            rows[Row("event", "visit", when)].points += 5
        if a_day[user, day] == 3:
            rows[Row("challenge", OTHER_CHALLENGE, when)].completions += 1
        if a_day[user, day] == 1:
            goes_on = last.get(user) == day - timedelta(days=1)
            runs[user] = runs[user] + 1 if goes_on else 1
            last[user] = day
            rows[Row("streak", STREAK, when)].counted += 1
            if runs[user] == 4:
                rows[Row("streak", STREAK, when)].completions += 1
            if runs[user] == 3:
                given = rows[Row("milestone", OF_STREAK, when)]
                given.completions += 1
                given.rewards += 1
    return dict(rows)


def test_figures_of_events_and_streaks_are_plain_sums(tmp_path: Path) -> None:
    events = some_events(Random(6))
    tried, _ = simulated(
        ndjson(tmp_path / "events.ndjson", events),
        in_force(
            project_settings(timezone="Europe/Berlin"),
            event_of(
                type="CONDITIONAL",
                conditions=all_of(condition("amount", "greater_than", 10)),
                limit=2,
                limitPeriod="daily",
            ),
            challenge(
                OTHER_CHALLENGE,
                aggregationMethod="count",
                completionTargetValue=3,
                eventIds=["visit"],
            ),
            streak_of(targetLength=4),
            streak_milestone(3, id_=OF_STREAK),
        ),
        topic="events",
    )
    assert tried.rows == of_events(events)
    assert tried.rows[Row("streak", STREAK, "2026-08")].completions > 0


# What a file's records mean.


def log(number: int = 1, **fields: Any) -> dict[str, Any]:
    known = {
        "challengeId": CHALLENGE,
        "ownedById": MEMBERS[0],
        "activityAt": "2026-10-05T10:00:00Z",
        "activityId": "run",
        "uniqueIdentifier": f"log-{number}",
        "activityValue": 10,
    }
    return known | fields


def test_a_line_without_project_is_of_the_documents_and_others_are_left_out(tmp_path: Path) -> None:
    lines = [log(1), log(2, project=None), log(3, project="shop"), log(4, project="other")]
    file = InputFile(ndjson(tmp_path / "logs.ndjson", lines), "challenge-logs", "ndjson")
    tried = in_force(challenge(project="shop"))
    found = simulate_file(file, "shop", tried, NOTHING, lambda _size, _read, _records: None)
    assert found.tried.rows == {Row("challenge", CHALLENGE, "2026-10"): Counts(counted=3)}
    assert found.of_others == 1
    assert found.in_force.rows == {}
    assert found.in_force.refused == {"unknown_challenge": 3}


def test_csv_is_read_as_an_import_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_text(
        "challengeId;ownedBy.externalId;activityAt;activityId;uniqueIdentifier;activityValue\n"
        f"{CHALLENGE};joe;2026-10-05T10:00:00Z;run;1;100\n"
        ";;;;;\n"
        f"{CHALLENGE};joe;2026-11-05T10:00:00Z;run;2;3\n",
        encoding="utf-16",
    )
    tried, _ = simulated(str(path), in_force(challenge()))
    assert tried.rows == {
        Row("challenge", CHALLENGE, "2026-10"): Counts(counted=1, completions=1),
        Row("challenge", CHALLENGE, "2026-11"): Counts(counted=1),
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"activityAt": "2026-10-05T10:00:00"}, "activityAt: "),
        ({"activityId": None}, "activityId: expected `str`"),
        ({"activityAt": "2999-01-01T00:00:00Z"}, "activityAt: lies more than 24 hours"),
    ],
)
def test_a_bad_line_ends_it_with_line_and_field(
    line: Mapping[str, Any], problem: str, tmp_path: Path
) -> None:
    name = ndjson(tmp_path / "logs.ndjson", [log(1), log(2, **line), log(3)])
    with pytest.raises(CommandError, match=rf"logs\.ndjson, line 2: {problem}"):
        simulated(name, in_force(challenge()))


def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "logs.ndjson").write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(CommandError, match=r"logs\.ndjson: "):
        simulated(str(tmp_path / "logs.ndjson"), NOTHING)


def test_points_lapse_and_make_room_as_time_goes_on(tmp_path: Path) -> None:
    """A wallet that holds 10 points, which lapse after a day, takes 10 of each of these days."""
    visits = [
        {"eventId": "visit", "userId": "ann", "occurredAt": f"2026-10-{day:02}T12:00:00Z"}
        for day in range(1, 29, 3)
    ]
    file = ndjson(tmp_path / "events.ndjson", visits)
    visit = event_of(reward={"default": 25})
    lapsing = in_force(visit, rolling("P1D", maxBalance=10))
    lasting = in_force(visit, wallet_of(maxBalance=10))
    tried, then = simulated(file, lapsing, lasting, topic="events")
    row = Row("event", "visit", "2026-10")
    assert tried.rows[row] == Counts(counted=10, points=100)
    assert then.rows[row] == Counts(counted=10, points=10)


def test_two_worlds_have_the_months_of_the_definitions_that_are_tried(tmp_path: Path) -> None:
    name = ndjson(tmp_path / "logs.ndjson", [log(1, activityAt="2026-10-31T23:30:00Z")])
    berlin = in_force(challenge(timezone="Europe/Berlin"))
    tried, then = simulated(name, berlin, in_force(challenge(timezone="UTC")))
    assert set(tried.rows) == set(then.rows) == {Row("challenge", CHALLENGE, "2026-11")}


def test_figures_stand_beside_those_in_force() -> None:
    here, there = Figures(), Figures()
    row = Row("challenge", CHALLENGE, "2026-10")
    here.rows[row] = Counts(counted=2, points=50, completions=1)
    there.rows[row] = Counts(counted=2)
    there.rows[row._replace(month="2026-09")] = Counts(rewards=1)
    here.rows[Row("event", "visit", "2026-10")] = Counts()
    assert [
        (each.month, each.counted, each.points, each.in_force) for each in beside(here, there)
    ] == [
        ("2026-09", 0, 0, Counts(rewards=1)),
        ("2026-10", 2, 50, Counts(counted=2)),
    ]


def test_a_file_of_a_project_on_a_test_clock_goes_by_its_own_times(tmp_path: Path) -> None:
    logs = some_logs(Random(0))
    manual = project_settings(clock="manual")
    defined = (challenge(completionTargetValue=100, aggregationPeriod="monthly"), milestone(60))
    tried, then = simulated(
        ndjson(tmp_path / "logs.ndjson", logs), in_force(manual, *defined), in_force(*defined)
    )
    assert not tried.refused
    assert tried.rows == then.rows
    assert tried.rows
