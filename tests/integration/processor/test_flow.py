"""What reaches the fold: any producer, any codec, poison, order of commands and definitions."""

import asyncio
import json
from base64 import b64decode
from decimal import Decimal
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas import ids, replies
from schemas.settings import Settings
from schemas.topics import partition_for
from tests.integration.processor.driving import (
    CHALLENGE,
    History,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    log,
    produce,
    recorded_count,
    values,
    wait_folded,
    wait_until,
)
from tests.odd_headers import NoText, OddRecord, send_odd

REASONS_OF_POISON: list[tuple[bytes | None, str]] = [
    (None, "malformed"),
    (b"", "malformed"),
    (b"{", "malformed"),
    (b"\xff\xfe", "malformed"),
    (b"[1]", "invalid"),
    (b'{"challengeId":"x"}', "invalid"),
    (b'{"a":' * 100_000, "malformed"),
    (b'{"pad":"' + b"x" * 1_500_000 + b'"}', "too_large"),
]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_are_folded(settings: Settings, codec: str) -> None:
    history = History(members=50, seed=5)
    produce(settings, definitions())
    produce(settings, history.records(300, settings), compression_type=codec)
    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent, 180, worker)
    history.check(settings)


def test_records_without_key_are_forwarded_home_once(settings: Settings) -> None:
    history = History(members=200, seed=6)
    produce(settings, definitions())
    records = history.records(2_000, None)
    spread: list[Record] = [
        (topic, i % settings.partitions, b"any key", value, headers)
        for i, (topic, _, _, value, headers) in enumerate(records)
    ]
    produce(settings, spread)
    with Worker(settings, "w") as worker:
        wait_until(lambda: history.folded(settings), 180, lambda: worker.text()[-2000:])
        forwarded = len(drain(settings, "forwarded"))
        wait_folded(settings, history.sent + forwarded, 180, worker)
    assert 0 < forwarded < history.sent
    for record in drain(settings, "challenge-logs", "forwarded"):
        assert record.value is not None
    for event in drain(settings, "progress-events"):
        assert partition_for(event.key.decode(), settings.partitions) == event.partition
    # Duplicates may lie on two partitions and change their order: the sums do not.
    history.check(settings)


def test_poison_becomes_dead_letters_and_the_flow_goes_on(settings: Settings) -> None:
    history = History(members=20, seed=7)
    produce(settings, definitions())
    poison: list[Record] = [
        ("challenge-logs", 1, b"k", value, [("h", b"v")]) for value, _ in REASONS_OF_POISON
    ]
    produce(settings, history.records(100, settings))
    produce(settings, poison, max_request_size=4_000_000)
    produce(settings, history.records(100, settings))
    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent + len(poison), 180, worker)
    history.check(settings)
    letters = values(settings, "dead-letters")
    assert [letter["reason"] for letter in letters] == [reason for _, reason in REASONS_OF_POISON]
    for letter, (value, _) in zip(letters, REASONS_OF_POISON, strict=True):
        assert (letter["topic"], letter["partition"], letter["key"]) == ("challenge-logs", 1, "k")
        assert letter["value"] is None if value is None else b64decode(letter["value"]) == value
        assert letter["headers"] == [{"key": "h", "value": "dg=="}]
        original = {r.offset: r for r in drain(settings, "challenge-logs") if r.partition == 1}
        assert original[letter["offset"]].value == value


def test_a_log_waits_for_the_commands_that_stood_before_it(settings: Settings) -> None:
    """A log by ``ownedById`` is folded after a long backlog of commands that makes it known."""
    member = ids.member_id("default", "user-late")
    home = partition_for(member, settings.partitions)

    def upsert(name: str) -> Record:
        value = json.dumps({"type": "upsert-member", "externalId": name}).encode()
        place = partition_for(ids.member_id("default", name), settings.partitions)
        return ("member-commands", place, None, value, ())

    asked = (("kafka_replyTopic", b"replies"), ("kafka_correlationId", b"1"))  # so it is not parked

    def by_id(identifier: str, owner: str) -> Record:
        text = log("x", identifier, "5", settings=None)[3]
        assert text is not None
        value = json.loads(text)
        del value["ownedBy"]
        value["ownedById"] = owner
        return ("challenge-logs", home, None, json.dumps(value).encode(), asked)

    produce(settings, definitions())
    produce(settings, [by_id("order-1", member), by_id("order-2", ids.member_id("default", "no"))])
    produce(settings, [upsert(f"user-{i}") for i in range(20_000)] + [upsert("user-late")])
    with Worker(settings, "w") as worker:
        at_home = partition_for(ids.member_id("default", "no"), settings.partitions) == home
        wait_folded(settings, 20_003 if at_home else 20_004, 180, worker)  # or it is forwarded
    recorded = values(settings, "progress-events")
    assert [event["subject"] for event in recorded] == [member]
    assert len(values(settings, "member-events")) == 20_001
    reasons = [letter["reason"] for letter in values(settings, "dead-letters")]
    assert reasons == ["unknown_member"]


