"""Request and reply: who is answered, where and what (`schemas/README.md#request-and-reply`)."""

import pytest

from schemas.replies import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC, headers_for
from tests.spec import Partition, Sent, ann, challenge, given, log, progress, raw_log, recorded


def asked(record: Sent, topic: str, partition: int, correlation: bytes) -> Sent:
    return record.with_headers(*headers_for(topic, partition, correlation))


def test_an_answer_goes_where_the_headers_say_with_their_correlation_id() -> None:
    happened = given(ann, challenge()).when(asked(log("a", 5), "replies", 3, b"\x00\xff"))
    [answer] = happened.effects.answers
    assert (answer.topic, answer.partition, answer.correlation_id) == ("replies", 3, b"\x00\xff")


def test_the_answer_to_a_log_is_the_record_itself() -> None:
    happened = given(ann, challenge()).when(log("a", 5))
    [(status, body)] = happened.answers
    shown = {k: v for k, v in happened.only.items() if k != "definitionVersion"}
    assert (status, body) == (201, shown)


def test_answers_come_in_the_order_of_the_requests() -> None:
    happened = given(ann, challenge()).when(
        asked(log("a", 5), "replies", 0, b"1"),
        asked(raw_log("{"), "replies", 0, b"2"),
        asked(log("b", 5), "replies", 0, b"3"),
    )
    assert [a.correlation_id for a in happened.effects.answers] == [b"1", b"2", b"3"]
    assert [status for status, _ in happened.answers] == [201, 400, 201]


def test_who_asks_for_no_answer_gets_none() -> None:
    for headers in ((), (("trace", b"1"),), ((CORRELATION_ID, b"1"),)):
        happened = given(ann, challenge()).when(log("a", 5).with_headers(*headers))
        happened.then(recorded(progress(5))).answering()
        assert not happened.counts["replies_refused"]


def test_other_topics_that_the_settings_allow_may_be_named() -> None:
    partition = Partition(reply_partitions={"replies": 4, "partner.answers": 1})
    happened = given(ann, challenge(), partition=partition).when(
        asked(log("a", 5), "partner.answers", 0, b"1")
    )
    assert happened.effects.answers[0].topic == "partner.answers"


@pytest.mark.parametrize(
    ("topic", "partition"),
    [
        ("progress-events", 0),
        ("forwarded", 0),
        ("", 0),
        ("REPLIES", 0),
        ("replies", 4),
        ("replies", 2**31),
    ],
)
def test_any_other_place_is_counted_and_gets_no_answer(topic: str, partition: int) -> None:
    happened = given(ann, challenge()).when(asked(log("a", 5), topic, partition, b"1"))
    happened.then(recorded(progress(5))).answering()
    assert happened.counts["replies_refused"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        ((REPLY_TOPIC, b"replies"), (REPLY_PARTITION, b"\x00\x00\x00\x00")),
        ((REPLY_TOPIC, b"replies"), (REPLY_PARTITION, b"0"), (CORRELATION_ID, b"1")),
        ((REPLY_TOPIC, b"\xff"), (REPLY_PARTITION, b"\x00\x00\x00\x00"), (CORRELATION_ID, b"1")),
        ((REPLY_TOPIC, b"replies"), (CORRELATION_ID, None)),
    ],
)
def test_incomplete_headers_are_counted_and_the_record_takes_effect(
    headers: tuple[tuple[str, bytes | None], ...],
) -> None:
    happened = given(ann, challenge()).when(log("a", 5).with_headers(*headers))
    happened.then(recorded(progress(5))).answering()
    assert happened.counts["replies_refused"] == 1


def test_a_refused_record_with_bad_reply_headers_is_a_dead_letter_all_the_same() -> None:
    happened = given().when(raw_log("{").with_headers((REPLY_TOPIC, b"replies")))
    assert happened.of("refused")
    assert happened.counts["replies_refused"] == 1


def test_without_a_partition_the_answer_goes_to_partition_zero() -> None:
    bare = log("a", 5).with_headers((REPLY_TOPIC, b"replies"), (CORRELATION_ID, b"1"))
    [answer] = given(ann, challenge()).when(bare).effects.answers
    assert answer.partition == 0
