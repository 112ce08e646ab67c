"""Exactly once with every kind of input in the mix: logs, events, activities, points."""

import json
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from schemas import ids
from schemas.settings import Settings
from schemas.topics import partition_for
from tests.integration.processor.driving import (
    History,
    Record,
    Worker,
    definition,
    definitions,
    fold_under_kills,
    log,
    produce,
    values,
)
from tests.integration.processor.test_verify import verify

PATHWAY = "EV67-ZCNS-56AD"
SUMMED, READ = "EVPA-0001", "EVPA-0002"
TARGET = 50
SHOP = "shop"
"""A group of points that has a wallet: what a purchase gives there waits for a second."""
OPENING = 25
"""So few that commands come to be refused."""


def rules() -> list[Record]:
    """A challenge, an event that feeds none, and a pathway with a sum and a reading."""
    data = {"category": "Steps", "formula": "sum", "target": TARGET}
    activities: list[dict[str, Any]] = [
        {"id": SUMMED, "name": "Steps", "type": "data", "fulfilmentType": "tracking", "data": data},
        {"id": READ, "name": "Read", "type": "article", "fulfilmentType": "view"},
    ]
    return [
        *definitions(),
        definition("event", "visit", title="Visit", reward={"default": 5}),
        definition("event", "buy", title="Buy", reward={"default": 5}, challengeGroup=SHOP),
        definition(
            "wallet",
            SHOP,
            name="Shop",
            expiry={"type": "rolling", "after": "P1D"},
            pendingFor="PT1S",
        ),
        definition("pathway", PATHWAY, name="A way", activities=activities),
    ]


