"""Load: several producers of every kind at once, made from a seed, and rules that change meanwhile.

What they send is made up front, so a seed gives the same records whatever happens to the stack.
What became of it is not: a producer that was cut off may have written a record twice, or not at
all. The verifier reads what stands on the topics.
"""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import ids, replies
from schemas.settings import Settings
from schemas.topics import (
    ACTIVITY_LOGS,
    CHALLENGE_LOGS,
    EVENTS,
    MEMBER_COMMANDS,
    REPLIES,
    partition_for,
)
from tests.integration.processor.driving import Record, definition

MONTHLY = "aaaaaaaa-0000-4000-8000-000000000001"
DAILY = "aaaaaaaa-0000-4000-8000-000000000002"
FOR_LIFE = "aaaaaaaa-0000-4000-8000-000000000003"
CHALLENGES = (MONTHLY, DAILY, FOR_LIFE)
PATHWAY, SUMMED, READ = "EV67-ZCNS-56AD", "EVPA-0001", "EVPA-0002"
PATHWAY_TARGET = 40
TIERS, LEVELS = "levels", {"bronze": 40, "silver": 120, "gold": 300}
WHAT = {
    CHALLENGE_LOGS: "challenge_log", EVENTS: "event", "spend-points": "spend",
    "redeem-points": "redemption", "capture-hold": "capture",
}  # fmt: skip
"""What a record is to a void, by its topic, or by its type where it is a command."""
MEMBERS = 40
NEWCOMERS = 25
BATCH = 25


def milestone(number: int, of: str, target: int, **fields: Any) -> Record:
    """Return the definition of a milestone."""
    slug = {} if of in CHALLENGES else {"linkedSchemaSlug": "streak"}
    return definition(
        "milestone", f"bbbbbbbb-0000-4000-8000-{number:012d}", name=f"At {target}",
        linkedSchemaRecordId=of, milestoneTargetValue=target, **slug, **fields,
    )  # fmt: skip


def life(target: int, status: str = "live") -> Record:
    """Return the challenge whose target and status change."""
    return definition(
        "challenge", FOR_LIFE, name="For life", aggregationPeriod="all_time", status=status,
        completionTargetValue=target, eventIds=["buy"], valueField="amount", pointsOnCompletion=50,
    )  # fmt: skip


def buy(reward: Decimal) -> Record:
    """Return the event whose reward changes."""
    return definition(
        "event", "buy", title="Buy", type="TRANSACTION", rewardValueField="amount",
        reward={"default": reward, "gold": 2}, maximumReward=60, challengeGroup="shop",
        conditions={"type": "AND", "conditions": [
            {"field": "amount", "operator": "greater_than", "value": 5}]},
    )  # fmt: skip


def visit(status: str) -> Record:
    """Return the event that is switched off and on."""
    return definition(
        "event", "visit", title="Visit", type="FIXED", reward={"default": 5}, limit=3,
        limitPeriod="daily", status=status,
    )  # fmt: skip


def rules() -> list[Record]:
    """Return what is defined from the beginning."""
    data = {"category": "Steps", "formula": "sum", "target": PATHWAY_TARGET}
    activities: list[dict[str, Any]] = [
        {"id": SUMMED, "name": "Steps", "type": "data", "fulfilmentType": "tracking", "data": data},
        {"id": READ, "name": "Read", "type": "article", "fulfilmentType": "view"},
    ]
    return [
        definition("project", "default", timezone="Europe/Berlin"),
        definition("challenge", MONTHLY, name="Monthly", aggregationPeriod="monthly",
                   completionTargetValue=400, pointsOnCompletion=100),
        definition("challenge", DAILY, name="Daily", aggregationMethod="count",
                   completionTargetValue=5),
        life(600), buy(Decimal(1)), visit("ACTIVE"),
        definition("wallet", "shop", name="Shop", expiry={"type": "rolling", "after": "P20D"},
                   earnCap={"points": 200, "period": "weekly"}, noticeDays=[1]),
        milestone(1, MONTHLY, 100, points=10), milestone(2, FOR_LIFE, 150, points=7),
        definition("streak", "days", eventIds=["visit"], period="daily", targetLength=3),
        definition("streak", "weeks", eventIds=["buy", "visit"], period="weekly", targetLength=3,
                   freezes=1),
        milestone(3, "days", 2, points=3),
        definition("pathway", PATHWAY, name="A way", activities=activities),
        definition("tier-set", TIERS, name="Levels", basis={"type": "earned"},
                   window={"type": "lifetime"}, tiers=[
                       {"id": id_, "name": id_, "threshold": threshold}
                       for id_, threshold in LEVELS.items()]),
    ]  # fmt: skip


