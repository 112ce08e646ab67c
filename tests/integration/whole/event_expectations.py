"""Events in a file, and what plain Python makes of them: no store, no order but the file's."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from schemas import ids
from tests.integration.processor.driving import Record, definition
from tests.properties.streak_reference import name_of, number_of, runs_of

PROJECT, ZONE = "acme", "Europe/Vienna"
CHALLENGE = "aaaaaaaa-0000-4000-8000-00000000000a"
CHALLENGE_MILESTONE = "aaaaaaaa-0000-4000-8000-00000000000b"
STREAK_MILESTONE = "aaaaaaaa-0000-4000-8000-00000000000c"
TARGET, MILESTONE_TARGET = 400, 200
PURCHASE_LIMIT, MAXIMUM = 2, 60
SHOPS = ("a", "b", "c")
DAYS = 60

Row = tuple[str, int, bool, bool, str, date, int]
"""Event, points, conditions met, limit reached, user group, local day, local hour."""


def rules() -> list[Record]:
    """Return the definitions: three events, what they feed, two streaks."""

    def one(kind: str, id_: str, **fields: Any) -> Record:
        return definition(kind, id_, PROJECT, **fields)

    def met(comparison: str, value: object, name: str) -> dict[str, object]:
        return {"field": name, "operator": comparison, "value": value}

    return [
        one("project", PROJECT, timezone=ZONE),
        one(
            "event", "purchase", title="Purchase", type="TRANSACTION", rewardValueField="amount",
            reward={"default": 1, "gold": Decimal("1.5")}, maximumReward=MAXIMUM,
            limit=PURCHASE_LIMIT, limitPeriod="daily", challengeGroup="shop",
            conditions={"type": "AND", "conditions": [met("greater_than", 5, "amount")]},
            metadataFields=[{"key": "amount", "type": "number", "required": True}],
        ),
        one(
            "event", "login", title="Login", type="FIXED", reward={"default": 10}, limit=1,
            limitPeriod="daily",
        ),
        one(
            "event", "visit", title="Visit", type="CONDITIONAL", reward={"default": 3},
            conditions={
                "type": "OR",
                "conditions": [met("in", ["a"], "shop"), met("equals", "b", "shop")],
            },
        ),
        one(
            "challenge", CHALLENGE, name="Spend", aggregationPeriod="monthly",
            completionTargetValue=TARGET, eventIds=["purchase"], valueField="amount",
            pointsOnCompletion=100,
        ),
        one(
            "milestone", CHALLENGE_MILESTONE, name="Half", linkedSchemaRecordId=CHALLENGE,
            milestoneTargetValue=MILESTONE_TARGET, points=20,
        ),
        one("streak", "logins", eventIds=["login"], period="daily", targetLength=5),
        one(
            "milestone", STREAK_MILESTONE, name="Three days", linkedSchemaSlug="streak",
            linkedSchemaRecordId="logins", milestoneTargetValue=3, points=7,
        ),
        one(
            "streak", "weeks", eventIds=["purchase", "visit"], period="weekly", targetLength=4,
            freezes=1,
        ),
    ]  # fmt: skip


@dataclass
class Expected:
    """What the events of one project must lead to."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By member's external id and idempotency key."""
    spent: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """By member's id and month."""
    hits: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """By streak and member's id."""
    _used: dict[tuple[str, str, date], int] = field(default_factory=lambda: defaultdict(int))

    def take(self, user: str, key: str, event: str, at: datetime, metadata: dict[str, Any]) -> None:
        """Fold one event; the first one of a key counts."""
        if (user, key) in self.rows:
            return
        local = at.astimezone(ZoneInfo(ZONE))
        limit = {"purchase": PURCHASE_LIMIT, "login": 1}.get(event)
        used = event, user, local.date()
        full = limit is not None and self._used[used] >= limit
        met = _meets(event, metadata)
        if met and not full:
            self._used[used] += 1
        group = "gold" if event == "purchase" and metadata["usergroup"] == ["gold"] else "default"
        points = _points(event, group, metadata) if met and not full else 0
        self.rows[user, key] = event, points, met, full, group, local.date(), local.hour
        if met:
            self._feed(ids.member_id(PROJECT, user), event, at, metadata)

    def _feed(self, member: str, event: str, at: datetime, metadata: dict[str, Any]) -> None:
        if event == "purchase":
            month = at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m")
            self.spent[member, month] += metadata["amount"]
        streak, period = ("logins", "daily") if event == "login" else ("weeks", "weekly")
        self.hits[streak, member].add(number_of(period, ZONE, at))

    def challenge_rows(self, now: datetime) -> set[tuple[str, str, Decimal, str]]:
        """Return (member, month, sum, status) of every progress."""
        month = now.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m")

        def status(key: str, value: Decimal) -> str:
            return "completed" if value >= TARGET else "failed" if key < month else "in_progress"

        return {(m, key, value, status(key, value)) for (m, key), value in self.spent.items()}

    def login_rows(self, now: datetime) -> set[tuple[str, int, int, bool, str, str]]:
        """Return (member, current and longest length, completed, status, first day) of the daily
        streak: without freezes all of it follows from the days hit."""
        today, found = number_of("daily", ZONE, now), set()
        for (streak, member), hits in self.hits.items():
            if streak != "logins":
                continue
            runs = runs_of(hits, 0)
            last = runs[-1]
            longest = max(run.length for run in runs)
            alive = today <= last.hits[-1] + 1
            status = "broken" if not alive else "completed" if last.length >= 5 else "active"
            begun = name_of("daily", last.hits[0])
            found.add((member, last.length * alive, longest, longest >= 5, status, begun))
        return found

    def week_rows(self) -> set[tuple[str, int, str]]:
        """Return (member, freezes left, first week) of the weekly streak's latest run."""
        runs = {m: runs_of(hits, 1)[-1] for (s, m), hits in self.hits.items() if s == "weeks"}
        return {(m, run.left, name_of("weekly", run.hits[0])) for m, run in runs.items()}

    def grants(self) -> dict[str, tuple[int, int]]:
        """Return how many entries the ledger has, and their points, by what gave them. What a
        streak's milestone gave depends on the order, for runs that merge inherit it."""
        found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

        def add(action: str, points: int) -> None:
            count, total = found[action]
            found[action] = count + 1, total + points

        for event, points, *_ in self.rows.values():
            if points:
                add(event, points)
        for total in self.spent.values():
            if total >= TARGET:
                add(f"challenge:{CHALLENGE}", 100)
            if total >= MILESTONE_TARGET:
                add(f"milestone:{CHALLENGE_MILESTONE}", 20)
        return dict(found)


