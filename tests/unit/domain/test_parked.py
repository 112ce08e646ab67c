"""A record that comes before its member waits for a minute (`schemas/README.md#dead-letters`)."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from processor.domain.handlers import parking as parked
from processor.domain.handlers.challenge_logs import ChallengeLogs
from processor.domain.state_kinds import parked_key
from processor.domain.working_set import Unreadable
from schemas import ids
from schemas.topics import CHALLENGE_LOGS, FORWARDED, MAX_VALUE_BYTES, partition_for
from tests.event_spec import earned, event, event_of, logged, tick
from tests.pathway_spec import activity as activity_of
from tests.pathway_spec import did, enrolled, pathway
from tests.spec import (
    ANN,
    Given,
    Happened,
    Partition,
    Sent,
    ann,
    ben,
    challenge,
    command,
    given,
    log,
    progress,
    raw_log,
    recorded,
    refused,
    upsert,
    upserted,
)

WORLD = (challenge(), event_of())


def silent(record: Sent) -> Sent:
    """The same record, for whose answer nobody waits."""
    return record.with_headers()


def parked_before(*records: Sent, fast_path: MakeFastPath = in_python) -> Given:
    """Records of Ann's that came before her, and wait."""
    world = given(*WORLD, pathway(activity_of()), partition=Partition(fast_path=fast_path))
    happened = world.when(*map(silent, records))
    happened.then()
    assert happened.counts["parked"] == len(records)
    return happened.and_given()


def nothing_waits(happened: Happened) -> None:
    kinds = {key[:1] for key in happened.partition.entries}
    assert not kinds & {b"h", b"k"}
    assert not [key for key in happened.partition.entries if key[9:10] == b"k"]


@pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
def test_it_is_folded_right_after_its_member_came(fast_path: MakeFastPath) -> None:
    world = parked_before(log("a", 5), log("b", 7), fast_path=fast_path)
    happened = world.when(silent(ann), silent(log("c", 1)))
    happened.then(
        upserted("ann"),
        recorded(progress(5), uniqueIdentifier="a"),
        recorded(progress(12), uniqueIdentifier="b"),
        recorded(progress(13), uniqueIdentifier="c"),
    )
    sequences = [envelope["sequence"].lstrip("0") for envelope in happened.envelopes]
    assert sorted(sequences) == ["2", "2", "2", "3"]  # of the record that made her known
    assert happened.counts["released"] == 2
    nothing_waits(happened)


@pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
def test_a_log_that_brings_its_member_makes_it_known_too(fast_path: MakeFastPath) -> None:
    world = parked_before(log("a", 5), fast_path=fast_path)
    happened = world.when(silent(log("b", 1, ownedBy={"externalId": "ann"})))
    happened.then(upserted("ann"), recorded(progress(1)), recorded(progress(6)))
    nothing_waits(happened)


def test_whatever_needs_a_member_waits_for_it() -> None:
    redeem = command("redeem-points", userId="ann", points=2, uniqueIdentifier="r")
    world = parked_before(event(idempotencyKey="e"), redeem, enrolled, did("1"))
    happened = world.when(silent(ann))
    assert [fact.type for fact in happened.facts] == [
        "points.granted",
        "points.redeemed",
        "event.logged",
        "member.enrolled",
        "activity.completed",
        "member.upserted",
    ]
    nothing_waits(happened)


def test_a_member_that_was_upserted_in_the_same_chunk_lets_nobody_wait() -> None:
    given(*WORLD).when(silent(log("a", 5)), silent(ann)).then(
        upserted("ann"), recorded(progress(5))
    )


def test_who_asked_for_an_answer_does_not_wait() -> None:
    given(*WORLD).when(log("a", 5)).then(refused("unknown_member", "ownedById")).answering(
        (404, {"code": "unknown_member"})
    )


def test_a_deleted_member_is_known_so_nothing_waits_for_it() -> None:
    gone = given(*WORLD, ann, command("delete-member", userId="ann"))
    gone.when(silent(log("a", 5))).then(refused("unknown_member"))