@dataclass
class Shop:
    """What members buy, and the commands that move the points that it gives."""

    bought: Counter[str] = field(default_factory=Counter)
    sent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The identifiers of the commands, by what they are answered with where they are good."""
    holds: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The holds that each member asked for."""

    def command(self, rng: random.Random, member: str, identifier: str) -> dict[str, Any]:
        """Return a command: half of them close a hold, open or not."""
        named = {"userId": member, "uniqueIdentifier": identifier, "challengeGroup": SHOP}
        if self.holds[member] and rng.random() < 0.5:
            closing = rng.choice(("capture-hold", "release-hold"))
            return {"type": closing, "holdIdentifier": rng.choice(self.holds[member]), **named}
        type_, answer = rng.choice((("spend-points", "spent"), ("hold-points", "held")))
        self.sent[answer].append(identifier)
        if answer == "held":
            self.holds[member].append(identifier)
        return {"type": type_, "points": rng.randrange(1, 9), **named}

    def check(self, events: list[dict[str, Any]]) -> None:
        """Go through the events of the group, in plain arithmetic."""
        purses: dict[str, Purse] = defaultdict(Purse)
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        closed: Counter[tuple[str, str]] = Counter()
        for event in events:
            data, what = event["data"], event["type"].split(".")[-2]
            purse, member = purses[data["userId"]], data["userId"]
            purse.move(what, data)
            shown = [data.get(name, 0) for name in ("balance", "held", "pending")]
            if what == "refused":  # it says nothing of what waits
                shown[2] = purse.pending
                assert data["asked"] > data["available"] == purse.balance - purse.held
            assert shown == [purse.balance, purse.held, purse.pending], event
            assert 0 <= purse.held <= purse.balance
            seen[what][data.get("uniqueIdentifier", "")] += 1
            if what in ("captured", "released"):
                closed[member, data["holdIdentifier"]] += 1
        granted = Counter({member: purse.granted // 5 for member, purse in purses.items()})
        assert +granted == self.bought
        assert set(closed.values()) == {1}
        for answer, identifiers in self.sent.items():
            assert set(seen[answer].values()) == {1}
            assert seen[answer].keys() | seen["refused"].keys() >= set(identifiers)


@dataclass
class Purse:
    """A member's points of the group."""

    balance: int = 0
    held: int = 0
    pending: int = 0
    granted: int = 0

    def move(self, what: str, data: dict[str, Any]) -> None:
        """Do what an event says."""
        points = data.get("points", 0)
        match what:
            case "granted":
                waits = any(lot["activatesAt"] for lot in data["lots"])
                self.pending += points if waits else 0
                self.balance += 0 if waits else points
                self.granted += points
            case "activated":
                self.pending -= points
                self.balance += points
            case "spent" | "adjusted":
                self.balance += points
            case "held":
                self.held += points
            case "captured":
                self.balance += points
                self.held += points
            case "released":
                self.held -= points
            case _:
                assert what == "refused"


@dataclass
class Mixed:
    """Records of all inputs with duplicates, and what they must lead to."""

    settings: Settings
    members: int = 200
    logs: History = field(default_factory=lambda: History(members=200, seed=9))
    values: Counter[str] = field(default_factory=Counter)
    read: set[str] = field(default_factory=set)
    visits: Counter[str] = field(default_factory=Counter)
    redeemed: Counter[str] = field(default_factory=Counter)
    shop: Shop = field(default_factory=Shop)
    sent: int = 0

    def placed(self, topic: str, member: str, value: dict[str, Any]) -> Record:
        """Return a record on its member's partition."""
        id_ = ids.member_id("default", member)
        partition = partition_for(id_, self.settings.partitions)
        return (topic, partition, id_.encode(), json.dumps(value).encode(), ())

    def people(self) -> list[Record]:
        """Make all members, each enrolled and with points to spend."""
        records = []
        for number in range(self.members):
            member = f"user-{number}"
            upsert = {"type": "upsert-member", "externalId": member}
            enrol = {"type": "enrol", "pathwayId": PATHWAY, "userId": member}
            opening = {"type": "adjust-points", "userId": member, "points": OPENING}
            opening |= {"uniqueIdentifier": "o", "reason": "moved here", "challengeGroup": SHOP}
            commands = (upsert, enrol, opening)
            records += [self.placed("member-commands", member, each) for each in commands]
        self.sent += len(records)
        return records

    def records(self, count: int) -> list[Record]:
        """Make ``count`` more records; one in 20 comes twice."""
        rng = random.Random(f"mixed:{self.sent}")
        records: list[Record] = []
        for number in range(count):
            member = f"user-{rng.randrange(self.members)}"
            identifier = f"{self.sent}-{number}"
            record = self._one(rng, member, identifier)
            records += [record, record] if rng.random() < 0.05 else [record]
        self.sent += len(records)
        return records

    def _one(self, rng: random.Random, member: str, identifier: str) -> Record:
        kind = rng.choice(("log", "visit", "steps", "read", "redeem", "buy", "shop", "shop"))
        if kind == "log":
            value = f"{rng.randrange(1, 3000) / 100:.2f}"
            self.logs.take(member, identifier, value)
            return log(member, identifier, value, settings=self.settings)
        if kind == "visit":
            self.visits[member] += 1
            event = {"eventId": "visit", "userId": member, "idempotencyKey": identifier}
            return self.placed("events", member, event)
        if kind == "buy":
            self.shop.bought[member] += 1
            event = {"eventId": "buy", "userId": member, "idempotencyKey": identifier}
            return self.placed("events", member, event)
        if kind == "shop":
            command = self.shop.command(rng, member, identifier)
            return self.placed("member-commands", member, command)
        if kind == "redeem":
            self.redeemed[member] += 1
            command = {"type": "redeem-points", "userId": member, "points": 1}
            return self.placed(
                "member-commands", member, command | {"uniqueIdentifier": identifier}
            )
        steps = rng.randrange(1, 10)
        if kind == "steps":
            self.values[member] += steps
        else:
            self.read.add(member)
        activity = {
            "pathwayId": PATHWAY,
            "activityId": SUMMED if kind == "steps" else READ,
            "userId": member,
            "occurredAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "uniqueIdentifier": identifier,
            "fulfilment": {"value": steps},
        }
        return self.placed("activity-logs", member, activity)

    def check(self) -> None:
        """Compare every output with a recomputation."""
        self.logs.check(self.settings)
        moved = values(self.settings, "points-events")
        self.shop.check([e for e in moved if e["data"]["challengeGroup"] == SHOP])
        points = [e for e in moved if e["data"]["challengeGroup"] != SHOP]
        granted = Counter(e["data"]["userId"] for e in points if e["data"]["points"] > 0)
        taken = Counter(e["data"]["userId"] for e in points if e["data"]["points"] < 0)
        assert (granted, taken) == (self.visits, self.redeemed)
        pathway = values(self.settings, "pathway-events")
        enrolled = [e for e in pathway if e["type"] == "milestream.member.enrolled.v1"]
        assert len(enrolled) == self.members
        summed: dict[str, int] = {}
        for event in pathway:
            if event["data"].get("activityId") == SUMMED:
                current = int(event["data"]["fulfilment"]["data"]["current"])
                summed[event["data"]["userId"]] = current  # a member's events are in order
        assert summed == dict(self.values)
        done = Counter(
            (e["data"]["userId"], e["data"]["activityId"])
            for e in pathway
            if e["type"] == "milestream.activity.completed.v1"
        )
        reached = {member for member, total in self.values.items() if total >= TARGET}
        assert done == Counter(
            [(member, SUMMED) for member in reached] + [(member, READ) for member in self.read]
        )


def test_killed_workers_fold_every_kind_of_input_once(settings: Settings) -> None:
    produce(settings, rules())
    mixed = Mixed(settings)
    produce(settings, mixed.people())
    batches = [mixed.records(2_000) for _ in range(6)]
    worker = Worker(settings, "w")
    fold_under_kills(worker, batches, mixed.sent, rng=random.Random(11), lives=3, longest=1.0)
    mixed.check()
    found = verify(settings)
    assert found.returncode == 0, found.stderr
