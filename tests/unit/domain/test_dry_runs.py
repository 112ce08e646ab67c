"""Dry runs: the answer of the real call, and nothing else; what cannot be tried says why.

That a dry run answers as the real call does is checked besides for every single record that the
unit tests fold (``tests/spec.py:Partition.fold``).
"""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from processor.domain.effects import Effects
from schemas import dry_runs, ids, topics
from schemas.topics import MAX_RECORD_BYTES, partition_for
from tests.event_spec import event, event_of
from tests.spec import (
    ANN,
    ASKING,
    Partition,
    Sent,
    ann,
    challenge,
    given,
    log,
    refused,
    upsert,
)

world = (ann, challenge(), event_of())


def answers(effects: Effects) -> list[tuple[int, Any]]:
    """Return the status and body of each answer."""
    replies = [msgspec.json.decode(answer.value) for answer in effects.answers]
    return [(reply["status"], reply["body"]) for reply in replies]


def tried(record: Sent, *things: Any, partition: Partition | None = None) -> tuple[int, Any]:
    """Return the one answer to a dry run of a record, given definitions and records."""
    ((status, body),) = answers(given(*things, partition=partition).partition.try_out(record))
    return status, body


def test_a_created_log_is_answered_with_200() -> None:
    status, body = tried(log("a", 60), *world)
    assert (status, body["dryRun"]) == (200, True)
    assert body["challengeProgress"]["currentProgressValue"] == 60


def test_it_uses_up_no_identifier() -> None:
    partition = given(*world).partition
    for _ in range(2):
        ((status, body),) = answers(partition.try_out(log("a", 60)))
        assert (status, body["challengeProgress"]["currentProgressValue"]) == (200, 60)
    assert partition.fold(log("a", 60)).answers[0][0] == 201


def test_of_a_duplicate_it_has_the_first_answer() -> None:
    status, body = tried(log("a", 7), *world, log("a", 60))
    assert (status, body["code"], body["dryRun"]) == (409, "duplicate", True)
    assert body["record"]["activityValue"] == 60
    assert list(body)[-1] == "dryRun"


def test_an_inline_member_is_answered_and_not_made() -> None:
    partition = given(challenge()).partition
    owned = log("a", 60, ownedBy={"externalId": "ann"})
    ((status, body),) = answers(partition.try_out(owned))
    assert (status, body["ownedById"]) == (200, ANN)
    ((status, body),) = answers(partition.try_out(log("a", 60)))
    assert (status, body["code"]) == (404, "unknown_member")


def test_a_record_of_an_unknown_member_is_never_parked() -> None:
    partition = given(challenge()).partition
    assert tried(log("a", 60), partition=partition)[0] == 404
    assert partition.fold(log("a", 60).with_headers()).counts["parked"] == 1


def test_one_that_asks_nobody_leads_to_nothing() -> None:
    effects = given(*world).partition.try_out(log("a", 60).with_headers())
    assert not effects.answers


def test_on_another_partition_than_its_members_it_is_misplaced() -> None:
    home = partition_for(ANN, 4)
    elsewhere = Partition(number=(home + 1) % 4, partitions=4)
    status, body = tried(log("a", 60), challenge(), partition=elsewhere)
    assert (status, body["code"], body["dryRun"]) == (400, "misplaced", True)


def test_a_record_that_is_too_large_is_refused_as_the_real_one() -> None:
    status, body = tried(log("a", 60, activityId="x" * MAX_RECORD_BYTES), *world)
    assert (status, body["code"], body["dryRun"]) == (413, "too_large", True)


def test_its_own_headers_do_not_count_as_its_size() -> None:
    size = sum(len(name) + len(value or b"") for name, value in ASKING)
    record = log("a", 60)
    assert record.value is not None
    padding = MAX_RECORD_BYTES - size - len(record.value)
    assert tried(replace(record, value=record.value + b" " * padding), *world)[0] == 200
    assert tried(replace(record, value=record.value + b" " * (padding + 1)), *world)[0] == 413


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ((), dry_runs.DRY_RUN),
        (((dry_runs.DRY_RUN, b"false"), (dry_runs.TOPIC, b"events")), dry_runs.DRY_RUN),
        (((dry_runs.DRY_RUN, None), (dry_runs.TOPIC, b"events")), dry_runs.DRY_RUN),
        (((dry_runs.DRY_RUN, b"true"),), dry_runs.TOPIC),
        (((dry_runs.DRY_RUN, b"true"), (dry_runs.TOPIC, None)), dry_runs.TOPIC),
        (((dry_runs.DRY_RUN, b"true"), (dry_runs.TOPIC, b"\xff")), dry_runs.TOPIC),
        (((dry_runs.DRY_RUN, b"true"), (dry_runs.TOPIC, b"activity-logs")), dry_runs.TOPIC),
        (((dry_runs.DRY_RUN, b"true"), (dry_runs.TOPIC, b"ticks")), dry_runs.TOPIC),
        (((dry_runs.DRY_RUN, b"true"), (dry_runs.TOPIC, b"dry-runs")), dry_runs.TOPIC),
    ],
)
def test_a_record_that_does_not_say_what_it_tries_is_invalid(
    headers: tuple[tuple[str, bytes | None], ...], field: str
) -> None:
    record = replace(event(), topic=topics.DRY_RUNS, headers=(*headers, *ASKING), offset=0)
    ((status, body),) = answers(given(*world).partition.dry(record))
    assert (status, body["code"], body["dryRun"]) == (400, "invalid", True)
    assert body["errors"][0]["field"] == field


@pytest.mark.parametrize("record", [log("a", 60), event(), upsert("ben")])
@pytest.mark.parametrize("value", [b"true", b"false", None])
def test_the_header_makes_a_record_of_any_input_invalid(record: Sent, value: bytes | None) -> None:
    marked = record.with_headers((dry_runs.DRY_RUN, value))
    given(*world).when(marked).then(refused("invalid", dry_runs.DRY_RUN))
    forwarding = Partition(number=(partition_for(ANN, 4) + 1) % 4, partitions=4)
    given(challenge(), event_of(), partition=forwarding).when(marked).then(
        refused("invalid", dry_runs.DRY_RUN)
    )


def test_an_event_takes_no_slot_and_gives_no_points() -> None:
    partition = given(ann, event_of(limit=1)).partition
    for _ in range(2):
        status, body = tried(event(idempotencyKey="k"), partition=partition)
        assert (status, body["data"]["points"], body["data"]["limitReached"]) == (200, 5, False)
    assert partition.fold(event(idempotencyKey="k")).answers[0][1]["data"]["points"] == 5


def test_what_cannot_be_folded_is_answered_without_internals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partition = given(*world).partition
    monkeypatch.setattr(ids, "challenge_log_id", _fail)
    effects = partition.try_out(log("a", 60))
    ((status, body),) = answers(effects)
    assert (status, body["code"], body["dryRun"]) == (500, "poison", True)
    assert "secret" not in body["message"]
    assert len(effects.faults) == 1


def _fail(*_: object) -> str:
    raise RuntimeError("secret")


def test_a_reply_topic_that_is_not_allowed_gets_no_answer() -> None:
    elsewhere = log("a", 60).with_headers(("kafka_replyTopic", b"secrets"), *ASKING[1:])
    assert not given(*world).partition.try_out(elsewhere).answers