def test_without_its_member_a_tick_gives_it_up_after_a_minute() -> None:
    record = replace(silent(log("a", 5)), key=b"any").with_headers(("trace", b"1"))
    happened = parked_before(log("b", 1)).when(record)
    happened = happened.and_when(tick("2026-11-21T12:00:10Z"))  # the minute begins
    happened.then()
    happened = happened.and_when(tick("2026-11-21T12:01:09Z"))
    happened.then()
    happened = happened.and_when(tick("2026-11-21T12:01:10Z"))
    letters = happened.of("refused")
    assert [letter["offset"] for letter in letters] == [0, 1]
    happened.then(
        refused("unknown_member", "ownedById"),
        refused(
            "unknown_member",
            "ownedById",
            topic=CHALLENGE_LOGS,
            partition=0,
            key="any",
            bytes=record.value,
            project="default",
            at="2026-11-21T12:00:00Z",
        ),
    )
    assert {output.key for output in happened.outputs("dead-letters")} == {ANN.encode()}
    nothing_waits(happened)
    happened.and_when(ann).then(upserted("ann"))


def test_each_record_waits_for_a_minute_of_its_own() -> None:
    world = parked_before(log("a", 5))
    world.when(tick("2026-11-21T12:00:00Z")).then()
    world.when(silent(log("b", 5))).then()
    world.when(tick("2026-11-21T12:00:40Z")).then()
    world.when(tick("2026-11-21T12:01:00Z")).then(refused("unknown_member", offset=0))
    world.when(tick("2026-11-21T12:01:39Z")).then()
    world.when(tick("2026-11-21T12:01:40Z")).then(refused("unknown_member", offset=1))


def test_its_own_timestamp_is_its_time_whenever_it_is_folded() -> None:
    early = silent(event(idempotencyKey="e")).arriving("2026-11-20T10:00:00Z")
    ahead = silent(log("a", 5, activityAt="2026-11-21T11:00:00Z")).arriving("2026-11-20T10:00:00Z")
    world = given(*WORLD)
    world.when(early, ahead).then(refused("invalid", "activityAt"))
    world.when(ann).then(
        upserted("ann"),
        logged(occurredAt="2026-11-20T10:00:00Z", createdAt="2026-11-20T10:00:00Z"),
        earned(5),
    )


def test_an_event_without_a_key_keeps_the_id_of_where_it_landed_first() -> None:
    world = given(*WORLD)
    first = silent(event())
    world.when(first).then()
    happened = world.when(ann)
    [made] = happened.of("event.logged")
    assert made["id"] == ids.placed_event_log_id("default", "events", 0, 0)


def test_what_is_refused_for_another_reason_in_the_end_becomes_a_dead_letter_then() -> None:
    world = parked_before(event(metadata=5))
    world.when(ann).then(upserted("ann"), refused("invalid", "metadata", offset=0))


def test_a_duplicate_that_waited_counts_once() -> None:
    happened = parked_before(log("a", 5), log("a", 5)).when(ann)
    happened.then(upserted("ann"), recorded(progress(5)))
    assert happened.counts["duplicates"] == 1


def test_the_oldest_is_given_up_for_the_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "MOST", 2)
    world = parked_before(log("a", 1), log("b", 2))
    world.when(silent(log("c", 3))).then(refused("unknown_member", offset=0))
    world.when(ann).then(upserted("ann"), recorded(progress(2)), recorded(progress(5)))


def test_so_many_bytes_wait_and_no_more() -> None:
    def large(identifier: str) -> Sent:
        value = log(identifier, 1).value or b""
        return silent(raw_log(value.replace(b"{", b'{"x":"' + b"y" * 1_000_000 + b'",', 1)))

    world = given(*WORLD)
    world.when(*(large(str(n)) for n in range(4))).then()
    world.when(large("4")).then(refused("unknown_member", offset=0))
    happened = world.when(ann)
    assert len(happened.of("challenge_log.recorded")) == 4
    nothing_waits(happened)


def test_what_does_not_fit_into_the_transaction_goes_on_at_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = parked_before(log("a", 1), log("b", 2), log("c", 3))
    monkeypatch.setattr("processor.domain.fold.MAX_OUTPUT_BYTES", 2_000)
    happened = world.when(ann)
    happened.then(upserted("ann"), recorded(progress(1)))
    assert happened.effects.more_due
    rest = happened
    found = []
    while rest.effects.more_due:
        rest = rest.and_when(tick("2026-11-21T12:00:01Z"))
        found += [record["uniqueIdentifier"] for record in rest.of("challenge_log.recorded")]
    assert found == ["b", "c"]
    nothing_waits(rest)


