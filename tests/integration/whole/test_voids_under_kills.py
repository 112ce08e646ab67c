"""Logs, events and their voids, with a worker that is killed again and again: the tables equal a
plain recomputation, `verify` agrees, and read models that are built anew have the same rows."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from schemas import ids
from schemas.settings import Settings
from schemas.topics import EVENTS, MEMBER_COMMANDS, partition_for
from tests.integration.api.serving import process, run
from tests.integration.processor.driving import (
    CHALLENGE,
    MILESTONES,
    NOW,
    TARGET,
    Record,
    Worker,
    definition,
    definitions,
    fold_under_kills,
    log,
    produce,
    wait_folded,
)
from tests.integration.projections import recomputation
from tests.integration.projections.driving import caught_up, query, table

MEMBERS = 60
LOGS, EVENTS_OF_ONE = 16, 6
GIVES = 7
LIVES = 3
REBUILT = (
    *("voids", "challenge_logs", "challenge_progress", "reward_logs", "milestones_reached"),
    *("event_log", "event_stats_daily", "event_stats_hourly", "event_user_days"),
    *("points_ledger", "points_balances", "points_totals", "leaderboard_points"),
    "leaderboard_days",
)
Named = tuple[str, str, str]
"""What, the member, and its identifier or key."""


def member_id(name: str) -> str:
    """Return a member's id."""
    return ids.member_id("default", name)


def revokes(name: str) -> bool:
    """Whether the voids of a member revoke rewards: what comes of it would hang on their order if
    only some did."""
    return int(name.removeprefix("user-")) % 2 == 0


@dataclass
class Book:
    """Plain Python's account of what was sent."""

    values: dict[Named, Decimal] = field(default_factory=dict)
    """What a log was worth, or an event gave."""
    portions: dict[Named, Decimal] = field(default_factory=dict)
    voids: dict[tuple[str, str], tuple[Named, Decimal]] = field(default_factory=dict)
    """By member and identifier of the command, those that were good."""
    refused: Counter[str] = field(default_factory=Counter)

    def void(self, named: Named, identifier: str, portion: Decimal) -> None:
        """Take a void."""
        if (named[1], identifier) in self.voids:
            return
        if named not in self.values:
            self.refused["unknown_log"] += 1
        elif self.portions.get(named, Decimal(0)) + portion > 1:
            self.refused["over_voided"] += 1
        else:
            self.portions[named] = self.portions.get(named, Decimal(0)) + portion
            self.voids[named[1], identifier] = named, portion

    def left(self, named: Named, digit: Decimal) -> Decimal:
        """Return what is left of a thing; what is voided is rounded half up at a digit."""
        voided = self.values[named] * self.portions.get(named, Decimal(0))
        return self.values[named] - voided.quantize(digit, ROUND_HALF_UP)

    def totals(self, what: str, digit: Decimal) -> dict[str, Decimal]:
        """Return by member what is left of all such things."""
        found: dict[str, Decimal] = {}
        for named in self.values:
            if named[0] == what:
                id_ = member_id(named[1])
                found[id_] = found.get(id_, Decimal(0)) + self.left(named, digit)
        return found


def placed(settings: Settings, topic: str, name: str, value: dict[str, Any]) -> Record:
    """Return a record of a member where it belongs."""
    id_ = member_id(name)
    return topic, partition_for(id_, settings.partitions), id_.encode(), _json(value), ()


def _json(value: Any) -> bytes:
    marked = json.dumps(value, default=lambda number: f"\x01{number}\x01")
    return marked.replace('"\\u0001', "").replace('\\u0001"', "").encode()


def done(settings: Settings, book: Book, chance: random.Random) -> list[Record]:
    """Return what members do first: logs of some euros, and events."""
    records = []
    for name in (f"user-{number}" for number in range(MEMBERS)):
        for number in range(LOGS):
            value = Decimal(chance.randrange(100, 5_000)) / 100
            book.values["challenge_log", name, f"log-{number}"] = value
            records.append(log(name, f"log-{number}", str(value), settings=settings))
        for number in range(EVENTS_OF_ONE):
            book.values["event", name, f"key-{number}"] = Decimal(GIVES)
            event = {"eventId": "visit", "userId": name, "occurredAt": NOW}
            records.append(
                placed(settings, EVENTS, name, event | {"idempotencyKey": f"key-{number}"})
            )
    return records


def voided(settings: Settings, book: Book, chance: random.Random, count: int) -> list[Record]:
    """Return voids of what was done, in parts or whole; some again, some too much, some of
    nothing."""
    records: list[Record] = []
    everything = sorted(book.values)
    for number in range(count):
        what, name, identifier = chance.choice(everything)
        if chance.random() < 0.05:
            identifier = "nothing"
        portion = chance.choice(
            [Decimal(1), Decimal("0.5"), Decimal("0.25"), Decimal("0.333333333")]
        )
        again = number > 10 and chance.random() < 0.05
        if again:
            records.append(chance.choice(records[-10:]))
            continue
        of = {"idempotencyKey": identifier}
        if what == "challenge_log":
            of = {"challengeId": CHALLENGE, "uniqueIdentifier": identifier}
        command = {
            "type": "void", "userId": name, "what": what, "of": of, "portion": portion,
            "reason": "sent back", "uniqueIdentifier": f"void-{number}",
            "rewards": "revoke" if revokes(name) else "keep",
        }  # fmt: skip
        records.append(placed(settings, MEMBER_COMMANDS, name, command))
    for record in records:  # a repeat of a refused one is refused again
        taken = json.loads(record[3] or b"", parse_float=Decimal)
        named = (
            taken["what"],
            taken["userId"],
            taken["of"].get("uniqueIdentifier") or taken["of"].get("idempotencyKey"),
        )
        book.void(named, taken["uniqueIdentifier"], Decimal(taken["portion"]))
    return records


