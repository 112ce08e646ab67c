"""Dry runs and traces over HTTP and Kafka: the real answer, and nothing left of the try."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from api.auth.credentials import Role
from schemas import dry_runs, ids, replies
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import (
    CHALLENGE_LOGS,
    DRY_RUNS,
    EVENTS,
    INPUT_TOPICS,
    MAX_RECORD_BYTES,
    MEMBER_COMMANDS,
    OUTPUT_TOPICS,
    REPLIES,
    TICKS,
    partition_for,
)
from tests.integration.api.serving import Served, run
from tests.integration.projections.driving import caught_up, query

PROJECT = "tried"
LOGS = "/schema/challenge_log/record"
CHALLENGE = "00000000-0000-4000-8000-0000000000d1"
MILESTONE = "00000000-0000-4000-8000-0000000000d2"
TIMES = {"createdAt", "updatedAt", "voidedAt", "until", "occurredAt"}
"""What the record of a call gives, or what follows from it."""


@pytest_asyncio.fixture
async def trier(full_stack: Served) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of the project of these tests, with its definitions."""
    async with await full_stack.client(project=PROJECT) as client:
        definitions: dict[str, dict[str, Any]] = {
            f"challenge/{CHALLENGE}": {
                "name": "Spend",
                "completionTargetValue": 100,
                "aggregationPeriod": "all_time",  # no tick has anything to do
            },
            f"milestone/{MILESTONE}": {
                "name": "Half",
                "linkedSchemaRecordId": CHALLENGE,
                "milestoneTargetValue": 50,
                "points": 7,
            },
            "event/buy": {
                "title": "Bought",
                "reward": {"default": 5},
                "limit": 3,
                "conditions": {"field": "channel", "operator": "equals", "value": "app"},
            },
            f"project/{PROJECT}": {"memberSpend": True},
        }
        for path, body in definitions.items():
            answer = await client.put(f"/definitions/{path}", json=body)
            assert answer.status_code in (200, 201), answer.text
        yield client


def log_of(user: str, identifier: str, value: Any = 60, **fields: Any) -> dict[str, Any]:
    """Return the body of a challenge log."""
    return {
        "challengeId": CHALLENGE,
        "ownedBy": {"externalId": user},
        "activityAt": "2026-11-20T10:00:00Z",
        "activityId": "bought",
        "uniqueIdentifier": identifier,
        "activityValue": value,
    } | fields


def event_of(user: str, key: str) -> dict[str, Any]:
    """Return the body of an event."""
    return {
        "eventId": "buy",
        "userId": user,
        "metadata": {"channel": "app"},
        "idempotencyKey": key,
        "occurredAt": "2026-11-20T10:00:00Z",
    }


def timeless(body: Any) -> Any:
    """Return a body without the times that its record gives."""
    if isinstance(body, list):
        return [timeless(each) for each in body]
    if isinstance(body, dict):
        return {name: timeless(value) for name, value in body.items() if name not in TIMES}
    return body


class Ends:
    """Where outputs and inputs end; ticks come whatever is done."""

    def __init__(self, settings: Settings, asking: EndOffsets) -> None:
        names = [name for name in (*INPUT_TOPICS, *OUTPUT_TOPICS) if name != TICKS]
        self._asking = asking
        self._places = [
            TopicPartition(settings.topic(name), partition)
            for name in names
            for partition in range(settings.partitions)
        ]

    async def now(self) -> dict[TopicPartition, int]:
        """Return where each of them ends, what transactions have open included."""
        return dict(await self._asking.of(self._places))


@pytest_asyncio.fixture
async def ends(full_stack: Served) -> AsyncIterator[Ends]:
    """The ends of the stack's topics."""
    async with EndOffsets(full_stack.settings, "read_uncommitted") as asking:
        yield Ends(full_stack.settings, asking)


