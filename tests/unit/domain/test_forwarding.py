"""A record may lie anywhere: it is folded at its member's, once (`schemas/README.md#topics`)."""

from base64 import b64encode
from dataclasses import replace

import msgspec
import pytest

from processor.domain.effects import Forward
from schemas.dead_letter import ORIGIN
from schemas.topics import CHALLENGE_LOGS, FORWARDED, MEMBER_COMMANDS, partition_for
from tests.spec import (
    ANN,
    Defined,
    Happened,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    progress,
    raw_log,
    recorded,
    refused,
    upserted,
)

PARTITIONS = 4
HOME = partition_for(ANN, PARTITIONS)
ELSEWHERE = (HOME + 1) % PARTITIONS
RULES: tuple[Defined, ...] = (challenge(), milestone(50))


def partition(number: int) -> Partition:
    made = Partition(number, PARTITIONS)
    made.define(*RULES)
    return made


def arrived(forward: Forward, at: str = "2026-11-21T18:00:00Z") -> Sent:
    """Return what lies on ``forwarded`` after a worker wrote it there."""
    return Sent(FORWARDED, forward.value, forward.key, headers=tuple(forward.headers)).arriving(at)


def forwarded(record: Sent) -> tuple[Happened, Sent]:
    """Fold a record where it does not belong; return that, and what arrives at its home."""
    there = partition(ELSEWHERE).fold(record)
    [forward] = there.forwards
    return there, arrived(forward)


def test_a_record_on_the_wrong_partition_is_forwarded_and_leads_to_nothing_there() -> None:
    record = replace(log("a", 5), key=b"any key")
    there, _ = forwarded(record)
    there.then_nothing_happened()
    there.answering()
    [forward] = there.forwards
    assert (forward.partition, forward.key, forward.value) == (HOME, ANN.encode(), record.value)
    assert tuple(forward.headers[:-1]) == record.headers
    name, value = forward.headers[-1]
    assert name == ORIGIN
    assert msgspec.json.decode(value or b"") == {
        "topic": CHALLENGE_LOGS,
        "partition": ELSEWHERE,
        "offset": 0,
        "timestamp": record.timestamp,
        "key": b64encode(b"any key").decode(),
    }
    assert there.counts["forwarded"] == 1
    assert there.counts["folded"] == 1


def test_it_is_folded_at_home_as_if_it_had_lain_there() -> None:
    _, record = forwarded(log("a", 60))
    given(ann, partition=partition(HOME)).when(record).then(
        recorded(progress(60), createdAt="2026-11-21T12:00:00Z"),
        *given(ann, *RULES).when(log("a", 60)).facts[1:],
    ).answering((201, {"createdAt": "2026-11-21T12:00:00Z"}))


def test_a_log_and_its_forwarded_twin_count_once() -> None:
    _, twin = forwarded(log("a", 60))
    given(ann, log("a", 60), partition=partition(HOME)).when(twin).then_nothing_happened()


def test_commands_and_inline_members_are_forwarded_too() -> None:
    home = partition(HOME)
    for record in (ann, log("a", 5, ownedBy={"externalId": "ann", "city": "Bonn"})):
        there, at_home = forwarded(record)
        there.then_nothing_happened()
        home.fold(at_home)
    home.fold(log("b", 5)).then(recorded(progress(10)))


def test_the_24_hours_are_counted_from_the_original_timestamp() -> None:
    _, record = forwarded(log("a", 5, activityAt="2026-11-22T13:00:00Z"))
    given(ann, partition=partition(HOME)).when(record.arriving("2026-11-25T00:00:00Z")).then(
        refused("invalid", "activityAt")
    )


def test_a_dead_letter_has_the_original_place_key_and_headers_where_it_was_forwarded() -> None:
    bad = replace(log("a"), key=b"lying key").with_headers(("trace", b"1"))
    _, record = forwarded(bad)
    partition(HOME).fold(record).then(
        refused(
            "invalid",
            "activityValue",
            topic=CHALLENGE_LOGS,
            partition=ELSEWHERE,
            offset=0,
            key="lying key",
            headers=[{"key": "trace", "value": b64encode(b"1").decode()}],
            bytes=bad.value,
            at="2026-11-21T12:00:00Z",
        )
    )


def test_an_unknown_member_is_judged_at_home() -> None:
    there, record = forwarded(log("a", 5))
    there.then_nothing_happened()
    partition(HOME).fold(record).then(refused("unknown_member", "ownedById", partition=ELSEWHERE))


def test_what_cannot_be_read_is_refused_where_it_lies() -> None:
    there = partition(ELSEWHERE).fold(raw_log("{"), log("a", 5, activityAt="noon"))
    there.then(refused("malformed", partition=ELSEWHERE), refused("invalid", partition=ELSEWHERE))
    assert not there.forwards


def test_a_record_that_was_forwarded_to_the_wrong_place_is_misplaced() -> None:
    _, record = forwarded(log("a", 5))
    again = partition((HOME + 2) % PARTITIONS).fold(record)
    again.then(refused("misplaced", topic=CHALLENGE_LOGS, partition=ELSEWHERE))
    again.answering((400, {"code": "misplaced"}))
    assert not again.forwards


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"",
        b"{",
        b'{"topic":"challenge-logs"}',
        b'{"topic":"forwarded","partition":0,"offset":0,"timestamp":0,"key":null}',
        b'{"topic":"replies","partition":0,"offset":0,"timestamp":0,"key":null}',
        b'{"topic":"challenge-logs","partition":0,"offset":0,"timestamp":0,"key":"%%%"}',
        b'{"topic":"challenge-logs","partition":0,"offset":0,"timestamp":0,"key":"\xff"}',
    ],
)
def test_a_record_without_a_readable_origin_is_malformed(origin: bytes | None) -> None:
    bare = Sent(FORWARDED, log("a", 5).value, headers=((ORIGIN, origin),))
    partition(HOME).fold(bare).then(refused("malformed", topic=FORWARDED, partition=HOME))
    partition(HOME).fold(replace(bare, headers=())).then(refused("malformed", topic=FORWARDED))


def test_a_producers_own_origin_header_misleads_nobody() -> None:
    lie = b'{"topic":"challenge-logs","partition":9,"offset":9,"timestamp":0,"key":null}'
    _, record = forwarded(log("a").with_headers((ORIGIN, lie)))
    partition(HOME).fold(record).then(
        refused("invalid", "activityValue", partition=ELSEWHERE, offset=0)
    )
    _, record = forwarded(log("a", 5).with_headers((ORIGIN, b"?")))
    given(ann, partition=partition(HOME)).when(record).then(recorded(progress(5)))


def test_the_key_of_a_record_plays_no_part() -> None:
    lying = replace(log("a", 5), key=b"another member")
    given(ann, partition=partition(HOME)).when(lying).then(recorded(progress(5)))


def test_a_new_member_is_made_at_home_only() -> None:
    inline = log("a", 5, ownedBy={"externalId": "ann"})
    partition(HOME).fold(inline).then(upserted("ann"), recorded(progress(5)))
    partition(ELSEWHERE).fold(inline).then_nothing_happened()


def test_commands_for_a_member_named_by_id_are_forwarded() -> None:
    there = partition(ELSEWHERE).fold(command("delete-member", memberId=ANN.upper()))
    [forward] = there.forwards
    assert (forward.partition, forward.key) == (HOME, ANN.encode())
    origin = msgspec.json.decode(forward.headers[-1][1] or b"")
    assert origin["topic"] == MEMBER_COMMANDS