def test_a_log_sent_after_a_definition_sees_it(settings: Settings) -> None:
    with Worker(settings, "w") as worker:
        worker.ready()
        for turn in range(20):
            challenge = f"33333333-3333-4333-8333-3333333333{turn:02d}"
            produce(
                settings,
                [definition("challenge", challenge, name="New", completionTargetValue=1)],
            )
            record = log("user-1", f"order-{turn}", "1", settings=settings)
            assert record[3] is not None
            value = record[3].replace(CHALLENGE.encode(), challenge.encode())
            produce(settings, [(record[0], record[1], record[2], value, ())])
        wait_folded(settings, 20, 180, worker)
    assert values(settings, "dead-letters") == []


def test_requests_are_answered_in_their_transaction(settings: Settings) -> None:
    with Worker(settings, "w") as worker:
        worker.ready()
        produce(settings, definitions())
        headers = replies.headers_for(settings.topic("replies"), 2, b"\x01\x02")
        elsewhere = replies.headers_for(settings.topic("progress-events"), 0, b"\x03")
        produce(
            settings,
            [
                log("joe", "order-1", "87.50", settings=settings, headers=headers),
                log("joe", "order-1", "87.50", settings=settings, headers=headers),
                log("joe", "order-2", "1", settings=settings, headers=elsewhere),
            ],
        )
        wait_folded(settings, 3, 180, worker)
    answers = drain(settings, "replies")
    assert [a.partition for a in answers] == [2, 2]
    assert all(replies.correlation_id_of(a.headers) == b"\x01\x02" for a in answers)
    first, again = (json.loads(a.value, parse_float=Decimal) for a in answers)
    assert first["status"] == 201
    assert first["body"]["challengeProgress"]["currentProgressValue"] == Decimal("87.5")
    assert again["status"] == 409
    assert again["body"]["record"] == first["body"]
    assert len(values(settings, "progress-events")) == 2


def test_what_a_transaction_aborted_is_not_folded(settings: Settings) -> None:
    history = History(members=5, seed=8)
    produce(settings, definitions())

    async def abort() -> None:
        outsider = f"{settings.topic_prefix}outsider"
        producer = AIOKafkaProducer(**settings.kafka_options(), transactional_id=outsider)
        await producer.start()
        await producer.begin_transaction()
        for topic, partition, key, value, _ in History(members=5, seed=9).records(50, settings):
            await producer.send(settings.topic(topic), value, key=key, partition=partition)
        await producer.flush()
        await producer.abort_transaction()
        await producer.stop()

    asyncio.run(abort())
    produce(settings, history.records(50, settings))
    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent, 180, worker)
    # What was aborted stands before it: folded, it would be there by now in place of some of this.
    assert recorded_count(settings) == history.sent
    history.check(settings)


def test_the_same_inputs_give_the_same_outputs_again(settings: Settings) -> None:
    """Deterministic ids: a second application that folds the same inputs says the same."""
    history = History(members=50, seed=10)
    produce(settings, definitions())
    produce(settings, history.records(500, settings))

    def ids_of(events: list[dict[str, Any]]) -> set[str]:
        return {event["id"] for event in events}

    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent, 180, worker)
    once = ids_of(values(settings, "progress-events", "reward-events", "milestone-events"))
    from deploy.topics_create import create_topics

    other = settings.model_copy(update={"application_id": "second"})
    create_topics(other)
    with Worker(other, "x") as worker:
        wait_folded(settings, 2 * history.sent, 180, worker)
    events = values(settings, "progress-events", "reward-events", "milestone-events")
    assert ids_of(events) == once
    assert len(events) == 2 * len(once)


@pytest.mark.parametrize("codec", [None, "lz4"])
def test_a_header_name_that_is_no_text_is_refused_and_the_flow_goes_on(
    settings: Settings, codec: str | None
) -> None:
    """Some clients take header names as bytes; aiokafka alone would stop at one for ever."""
    history = History(members=5, seed=12)
    produce(settings, definitions())

    odd: list[OddRecord] = [(b"k", b"{}", [(n, b"v")]) for n in ("plain", NoText("odd"), "plain")]
    produce(settings, history.records(50, settings))
    asyncio.run(send_odd(settings, "challenge-logs", odd, 1, compression_type=codec))
    produce(settings, history.records(50, settings))
    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent + 3, 180, worker)
    history.check(settings)
    first, letter, last = values(settings, "dead-letters")
    assert (first["reason"], letter["reason"], last["reason"]) == (
        "invalid",
        "malformed",
        "invalid",
    )
    assert letter["headers"] == [{"key": "\\udcff\\udcfe", "value": "dg=="}]