def test_a_record_waits_at_home_wherever_it_lay() -> None:
    elsewhere = silent(log("a", 5))
    there = Partition(1, 4)
    home = partition_for(ANN, 4)
    there.number = (home + 1) % 4
    there.define(*WORLD)
    [forward] = there.fold(elsewhere).forwards
    arrived = Sent(FORWARDED, forward.value, forward.key, headers=tuple(forward.headers))
    at_home = Partition(home, 4)
    at_home.define(*WORLD)
    at_home.fold(arrived).then()
    at_home.fold(ann).then(upserted("ann"), recorded(progress(5)))


def test_others_do_not_move_it() -> None:
    world = parked_before(log("a", 5))
    world.when(ben).then(upserted("ben"))
    assert parked_key(ANN) in world.partition.entries


def test_the_same_is_folded_again_from_the_same_inputs() -> None:
    records = [silent(log("a", 5)), silent(upsert("ben")), silent(ann), tick("2026-11-22")]
    found = []
    for _ in range(2):
        world = given(*WORLD)
        found.append([world.when(record).effects.outputs for record in records])
    assert msgspec.json.encode(found[0]) == msgspec.json.encode(found[1])


def failing(monkeypatch: pytest.MonkeyPatch, identifier: str, error: Exception) -> None:
    """Have the fold of a log raise when all of it was done."""
    step = ChallengeLogs.step

    def raising(logs: Any, item: Any, log: Any, *rest: Any) -> Any:
        answer = step(logs, item, log, *rest)
        if log.unique_identifier == identifier:
            raise type(error)(*error.args)  # the test keeps no traceback
        return answer

    monkeypatch.setattr(ChallengeLogs, "step", raising)


def test_one_that_cannot_be_folded_is_poison_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    world = parked_before(log("a", 5), log("b", 7), log("c", 1))
    failing(monkeypatch, "b", ZeroDivisionError("no rule"))
    happened = world.when(silent(ann))
    happened.then(
        upserted("ann"),
        recorded(progress(5), uniqueIdentifier="a"),
        recorded(progress(6), uniqueIdentifier="c"),
        refused("poison", message="could not be folded: ZeroDivisionError", offset=1),
    )
    assert [str(fault) for fault in happened.effects.faults] == ["no rule"]
    nothing_waits(happened)


def test_one_that_cannot_be_folded_at_a_tick_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = parked_before(log("a", 1), log("b", 2), log("c", 3))
    with monkeypatch.context() as small:
        small.setattr("processor.domain.fold.MAX_OUTPUT_BYTES", 2_000)
        world.when(ann).then(upserted("ann"), recorded(progress(1)))
    failing(monkeypatch, "b", ZeroDivisionError("no rule"))
    happened = world.when(tick("2026-11-21T12:00:01Z"))
    happened.then(recorded(progress(4)), refused("poison", offset=1))
    nothing_waits(happened)


@pytest.mark.parametrize("error", [MemoryError(), Unreadable("the disk")])
def test_what_is_no_record_s_fault_makes_none_poison(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = parked_before(log("a", 5))
    failing(monkeypatch, "a", error)
    with pytest.raises(type(error)):
        world.when(silent(ann))


@pytest.mark.parametrize("headers", [[("\x01" * 900_000, b"")], [("", b"")] * 900_000])
def test_what_its_topic_would_not_take_does_not_wait(headers: list[tuple[str, bytes]]) -> None:
    record = log("a", 5).with_headers(*headers)
    happened = given(*WORLD).when(record)
    happened.then(refused("unknown_member", headers=[]))
    assert all(len(value or b"") < MAX_VALUE_BYTES for value in happened.effects.writes.values())


def test_a_forgetting_does_not_wait_for_who_is_about_to_come() -> None:
    forget = silent(command("forget-member", userId="ann"))
    world = given(*WORLD)
    world.when(forget, silent(ann)).then(refused("unknown_member", "userId"), upserted("ann"))