def test_voids_are_in_the_tables_once_and_exactly(settings: Settings, tmp_path: Path) -> None:
    book, chance = Book(), random.Random(12)
    visit = definition("event", "visit", title="Visit", reward={"default": GIVES})
    produce(settings, [*definitions(), visit])
    first = done(settings, book, chance)
    members = [
        placed(settings, MEMBER_COMMANDS, f"user-{number}", {
            "type": "upsert-member", "externalId": f"user-{number}"
        })
        for number in range(MEMBERS)
    ]  # fmt: skip
    before = book.totals("challenge_log", Decimal("1e-9"))
    voids = voided(settings, book, chance, 12 * MEMBERS)
    worker = Worker(settings, "w")
    with process(settings, "projector", tmp_path):
        with worker:
            produce(settings, [*members, *first])
            wait_folded(settings, len(members) + len(first), 240, worker)
        fold_under_kills(
            worker,
            [voids[at : at + 50] for at in range(0, len(voids), 50)],
            len(members) + len(first) + len(voids),
            rng=chance,
            lives=LIVES,
            longest=1.5,
        )
        asyncio.run(caught_up(settings))
        check_logs(settings, book, before)
        check_events(settings, book)
        check_voids(settings, book)
        recomputation.check(settings)
        again = reach_again(settings)
        with worker:
            wait_folded(settings, len(members) + len(first) + len(voids) + again, 240, worker)
        asyncio.run(caught_up(settings))
        check_rewards(settings, book, before, version=3)
        rows = {name: table(settings, name) for name in REBUILT}
        verified, rebuilt = run(settings, "verify"), run(settings, "rebuild")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert {name: table(settings, name) for name in REBUILT} == rows


def check_logs(settings: Settings, book: Book, before: dict[str, Decimal]) -> None:
    """Compare progress, portions and rewards."""
    totals = book.totals("challenge_log", Decimal("1e-9"))
    text = "SELECT member_id::text, current_progress_value, status FROM milestream"
    found = query(settings, f"{text}.challenge_progress")
    assert {(member, total, status) for member, total, status in found} == {
        (member, total, "completed" if total >= TARGET else "in_progress")
        for member, total in totals.items()
    }
    text = "SELECT member_id::text, unique_identifier, voided_portion FROM milestream"
    portions = {row[:2]: row[2] for row in query(settings, f"{text}.challenge_logs")}
    assert portions == {
        (member_id(name), identifier): book.portions.get((what, name, identifier), Decimal(0))
        for what, name, identifier in book.values
        if what == "challenge_log"
    }
    check_rewards(settings, book, before, version=2)


def check_rewards(
    settings: Settings, book: Book, before: dict[str, Decimal], *, version: int
) -> None:
    """Compare rewards: those of ``version`` 2 are revoked, those of 3 granted again."""
    totals = book.totals("challenge_log", Decimal("1e-9"))
    moved = {named[1] for named, _ in book.voids.values() if named[0] == "challenge_log"}
    expected = set()
    for name in (f"user-{number}" for number in range(MEMBERS)):
        id_ = member_id(name)
        for milestone, target in MILESTONES.items():
            fell = revokes(name) and name in moved and before[id_] >= target > totals[id_]
            if before[id_] >= target:
                status = "revoked" if fell and version == 2 else "granted"
                expected.add((id_, milestone, status, version if fell else 1))
            elif version == 3:
                expected.add((id_, milestone, "granted", 1))
    text = "SELECT member_id::text, milestone_id::text, status, version::integer FROM milestream"
    assert set(query(settings, f"{text}.reward_logs")) == expected
    assert any(row[3] == version for row in expected)


def reach_again(settings: Settings) -> int:
    """Send each member a log that reaches everything again; return how many."""
    names = [f"user-{number}" for number in range(MEMBERS)]
    produce(settings, [log(name, "more", str(TARGET), settings=settings) for name in names])
    return len(names)


def check_events(settings: Settings, book: Book) -> None:
    """Compare portions, balances and statistics."""
    text = "SELECT member_id::text, idempotency_key, voided_portion FROM milestream.event_log"
    assert {row[:2]: row[2] for row in query(settings, text)} == {
        (member_id(name), key): book.portions.get((what, name, key), Decimal(0))
        for what, name, key in book.values
        if what == "event"
    }
    points = book.totals("event", Decimal(1))
    for name in ("points_balances", "points_totals"):
        text = f"SELECT member_id::text, balance FROM milestream.{name}"
        assert dict(query(settings, text)) == points
    whole = [named for named in book.values if book.portions.get(named) == 1]
    stays = MEMBERS * EVENTS_OF_ONE - sum(named[0] == "event" for named in whole)
    text = "SELECT events, points FROM milestream.event_stats_daily WHERE event_id = 'visit'"
    assert query(settings, text) == [(stays, sum(points.values()))]


def check_voids(settings: Settings, book: Book) -> None:
    """Compare the voids, and the dead letters of those that were refused."""
    text = "SELECT member_id::text, unique_identifier, what, portion FROM milestream.voids"
    found = query(settings, text)
    assert len(found) == len(book.voids)
    assert {row[:2]: row[2:] for row in found} == {
        (member_id(name), identifier): (named[0], portion)
        for (name, identifier), (named, portion) in book.voids.items()
    }
    text = "SELECT reason, count(*) FROM milestream.dead_letters GROUP BY 1"
    assert dict(query(settings, text)) == dict(book.refused)
    assert book.refused.keys() == {"unknown_log", "over_voided"}
