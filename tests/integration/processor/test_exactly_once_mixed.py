"""Exactly once with every kind of input in the mix: logs, events, activities, redemptions."""

import json
import random
import time
from collections import Counter
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
        definition("pathway", PATHWAY, name="A way", activities=activities),
    ]


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
    sent: int = 0

    def placed(self, topic: str, member: str, value: dict[str, Any]) -> Record:
        """Return a record on its member's partition."""
        id_ = ids.member_id("default", member)
        partition = partition_for(id_, self.settings.partitions)
        return (topic, partition, id_.encode(), json.dumps(value).encode(), ())

    def people(self) -> list[Record]:
        """Make all members, each enrolled."""
        records = []
        for number in range(self.members):
            member = f"user-{number}"
            upsert = {"type": "upsert-member", "externalId": member}
            enrol = {"type": "enrol", "pathwayId": PATHWAY, "userId": member}
            records += [self.placed("member-commands", member, each) for each in (upsert, enrol)]
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
        kind = rng.choice(("log", "visit", "steps", "read", "redeem"))
        if kind == "log":
            value = f"{rng.randrange(1, 3000) / 100:.2f}"
            self.logs.take(member, identifier, value)
            return log(member, identifier, value, settings=self.settings)
        if kind == "visit":
            self.visits[member] += 1
            event = {"eventId": "visit", "userId": member, "idempotencyKey": identifier}
            return self.placed("events", member, event)
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
        points = values(self.settings, "points-events")
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