def calls(user: str) -> list[tuple[str, dict[str, Any]]]:
    """Return one call of each kind in an order in which all of them are good."""
    why = {"reason": "sent back"}
    return [
        (LOGS, log_of(user, "log-1")),
        ("/event", event_of(user, "event-1")),
        (f"/user/{user}/spend", {"points": 3, "uniqueIdentifier": "s"}),
        (f"/user/{user}/hold", {"points": 4, "uniqueIdentifier": "h"}),
        (f"/user/{user}/hold", {"points": 2, "uniqueIdentifier": "i"}),
        (f"/user/{user}/hold/h/capture", {"points": 1, "uniqueIdentifier": "c"}),
        (f"/user/{user}/hold/i/release", {"uniqueIdentifier": "r"}),
        (f"/user/{user}/adjust", {"points": 9, "uniqueIdentifier": "a", "reason": "sorry"}),
        (f"/user/{user}/spend", {"points": 999, "uniqueIdentifier": "short"}),
        (
            f"/user/{user}/void",
            why | {"what": "event", "of": {"idempotencyKey": "event-1"}, "uniqueIdentifier": "v"},
        ),
    ]


async def test_a_dry_run_is_the_real_call_and_leaves_nothing(
    full_stack: Served, trier: httpx.AsyncClient, ends: Ends
) -> None:
    settings, user = full_stack.settings, "ann"
    for path, body in calls(user):
        before = await ends.now()
        tried = [await trier.post(f"{path}?dryRun=true&trace=true", json=body) for _ in range(2)]
        assert await ends.now() == before, path
        real = await trier.post(f"{path}?dryRun=false&trace=true", json=body)
        assert timeless(tried[0].json()) == timeless(tried[1].json())
        assert tried[0].status_code == {201: 200}.get(real.status_code, real.status_code)
        expected = timeless(real.json()) | {"dryRun": True}
        assert timeless(tried[0].json()) == expected, (path, tried[0].text, real.text)
        assert tried[0].content.endswith(b'"dryRun":true}')
        assert "location" not in tried[0].headers
    again = await trier.post(f"{LOGS}?dryRun=true&trace=true", json=log_of(user, "log-1"))
    said = again.json()
    assert (again.status_code, said["code"], said["dryRun"]) == (409, "duplicate", True)
    assert said["record"]["uniqueIdentifier"] == "log-1"
    assert "trace" not in said["record"]
    assert said["trace"] == [{"kind": "duplicate"}]
    verified = run(settings, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_logs_and_events_are_tried_before_they_are_voided_by_id(
    full_stack: Served, trier: httpx.AsyncClient
) -> None:
    log = (await trier.post(LOGS, json=log_of("bea", "log-1"))).json()
    assert (await trier.post("/event", json=event_of("bea", "event-1"))).status_code == 200
    await caught_up(full_stack.settings)
    event_id = ids.event_log_id(PROJECT, log["ownedById"], "event-1")
    for path in (f"{LOGS}/{log['id']}", f"/event/{event_id}"):
        body = {"reason": "sent back", "uniqueIdentifier": path, "rewards": "revoke"}
        tried = await trier.post(f"{path}/void?dryRun=true", json=body)
        real = await trier.post(f"{path}/void", json=body)
        assert (tried.status_code, real.status_code) == (200, 200), tried.text
        assert timeless(tried.json()) == timeless(real.json()) | {"dryRun": True}


async def test_what_cannot_be_done_is_refused_as_the_real_call(
    full_stack: Served, trier: httpx.AsyncClient
) -> None:
    nobody = log_of("nobody", "x", ownedBy=None, ownedById=ids.member_id(PROJECT, "nobody"))
    inline = log_of("inline", "x")
    assert (await trier.post(f"{LOGS}?dryRun=true", json=inline)).status_code == 200
    for path, body, status, code in (
        (LOGS, nobody, 404, "unknown_member"),
        ("/user/inline/spend", {"points": 1, "uniqueIdentifier": "x"}, 404, "unknown_member"),
        (LOGS, inline | {"challengeId": MILESTONE}, 404, "unknown_challenge"),
    ):
        answer = await trier.post(f"{path}?dryRun=true", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.content.endswith(b'"dryRun":true}')
    too_large = await trier.post(f"{LOGS}?dryRun=true", json=log_of("i", "x" * MAX_RECORD_BYTES))
    assert too_large.status_code == 413
    assert "dryRun" not in too_large.json()  # it was refused at the door
    await caught_up(full_stack.settings)
    made = "SELECT count(*) FROM milestream.members WHERE project = %s AND external_id = %s"
    assert query(full_stack.settings, made, PROJECT, "inline") == [(0,)]


async def test_a_word_that_is_neither_true_nor_false_is_never_a_real_call(
    trier: httpx.AsyncClient,
) -> None:
    for number, asked in enumerate(("dryRun=1", "dryRun=", "dryRun=True", "trace=yes")):
        for path, body in calls(f"word-{number}"):
            answer = await trier.post(f"{path}?{asked}", json=body)
            assert answer.status_code == 400, (path, asked, answer.text)
        body = log_of(f"word-{number}", "log-1")
        assert (await trier.post(LOGS, json=body)).status_code == 201  # not used up
    twice = await trier.post(f"{LOGS}?dryRun=true&dryRun=true", json=log_of("word", "x"))
    assert twice.status_code == 400


async def test_other_writes_cannot_be_tried(full_stack: Served, trier: httpx.AsyncClient) -> None:
    for method, path, body in (
        ("POST", "/schema/member/record", {"externalId": "untried"}),
        ("PUT", "/definitions/event/untried", {"title": "x", "reward": {"default": 1}}),
        ("DELETE", "/definitions/event/buy", None),
        ("POST", "/user/untried/tier", {}),
    ):
        answer = await trier.request(method, f"{path}?dryRun=true", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "dry_run_unsupported")
    key = await full_stack.key(project=PROJECT)
    parameters = {"UID": "untried", "action": "buy", "httpStatusCodes": "true", "dryRun": "true"}
    called = await trier.get(
        "/gm.notifyAction", params=parameters | {"apiKey": key.key_id, "secret": key.secret}
    )
    assert (called.status_code, called.json()["errorCode"]) == (400, 400006), called.text
    assert "dry_run_unsupported" in called.text
    assert (await trier.get("/event/untried")).status_code == 404
    assert (await trier.get("/event/buy")).status_code == 200


async def test_an_end_user_sees_its_own_trace_only(
    full_stack: Served, trier: httpx.AsyncClient
) -> None:
    assert (await trier.post("/schema/member/record", json={"externalId": "eve"})).is_success
    body = event_of("eve", "own-1")
    del body["occurredAt"]
    whole = (await trier.post("/event?dryRun=true&trace=true", json=body)).json()["trace"]
    assert whole[0]["conditions"] == [
        {"path": "channel", "operator": "equals", "wanted": "app", "found": "app", "holds": True}
    ]
    assert all("version" in step for step in whole)
    async with await full_stack.end_user("eve", PROJECT) as eve:
        answer = await eve.post("/event?dryRun=true&trace=true", json=body)
        assert answer.json()["trace"] == [
            {"kind": "event", "id": "buy", "outcome": "met"},
            {"kind": "limit", "id": "buy", "outcome": "within", "before": 0, "after": 1},
        ]
        other = await eve.post("/event?dryRun=true&trace=true", json=event_of("ann", "x"))
        assert other.status_code == 403
        hold = {"points": 1, "uniqueIdentifier": "x"}
        for what, status in (("hold", 409), ("adjust", 403)):
            answer = await eve.post(f"/user/eve/{what}?dryRun=true", json=hold)
            assert answer.status_code == status
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        assert (await analyst.post("/event?dryRun=true", json=body)).status_code == 403


async def test_without_an_answer_in_time_it_is_503(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as client:
        answer = await client.post(f"{LOGS}?dryRun=true", json=log_of("ann", "x"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


class Requests:
    """Records that ask for an answer, one after the other, and the answers."""

    def __init__(
        self, settings: Settings, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._producer = producer
        self._place = TopicPartition(settings.topic(REPLIES), 0)
        self._sent = 0

    async def begin(self) -> None:
        """Read from the end of the replies on."""
        self._consumer.assign([self._place])
        await self._consumer.seek_to_end(self._place)

    async def ask(
        self,
        topic: str,
        value: dict[str, Any] | bytes,
        headers: list[tuple[str, bytes]],
        *,
        partition: int,
    ) -> tuple[int, dict[str, Any]]:
        """Write a record that asks for an answer; return that."""
        self._sent += 1
        key = b"dry-%d" % self._sent
        if not isinstance(value, bytes):
            value = json.dumps({"project": PROJECT} | value).encode()
        await self._producer.send_and_wait(
            self._settings.topic(topic),
            value,
            partition=partition,
            headers=[*headers, *replies.headers_for(self._place.topic, 0, key)],
        )
        async with asyncio.timeout(120):
            while True:
                found = await self._consumer.getmany(self._place, timeout_ms=500)
                for record in found.get(self._place, ()):
                    if replies.correlation_id_of(record.headers) == key:
                        reply = json.loads(record.value)
                        return reply["status"], reply["body"]


@pytest_asyncio.fixture
async def requests(full_stack: Served) -> AsyncIterator[Requests]:
    """Who asks over Kafka."""
    options = full_stack.settings.kafka_options()
    async with (
        AIOKafkaConsumer(**options, isolation_level="read_committed") as consumer,
        AIOKafkaProducer(**options, max_request_size=2**21) as producer,
    ):
        made = Requests(full_stack.settings, consumer, producer)
        await made.begin()
        yield made


async def test_over_kafka(
    full_stack: Served, trier: httpx.AsyncClient, requests: Requests, ends: Ends
) -> None:
    settings = full_stack.settings
    assert (await trier.post("/schema/member/record", json={"externalId": "kay"})).is_success
    home = partition_for(ids.member_id(PROJECT, "kay"), settings.partitions)
    nobody = log_of("nobody-here", "k", ownedBy={"externalId": "nobody-here"})
    away = 1 - partition_for(ids.member_id(PROJECT, "nobody-here"), settings.partitions)
    spend = {"type": "spend-points", "userId": "kay", "points": 1, "uniqueIdentifier": "k"}
    large = json.dumps({"project": PROJECT} | spend | {"reason": "x" * MAX_RECORD_BYTES}).encode()
    tried = dry_runs.headers_for
    for topic, value, headers, partition, status, code in (
        (DRY_RUNS, event_of("kay", "k"), tried(EVENTS), home, 200, None),
        (DRY_RUNS, spend, tried(MEMBER_COMMANDS), home, 409, "insufficient_points"),
        (DRY_RUNS, nobody, tried(CHALLENGE_LOGS), away, 400, "misplaced"),
        (DRY_RUNS, large, tried(MEMBER_COMMANDS), home, 413, "too_large"),
        (DRY_RUNS, spend, tried("ticks"), home, 400, "invalid"),
        (DRY_RUNS, spend, [], home, 400, "invalid"),
        (MEMBER_COMMANDS, spend, tried(MEMBER_COMMANDS), home, 400, "invalid"),
    ):
        before = await ends.now()
        found = await requests.ask(topic, value, headers, partition=partition)
        assert (found[0], found[1].get("code")) == (status, code), found
        assert found[1].get("dryRun", False) is (topic == DRY_RUNS)
        if topic == DRY_RUNS:
            assert await ends.now() == before
    traced = [dry_runs.TRACED]
    answer = await requests.ask(EVENTS, event_of("kay", "k"), traced, partition=home)
    assert [step["kind"] for step in answer[1]["trace"]] == ["event", "limit"]
    await caught_up(settings)
    letters = "SELECT count(*) FROM milestream.dead_letters WHERE project = %s AND reason = %s"
    assert query(settings, letters, PROJECT, "invalid") == [(1,)]
    assert query(settings, letters, PROJECT, "misplaced") == [(0,)]


async def test_a_dry_run_sees_what_was_written_before_it(
    full_stack: Served, trier: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    member_id = ids.member_id(PROJECT, "zoe")
    home = partition_for(member_id, settings.partitions)
    upsert = {"project": PROJECT, "type": "upsert-member", "externalId": "zoe"}
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for number in range(20):
            log = log_of("zoe", f"z-{number}", 2, ownedBy=None) | {"ownedById": member_id}
            known = {name: value for name, value in log.items() if value is not None}
            for topic, value in (
                (CHALLENGE_LOGS, {"project": PROJECT} | known),
                (MEMBER_COMMANDS, upsert),
            ):
                sent = json.dumps(value).encode()
                await producer.send(settings.topic(topic), sent, partition=home)
        await producer.flush()
    answer = await trier.post(f"{LOGS}?dryRun=true", json=log_of("zoe", "last", 0.5))
    assert answer.json()["challengeProgress"]["currentProgressValue"] == pytest.approx(40.5)