def _meets(event: str, metadata: dict[str, Any]) -> bool:
    if event == "purchase":
        return bool(metadata["amount"] > 5)
    return event == "login" or metadata["shop"] in ("a", "b")


def _points(event: str, group: str, metadata: dict[str, Any]) -> int:
    if event != "purchase":
        return 10 if event == "login" else 3
    reward = Decimal("1.5") if group == "gold" else Decimal(1)
    return min(int((metadata["amount"] * reward).quantize(Decimal(1), ROUND_HALF_UP)), MAXIMUM)


def member_lines(members: int) -> Iterator[str]:
    """Make the commands that make the members known."""
    for number in range(members):
        yield f'{{"type":"upsert-member","externalId":"user-{number}"}}\n'


def event_lines(expected: Expected, records: int, members: int, seed: int) -> Iterator[str]:
    """Make events in no order of time over the last days; every fiftieth comes a second time."""
    chance = random.Random(seed)
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    past: list[str] = []
    for number in range(records):
        if past and chance.random() < 0.02:
            yield chance.choice(past)
            continue
        user, key = f"user-{chance.randrange(members)}", f"key-{number}"
        at = first + timedelta(seconds=chance.randrange(DAYS * 86_400))
        event = chance.choice(("purchase", "login", "visit"))
        metadata, text = _metadata(chance, event)
        expected.take(user, key, event, at, metadata)
        past.append(
            f'{{"eventId":"{event}","userId":"{user}","occurredAt":"{at:%Y-%m-%dT%H:%M:%SZ}",'
            f'"idempotencyKey":"{key}","metadata":{text}}}\n'
        )
        yield past[-1]


def _metadata(chance: random.Random, event: str) -> tuple[dict[str, Any], str]:
    if event == "purchase":
        amount, group = f"{chance.randrange(0, 6000) / 100:.2f}", chance.choice(("gold", "none"))
        text = f'{{"amount":{amount},"usergroup":["{group}"]}}'
        return {"amount": Decimal(amount), "usergroup": [group]}, text
    shop = chance.choice(SHOPS)
    return {"shop": shop}, f'{{"shop":"{shop}"}}'