def changes(rng: random.Random) -> list[Record]:
    """Return how the rules change, one after the other."""

    def new_milestone(number: int) -> Record:
        of, points = rng.choice([MONTHLY, FOR_LIFE]), rng.choice([None, 4])
        return milestone(10 + number, of, rng.randrange(20, 500), points=points)

    return [
        rng.choice([
            life(rng.randrange(100, 900)), life(500, "paused"), life(500),
            buy(Decimal(rng.randrange(1, 30)) / 10), visit("INACTIVE"), visit("ACTIVE"),
            visit("ACTIVE"), new_milestone(number),
        ])
        for number in range(40)
    ]  # fmt: skip


@dataclass
class Maker:
    """Makes records from a seed."""

    settings: Settings
    rng: random.Random
    prefix: str
    base: datetime = field(default_factory=lambda: datetime.now(UTC))
    made: int = 0
    earlier: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    voidable: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Whose, what it is, and its natural key."""
    holds: list[tuple[str, str]] = field(default_factory=list)
    """Whose, and the identifier."""

    def people(self) -> list[Record]:
        """Return the commands that make the members known, and enrol them."""
        found = []
        for number in range(MEMBERS):
            name = f"member-{number}"
            groups = ["gold"] if number % 3 == 0 else []
            upsert = {"type": "upsert-member", "externalId": name, "groups": groups}
            enrol = {"type": "enrol", "pathwayId": PATHWAY, "userId": name}
            found += [self.placed(MEMBER_COMMANDS, name, each) for each in (upsert, enrol)]
        return found

    def placed(
        self, topic: str, member: str, value: Any, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Record:
        """Return a record where it belongs."""
        id_ = ids.member_id("default", member)
        partition = partition_for(id_, self.settings.partitions)
        return topic, partition, id_.encode(), _json(value), headers

    def anywhere(self, topic: str, value: Any, headers: Sequence[tuple[str, bytes]]) -> Record:
        """Return a record without key, on any partition, as other clients spread them."""
        partition = self.rng.randrange(self.settings.partitions)
        return topic, partition, None, _json(value), headers

    def batch(self, *, keyed: bool, size: int = BATCH) -> list[Record]:
        """Return some records of all kinds."""
        return [self.one(keyed=keyed) for _ in range(size)]

    def one(self, *, keyed: bool) -> Record:
        """Return one record: new, or an earlier one again."""
        rng = self.rng
        if rng.random() < 0.01:
            text = rng.choice([b"{", b"[]", b"\xff", b""])
            return CHALLENGE_LOGS, rng.randrange(self.settings.partitions), None, text, ()
        if self.earlier and rng.random() < 0.06:
            topic, member, value = rng.choice(self.earlier)
        else:
            topic, member, value = self._new()
            self.earlier.append((topic, member, value))
            self._remember(topic, member, value)
        headers: Sequence[tuple[str, bytes]] = ()
        self.made += 1
        if rng.random() < 0.15:
            asked = f"{self.prefix}-asked-{self.made}".encode()
            partition = rng.randrange(self.settings.partitions)
            headers = replies.headers_for(self.settings.topic(REPLIES), partition, asked)
        if keyed:
            return self.placed(topic, member, value, headers)
        return self.anywhere(topic, value, headers)

    def _new(self) -> tuple[str, str, dict[str, Any]]:
        rng = self.rng
        member, identifier = f"member-{rng.randrange(MEMBERS)}", f"{self.prefix}-{self.made}"
        if rng.random() < 0.05:
            return self._of_a_newcomer(f"late-{rng.randrange(NEWCOMERS)}", identifier)
        kind = rng.choices(("log", "event", "steps", "command"), (8, 6, 2, 3))[0]
        if kind == "log":
            return CHALLENGE_LOGS, member, self.log(member, identifier)
        if kind == "event":
            return EVENTS, member, self._event(member, identifier)
        if kind == "steps":
            return ACTIVITY_LOGS, member, {
                "pathwayId": PATHWAY, "activityId": rng.choice((SUMMED, SUMMED, READ)),
                "userId": member, "occurredAt": self._time(), "uniqueIdentifier": identifier,
                "fulfilment": {"value": rng.randrange(1, 9)},
            }  # fmt: skip
        return MEMBER_COMMANDS, member, self._command(member, identifier)

    def _of_a_newcomer(self, member: str, identifier: str) -> tuple[str, str, dict[str, Any]]:
        """Return what a member does who is made known meanwhile, by any of the producers, or never:
        what comes before it waits."""
        if self.rng.random() < 0.25:
            return MEMBER_COMMANDS, member, {"type": "upsert-member", "externalId": member}
        if self.rng.random() < 0.5:
            return EVENTS, member, self._event(member, identifier)
        log = self.log(member, identifier)
        log.pop("ownedBy", None)
        return CHALLENGE_LOGS, member, {**log, "ownedById": ids.member_id("default", member)}

    def log(self, member: str, identifier: str) -> dict[str, Any]:
        """Return a challenge log; some are late, some are corrections."""
        rng = self.rng
        challenge = rng.choice(CHALLENGES) if rng.random() < 0.98 else MONTHLY[:-1] + "9"
        value = Decimal(rng.randrange(1, 4000)) / 100 * (-1 if rng.random() < 0.05 else 1)
        owner: dict[str, Any] = {"ownedById": ids.member_id("default", member)}
        if rng.random() < 0.4:
            owner = {"ownedBy": {"externalId": member, "city": rng.choice(("Bonn", "Köln"))}}
        return {
            "challengeId": challenge, **owner, "activityAt": self._time(), "activityId": "buy",
            "uniqueIdentifier": identifier, "activityValue": value,
        }  # fmt: skip

    def _event(self, member: str, identifier: str) -> dict[str, Any]:
        rng = self.rng
        amount = Decimal(rng.randrange(0, 4000)) / 100
        metadata = {"amount": amount, "usergroup": [rng.choice(("gold", "none"))]}
        event: dict[str, Any] = {
            "eventId": rng.choices(("visit", "buy", "unknown"), (20, 20, 1))[0],
            "userId": member, "metadata": metadata,
        }  # fmt: skip
        if rng.random() < 0.8:
            event["idempotencyKey"] = identifier
        if rng.random() < 0.7:
            event["occurredAt"] = self._time()
        return event

    def _command(self, member: str, identifier: str) -> dict[str, Any]:
        rng = self.rng
        kinds = (
            "upsert",
            "redeem",
            "spend",
            "hold",
            "close",
            "adjust",
            "status",
            "void",
            "correct",
        )
        match rng.choices(kinds, (1, 2, 2, 2, 2, 1, 1, 7, 2))[0]:
            case "void":
                return self._void(member, identifier)
            case "correct":
                return self._correction(member)
            case "close" if self.holds:
                return self._close(identifier)
            case "adjust":
                return {
                    "type": "adjust-points", "userId": member, "points": rng.choice((-20, 30)),
                    "challengeGroup": rng.choice(("shop", "_default")), "reason": "by hand",
                    "uniqueIdentifier": identifier,
                }  # fmt: skip
            case "upsert":
                return {"type": "upsert-member", "externalId": member, "firstName": identifier}
            case "redeem" | "spend" | "hold" as what:
                if what == "hold":
                    self.holds.append((member, identifier))
                most = 6 if what == "hold" else 30
                return {
                    "type": f"{what}-points", "userId": member, "points": rng.randrange(1, most),
                    "challengeGroup": rng.choice(("shop", "_default")),
                    "uniqueIdentifier": identifier,
                }  # fmt: skip
            case _:
                status = rng.choice(("live", "live", "paused"))
                return {"type": "update-member-status", "userId": member, "status": status}

    def _close(self, identifier: str) -> dict[str, Any]:
        """Return the capture or the release of a hold that was asked for before."""
        member, held = self.rng.choice(self.holds)
        how: dict[str, Any] = {"type": "release-hold"}
        if self.rng.random() < 0.7:
            how = {"type": "capture-hold"} | self.rng.choice(({}, {"points": 1}))
        return {**how, "userId": member, "holdIdentifier": held, "uniqueIdentifier": identifier}

    def _void(self, member: str, identifier: str) -> dict[str, Any]:
        """Return a void of something that was made before, of another member's, or of nothing."""
        rng = self.rng
        nothing = {"challengeId": MONTHLY, "uniqueIdentifier": "nothing"}
        member, what, of = rng.choice(self.voidable or [(member, "challenge_log", nothing)])
        return {
            "type": "void", "userId": member, "what": what, "of": of,
            "portion": rng.choice((Decimal("0.5"), Decimal("0.3"), 1, 1)),
            "rewards": rng.choice(("keep", "keep", "revoke")),
            "reason": "sent back", "uniqueIdentifier": identifier,
        }  # fmt: skip

    def _correction(self, member: str) -> dict[str, Any]:
        """Return a correction, as a recalculation would send it, of some progress."""
        rng, at = self.rng, self._time()
        challenge, more = rng.choice(CHALLENGES), rng.random()
        local = datetime.fromisoformat(at).astimezone(ZoneInfo("Europe/Berlin"))
        period = {MONTHLY: f"{local:%Y-%m}", DAILY: f"{local:%Y-%m-%d}"}.get(challenge, "all")
        recalculation = f"cccccccc-0000-4000-8000-{rng.randrange(9):012d}"
        differences = (1, 2, -1) if challenge == DAILY else (40, 0, -30, Decimal("12.25"))
        named = {MONTHLY: "bbbbbbbb-0000-4000-8000-000000000001"}.get(challenge)
        correction: dict[str, Any] = {
            "type": "correct-progress", "userId": member, "challengeId": challenge,
            "recalculationId": recalculation, "periodKey": period, "startedAt": at,
            "uniqueIdentifier": f"{recalculation}:{challenge}:{period}",
            "difference": rng.choice(differences),
        }  # fmt: skip
        if more < 0.5:
            correction["exact"] = True
            correction |= {"reopens": True} if more < 0.2 else {"completedAt": at}
        if named is not None and more > 0.4:
            correction["reached"] = [{"milestoneId": named, "at": at, "value": 100}]
        if more > 0.8:
            correction["points"] = [{"points": 3, "at": at}]
        if named is not None and more > 0.9:
            correction["points"] = [{"points": 2, "at": at, "milestoneId": named}]
        return correction

    def _remember(self, topic: str, member: str, value: dict[str, Any]) -> None:
        """Keep what a void may name."""
        name = value.get("uniqueIdentifier", "nothing")
        of, what = {"uniqueIdentifier": name}, WHAT.get(value.get("type", topic))
        if what == "event":
            of = {"idempotencyKey": value.get("idempotencyKey", "nothing")}
        elif what == "challenge_log":
            of["challengeId"] = value["challengeId"]
        if what is not None:
            self.voidable.append((member, what, of))

    def _time(self) -> str:
        rng = self.rng
        late = rng.choice((0, 0, 0, 1, 2, 3, 9, 40))
        at = self.base - timedelta(days=late, seconds=rng.randrange(3_600))
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _json(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    # A Decimal as the number that it is: never through a float.
    marked = json.dumps(value, default=lambda number: f"\x01{number}\x01")
    return marked.replace('"\\u0001', "").replace('\\u0001"', "").encode()


Send = Callable[[list[Record]], Any]


class Load:
    """All producers, each on a thread of its own, until they have sent what they have."""

    def __init__(self, settings: Settings, seed: int, seconds: float, batches: int) -> None:
        self.settings = settings
        self._pause = seconds / batches
        self._hurry = threading.Event()
        self.acknowledged: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of what was acknowledged outside of aborted transactions."""
        self.failures = 0
        """How often a producer gave up what it was sending."""
        self.aborted = 0
        self.answers: dict[str, int] = {}
        """Status of each HTTP request, by its log's identifier."""
        self._threads: list[threading.Thread] = []
        plans = {
            name: Maker(settings, random.Random(f"{seed}:{name}"), name)
            for name in ("keyed", "keyless", "transactional", "http")
        }
        self.rules = rules()
        self.people = plans["keyed"].people()
        self._keyed = [plans["keyed"].batch(keyed=True) for _ in range(batches)]
        self._keyless = [plans["keyless"].batch(keyed=False) for _ in range(batches)]
        self._transactional = [plans["transactional"].batch(keyed=True) for _ in range(batches)]
        chance = random.Random(f"{seed}:aborts")
        self._aborts = [chance.random() < 0.3 for _ in range(batches)]
        self._changes = changes(random.Random(f"{seed}:rules"))
        http = plans["http"]
        self._requests = [
            (f"http-{n}", http.log(f"member-{n % MEMBERS}", f"http-{n}")) for n in range(200)
        ]

    def begin(self, api: str | None, key: dict[str, str]) -> None:
        """Define the rules and the members, then let everybody send."""
        # Another's partition may be written first: who enrols must find the pathway.
        asyncio.run(self._send_all(self.rules))
        asyncio.run(self._send_all(self.people))
        for run in (
            lambda: self._produce(self._keyed),
            lambda: self._produce(self._keyless),
            self._produce_in_transactions,
            self._change_rules,
        ):
            self._threads.append(threading.Thread(target=lambda run=run: asyncio.run(run())))
        if api is not None:
            self._threads.append(threading.Thread(target=self._ask, args=(api, key)))
        for thread in self._threads:
            thread.start()

    @property
    def sending(self) -> bool:
        """Whether somebody still sends."""
        return any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        """Wait until all is sent."""
        self._hurry.set()
        for thread in self._threads:
            thread.join()

    async def _send_all(self, records: Sequence[Record]) -> None:
        async with AIOKafkaProducer(
            **self.settings.kafka_options(), enable_idempotence=True, request_timeout_ms=20_000
        ) as producer:
            self.acknowledged |= await self._send(producer, records)

    async def _send(
        self, producer: AIOKafkaProducer, records: Sequence[Record]
    ) -> set[tuple[str, int, int]]:
        """Send records; return where they lie once all are acknowledged."""
        futures = [
            await producer.send(
                self.settings.topic(topic), value, key=key, partition=partition, headers=[*headers]
            )
            for topic, partition, key, value, headers in records
        ]
        written = await asyncio.gather(*futures)
        return {
            (topic, place.partition, place.offset)
            for (topic, *_), place in zip(records, written, strict=True)
        }

    async def _produce(self, batches: Sequence[list[Record]]) -> None:
        left = list(batches)
        while left:
            with contextlib.suppress(KafkaError, OSError):
                async with AIOKafkaProducer(
                    **self.settings.kafka_options(),
                    enable_idempotence=True,
                    request_timeout_ms=10_000,
                ) as producer:
                    await self._pour(producer, left)
            if left:
                self.failures += 1
                await asyncio.sleep(0.5)

    async def _pour(self, producer: AIOKafkaProducer, left: list[list[Record]]) -> None:
        while left:
            self.acknowledged |= await self._send(producer, left[0])
            left.pop(0)
            await self._rest()

    async def _produce_in_transactions(self) -> None:
        left = list(zip(self._transactional, self._aborts, strict=True))
        while left:
            with contextlib.suppress(KafkaError, OSError):
                async with AIOKafkaProducer(
                    **self.settings.kafka_options(),
                    transactional_id=f"{self.settings.application_id}-load",
                    request_timeout_ms=10_000,
                    transaction_timeout_ms=10_000,
                ) as producer:
                    await self._commit_or_abort(producer, left)
            if left:
                self.failures += 1
                await asyncio.sleep(0.5)

    async def _commit_or_abort(
        self, producer: AIOKafkaProducer, left: list[tuple[list[Record], bool]]
    ) -> None:
        while left:
            records, abort = left[0]
            await producer.begin_transaction()
            written = await self._send(producer, records)
            if abort:
                await producer.abort_transaction()
                self.aborted += 1
            else:
                await producer.commit_transaction()
                self.acknowledged |= written
            left.pop(0)
            await self._rest()

    async def _change_rules(self) -> None:
        for change in self._changes:
            for _ in range(4):
                await self._rest()
            if self._hurry.is_set():
                return
            try:
                await self._send_all([change])
            except (KafkaError, OSError):
                self.failures += 1

    def _ask(self, api: str, key: dict[str, str]) -> None:
        """Send logs over HTTP, one after the other."""
        with httpx.Client(base_url=api, headers=key, timeout=15) as client:
            for identifier, log in self._requests:
                if self._hurry.is_set():
                    return
                try:
                    answer = client.post(
                        "/schema/challenge_log/record",
                        content=_json(log),
                        headers={"content-type": "application/json"},
                    )
                except httpx.HTTPError:
                    self.failures += 1
                    time.sleep(0.2)
                else:
                    self.answers[identifier] = answer.status_code
                time.sleep(0.05)

    async def _rest(self) -> None:
        await asyncio.sleep(0.01 if self._hurry.is_set() else self._pause)
