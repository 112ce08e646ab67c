"""Records as producers write them, and the headers of requests and answers."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import UNSET, Raw

from schemas import records
from schemas.dead_letter import ATTEMPTS, attempts_of
from schemas.instants import InstantError, format_instant, from_millis, parse_instant
from schemas.records import ChallengeLog, OwnedBy, Owner, RecordError, UpdateRewardLog, UpsertMember
from schemas.replies import MissingReplyTopic, correlation_id_of, headers_for, reply_to
from tests.spec import ANN, CHALLENGE

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_a_log_is_written_without_what_it_does_not_say_and_read_back() -> None:
    log = ChallengeLog(
        challenge_id=CHALLENGE,
        activity_at=AT,
        activity_id="purchase",
        unique_identifier="a",
        owned_by=Owner(external_id="ann", city=None),
        activity_value=Raw(b"12.50"),
    )
    text = records.encode(log)
    assert msgspec.json.decode(text) == {
        "challengeId": CHALLENGE,
        "activityAt": "2026-11-21T10:00:00Z",
        "activityId": "purchase",
        "uniqueIdentifier": "a",
        "ownedBy": {"externalId": "ann", "city": None},
        "activityValue": 12.5,
    }
    back = msgspec.json.decode(text, type=ChallengeLog)
    assert back.owned_by == log.owned_by
    assert bytes(back.activity_value) == b"12.50"


def test_absent_and_null_differ() -> None:
    absent = msgspec.json.decode(b'{"externalId":"ann"}', type=OwnedBy)
    null = msgspec.json.decode(b'{"externalId":"ann","city":null}', type=OwnedBy)
    assert absent.city is UNSET
    assert null.city is None


@pytest.mark.parametrize(
    "command",
    [
        UpsertMember(external_id="ann", groups=["gold"], status="paused", if_version=3),
        records.UpdateMemberStatus(user_id="ann", status="paused"),
        records.DeleteMember(member_id=ANN),
        UpdateRewardLog(user_id="ann", reward_log_id="r", coupon_code=None, reward_issued_at=AT),
    ],
)
def test_a_command_is_read_back_as_it_was_written(command: records.MemberCommand) -> None:
    back = msgspec.json.decode(records.encode(command), type=records.MemberCommand)
    assert back == command


@pytest.mark.parametrize(
    ("raw", "nanos"),
    [(b"", None), (b"null", None), (b" null ", None), (b" 5 ", 5 * 10**9), (b"-0.5", -5 * 10**8)],
)
def test_a_value_is_read_from_its_own_text(raw: bytes, nanos: int | None) -> None:
    assert records.activity_nanos(Raw(raw)) == nanos


@pytest.mark.parametrize("raw", [b'"5"', b"true", b"[]", b"{}", b"\xff", b"1e20"])
def test_a_value_that_is_no_amount_names_its_field(raw: bytes) -> None:
    with pytest.raises(RecordError) as refusal:
        records.activity_nanos(Raw(raw))
    assert refusal.value.field == "activityValue"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T10:30:00Z", "2026-11-21T10:30:00Z"),
        ("2026-11-21T10:30:00.25+02:00", "2026-11-21T08:30:00.250000Z"),
        ("2026-11-21t10:30:00z", "2026-11-21T10:30:00Z"),
    ],
)
def test_a_time_is_shown_in_utc(text: str, instant: str) -> None:
    assert format_instant(parse_instant(text)) == instant


@pytest.mark.parametrize("text", ["2026-11-21T10:30:00", "2026-11-21", "", "now", "1763719200",
                                  "0001-01-01T00:00:00+01:00"])  # fmt: skip
def test_a_time_without_an_offset_is_none(text: str) -> None:
    with pytest.raises(InstantError):
        parse_instant(text)
    with pytest.raises(InstantError):
        format_instant(datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_kafka_timestamp_is_exact_and_within_the_calendar() -> None:
    assert format_instant(from_millis(1795262400001)) == "2026-11-21T12:00:00.001000Z"
    for millis in (10**18, -(10**18), 2**63 - 1):
        with pytest.raises(InstantError):
            from_millis(millis)


def test_reply_headers_are_those_of_spring() -> None:
    headers = headers_for("replies", 258, b"\x00id")
    assert headers == [
        ("kafka_replyTopic", b"replies"),
        ("kafka_replyPartition", b"\x00\x00\x01\x02"),
        ("kafka_correlationId", b"\x00id"),
    ]
    wanted = reply_to(headers)
    assert wanted is not None
    assert (wanted.topic, wanted.partition, wanted.correlation_id) == ("replies", 258, b"\x00id")
    assert correlation_id_of(headers) == b"\x00id"


def test_without_a_reply_topic_no_answer_is_wanted() -> None:
    assert reply_to([("kafka_correlationId", b"1")]) is None
    assert correlation_id_of([]) is None


def test_incomplete_reply_headers_are_told_apart() -> None:
    with pytest.raises(MissingReplyTopic):
        reply_to([("kafka_replyTopic", b"replies")])


@pytest.mark.parametrize(
    ("value", "attempts"),
    [(b"1", 2), (b"41", 42), (b"", 1), (b"-1", 1), (b"x", 1), (b"9" * 50, 1), (None, 1)],
)
def test_attempts_are_counted_from_the_header(value: bytes | None, attempts: int) -> None:
    assert attempts_of([(ATTEMPTS, value)]) == attempts
    assert attempts_of([]) == 1
