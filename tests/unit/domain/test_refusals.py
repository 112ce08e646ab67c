"""Bad input is refused with its reason and its field, and the flow goes on (sections 1 and 2)."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from schemas.records import project_of
from schemas.topics import CHALLENGE_LOGS, MAX_RECORD_BYTES, MEMBER_COMMANDS
from tests.spec import (
    ANN,
    CHALLENGE,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    numbered,
    progress,
    raw_log,
    recorded,
    refused,
    upsert,
    upserted,
)

GOOD = log("a", 5).value or b""
world = (ann, challenge())


def changed(old: str, new: str) -> Sent:
    """Return a good log's bytes with one text replaced."""
    assert old.encode() in GOOD
    return raw_log(GOOD.replace(old.encode(), new.encode()))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"  \n",
        b"{",
        b"not json",
        b"\xff\xfe",
        b"\x00",
        b"\xef\xbb\xbf" * 2 + GOOD,
        GOOD + b"}",
        GOOD.replace(b"purchase", b"\xff"),
        GOOD.replace(b"purchase", b"a\x00b"),
        GOOD.replace(b":5", b":NaN"),
        GOOD.replace(b":5", b":Infinity"),
        GOOD.replace(b":5", b":-"),
        GOOD.replace(b":5", b":05"),
        GOOD.replace(b":5", b":+5"),
        GOOD.replace(b":5", b":.5"),
        GOOD.replace(b":5", b":5."),
        GOOD.replace(b":5", b":0x5"),
        GOOD.replace(b"}", b',"deep":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    ],
)
def test_what_is_no_json_is_malformed(value: bytes | None) -> None:
    refusal = given(*world).when(raw_log(value))
    refusal.then(refused("malformed", bytes=value))
    assert [status for status, _ in refusal.answers] == [400]


@pytest.mark.parametrize("value", [b"[]", b"7", b'"text"', b"null", b"true"])
def test_json_that_is_no_object_is_refused(value: bytes) -> None:
    given(*world).when(raw_log(value)).then(refused("invalid", ""))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"challengeId": 7}, "challengeId"),
        ({"challengeId": "spend"}, "challengeId"),
        ({"challengeId": CHALLENGE.replace("-", "")}, "challengeId"),
        ({"challengeId": ""}, "challengeId"),
        ({"activityAt": 1763719200}, "activityAt"),
        ({"activityAt": "2026-11-21"}, "activityAt"),
        ({"activityAt": "2026-11-21T10:00:00"}, "activityAt"),
        ({"activityAt": "2026-02-30T10:00:00Z"}, "activityAt"),
        ({"activityAt": "2026-11-21T24:00:00Z"}, "activityAt"),
        ({"activityAt": "yesterday"}, "activityAt"),
        ({"activityAt": "0001-01-01T00:00:00+01:00"}, "activityAt"),
        ({"activityAt": "9999-12-31T23:59:59-01:00"}, "activityAt"),
        ({"activityAt": "2026-11-22T12:00:00.001Z"}, "activityAt"),
        ({"activityAt": "9999-12-31T23:59:59Z"}, "activityAt"),
        ({"activityId": 7}, "activityId"),
        ({"activityId": ""}, "activityId"),
        ({"uniqueIdentifier": ["a"]}, "uniqueIdentifier"),
        ({"uniqueIdentifier": ""}, "uniqueIdentifier"),
        ({"uniqueIdentifier": "x" * 513}, "uniqueIdentifier"),
        ({"activityValue": "5"}, "activityValue"),
        ({"activityValue": True}, "activityValue"),
        ({"activityValue": [5]}, "activityValue"),
        ({"activityValue": {"amount": 5}}, "activityValue"),
        ({"status": "done"}, "status"),
        ({"status": 1}, "status"),
        ({"project": "Acme"}, "project"),
        ({"project": "-acme"}, "project"),
        ({"project": "a" * 64}, "project"),
        ({"project": ""}, "project"),
        ({"project": "acme\n"}, "project"),
        ({"project": 7}, "project"),
        ({"ownedById": "ann"}, "ownedById"),
        ({"ownedById": 7}, "ownedById"),
        ({"ownedBy": {"externalId": "ann"}, "ownedById": ANN}, "ownedById"),
        ({"ownedBy": {"firstName": "Ann"}}, "ownedBy.externalId"),
        ({"ownedBy": "ann"}, "ownedBy"),
        ({"ownedBy": {"externalId": "ann", "phoneNumber": "555"}}, "ownedBy.phoneNumber"),
        ({"ownedBy": {"externalId": "ann", "timezone": "Moon"}}, "ownedBy.timezone"),
        ({"ownedBy": {"externalId": "ann", "city": 7}}, "ownedBy.city"),
    ],
)
def test_a_bad_field_is_invalid_and_named(fields: dict[str, Any], field: str) -> None:
    refusal = given(*world).when(log("a", **{"activityValue": 5} | fields))
    refusal.then(refused("invalid", field))
    refusal.answering((400, {"code": "invalid", "errors": [{"field": field}]}))


@pytest.mark.parametrize("name", ["challengeId", "activityAt", "activityId", "uniqueIdentifier"])
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    given(*world).when(changed(f'"{name}"', '"somethingElse"')).then(refused("invalid", name))


def test_a_log_of_nobody_is_invalid() -> None:
    given(*world).when(changed('"ownedById"', '"owner"')).then(refused("invalid", "ownedById"))


@pytest.mark.parametrize(
    "number",
    [
        "100000000000000000000",
        "-100000000000000000000",
        "0.0000000001",
        "1.0000000001",
        "1e20",
        "1e999",
        "-1e-10",
        "1e99999999",
        "123456789012345678901e0",
    ],
)
def test_a_number_with_too_many_digits_is_invalid_where_it_is_summed(number: str) -> None:
    given(*world).when(changed(":5", f":{number}")).then(refused("invalid", "activityValue"))
    given(ann, challenge(aggregationMethod="count")).when(changed(":5", f":{number}")).then(
        recorded(progress(1), activityValue=None)
    )


@pytest.mark.parametrize(
    ("number", "value"),
    [("5e0", 5), ("5E+1", 50), ("500e-1", 50), ("1e2", 100), ("-0", 0), ("0e5", 0), ("5.000", 5)],
)
def test_a_number_may_be_written_with_an_exponent(number: str, value: int) -> None:
    happened = given(ann, challenge(completionTargetValue=1000)).when(changed(":5", f":{number}"))
    happened.then(recorded(progress(value), activityValue=value))


@pytest.mark.parametrize("name", ["challengeId", "activityId", "uniqueIdentifier", "unknown"])
def test_an_escaped_u0000_in_any_text_is_invalid(name: str) -> None:
    nul = r'"a\u0000b"'
    record = GOOD.replace(b'"activityValue":5', f'"activityValue":5,"{name}":{nul}'.encode())
    given(*world).when(raw_log(record)).then(refused("invalid"))


@pytest.mark.parametrize(
    "extra",
    [
        r'"x":["a",{"b":"\u0000"}]',
        r'"\u0000":1',
        r'"x":"\\\u0000"',
        r'"x":"\\u0000","y":"\u0000"',
    ],
)
def test_an_escaped_u0000_is_found_wherever_it_is(extra: str) -> None:
    given(*world).when(changed('"activityValue":5', f'"activityValue":5,{extra}')).then(
        refused("invalid")
    )


@pytest.mark.parametrize("text", [r"a\\u0000b", r"\\\\u0000", r"\\u0000"])
def test_an_escaped_backslash_before_u0000_is_text_like_any_other(text: str) -> None:
    happened = given(*world).when(changed("purchase", text))
    happened.then(recorded(activityId=text.replace("\\\\", "\\")))


@pytest.mark.parametrize(
    "text", [r"\ud800", r"\udc00", r"a\ud83db", r"\ud800\ud800", r"\udc00\ud800"]
)
@pytest.mark.parametrize("name", ["activityId", "uniqueIdentifier", "ownedBy"])
def test_a_lone_surrogate_is_refused(text: str, name: str) -> None:
    owner = f'{{"externalId":"{text}"}}'
    record = f'"{name}":' + (owner if name == "ownedBy" else f'"{text}"')
    lone = changed('"activityValue":5', f'"activityValue":5,{record}')
    (refusal,) = given(*world).when(lone).of("refused")
    assert refusal["reason"] in ("malformed", "invalid")


def test_a_pair_of_surrogates_is_one_character() -> None:
    given(*world).when(changed("purchase", r"\ud83d\ude00")).then(recorded(activityId="\U0001f600"))


def test_a_time_up_to_24_hours_ahead_of_the_record_is_good() -> None:
    given(*world).when(log("a", 5, activityAt="2026-11-22T12:00:00Z")).then(recorded(progress(5)))


def test_a_time_is_measured_against_the_records_own_timestamp() -> None:
    late = log("a", 5, activityAt="2025-01-01T10:00:00Z")
    given(*world).when(late.arriving("2024-12-31T09:59:59Z")).then(refused("invalid", "activityAt"))
    given(*world).when(late.arriving("2024-12-31T10:00:00Z")).then(recorded(progress(5)))


def test_a_challenge_that_nobody_defined_is_unknown() -> None:
    given(*world).when(log("a", 5, challengeId=numbered(99))).then(
        refused("unknown_challenge", "challengeId")
    ).answering((404, {"code": "unknown_challenge", "errors": [{"field": "challengeId"}]}))


def test_a_deleted_challenge_is_unknown_and_known_again_when_it_comes_back() -> None:
    gone = given(*world, log("a", 5), challenge().deleted())
    gone.when(log("b", 5)).then(refused("unknown_challenge", "challengeId"))
    gone.and_given(challenge()).when(log("b", 5)).then(recorded(progress(10)))


def test_a_record_may_have_a_mebibyte_and_no_more() -> None:
    def of(size: int) -> Sent:
        padding = size - len(GOOD) - len(',"x":""')
        return changed('"activityValue":5', f'"activityValue":5,"x":"{"y" * padding}"')

    given(*world).when(of(MAX_RECORD_BYTES - 5).with_headers()).then(recorded(progress(5)))
    refusal = given(*world).when(of(MAX_RECORD_BYTES + 1))
    refusal.then(refused("too_large", bytes=of(MAX_RECORD_BYTES + 1).value))
    refusal.answering((413, {"code": "too_large"}))


def test_key_and_headers_are_part_of_a_records_size() -> None:
    half = b"y" * (MAX_RECORD_BYTES // 2)
    small = log("a", 5)
    for large in (
        Sent(small.topic, small.value, key=half + half),
        small.with_headers(("trace", half), ("trace", half)),
    ):
        given(*world).when(large).then(refused("too_large"))


@pytest.mark.parametrize(
    "record",
    [
        raw_log(b"x" * 3_500_000),
        Sent(CHALLENGE_LOGS, b"x", key=b"\x01" * 2_000_000),
        Sent(CHALLENGE_LOGS, b"x" * 1_000_000, key=b"\xff" * 3_000_000),
        raw_log(b"x" * 2_000_000).with_headers(("trace", b"y" * 2_000_000)),
        raw_log(b"x").with_headers(("\x01" * 1_500_000, b"")),
    ],
)
def test_a_dead_letter_fits_into_its_topic_whatever_was_refused(record: Sent) -> None:
    happened = given(*world).when(record)
    (letter,) = happened.outputs("dead-letters")
    assert len(letter.value) < 4 * 1024 * 1024 - 4096
    assert "stay in the topic" in happened.of("refused")[0]["message"]


@pytest.mark.parametrize("timestamp", [-1, -(10**17), 10**17, 2**62, 253402300799999])
def test_a_timestamp_that_is_none_stops_nothing(timestamp: int) -> None:
    lost = Sent(CHALLENGE_LOGS, GOOD, timestamp=timestamp)
    made = Sent(MEMBER_COMMANDS, upsert("ben").value, timestamp=timestamp)
    broken = Sent(CHALLENGE_LOGS, b"x", timestamp=timestamp)
    given(*world).when(lost, made, broken, log("b", 7)).then(
        refused("invalid"), refused("invalid"), refused("malformed"), recorded(progress(7))
    )


def test_a_poison_record_between_good_ones_stops_nothing() -> None:
    given(*world).when(log("a", 5), raw_log(b"\x00"), log("b", 5)).then(
        recorded(progress(5)), refused("malformed"), recorded(progress(10))
    )


def test_a_dead_letter_carries_what_was_refused() -> None:
    headers = (("trace", b"\x00\xff"), ("empty", None), ("milestream-attempts", b"2"))
    bad = Sent(CHALLENGE_LOGS, b'{"project":"acme"}', key=b"any key").with_headers(*headers)
    refusal = given(*world, log("before", 1)).when(bad)
    [letter] = refusal.of("refused")
    assert letter["headers"] == [
        {"key": "trace", "value": b64encode(b"\x00\xff").decode()},
        {"key": "empty", "value": None},
        {"key": "milestream-attempts", "value": b64encode(b"2").decode()},
    ]
    refusal.then(
        refused(
            "invalid",
            "challengeId",
            project="acme",
            topic=CHALLENGE_LOGS,
            partition=0,
            offset=1,
            key="any key",
            keyEncoding="utf-8",
            bytes=b'{"project":"acme"}',
            attempts=3,
            at="2026-11-21T12:00:00Z",
        )
    )
    assert refusal.outputs("dead-letters")[0].key is None


def test_a_key_that_is_no_text_is_carried_as_base64() -> None:
    given().when(Sent(CHALLENGE_LOGS, None, key=b"\xff")).then(
        refused("malformed", key=b64encode(b"\xff").decode(), keyEncoding="base64", bytes=None)
    )


def test_a_dead_letter_is_keyed_by_its_member_where_that_is_known() -> None:
    refusal = given(challenge()).when(log("a", 5))
    assert refusal.outputs("dead-letters")[0].key == ANN.encode()


def test_a_dead_letter_names_no_project_that_cannot_be_one() -> None:
    given().when(raw_log('{"project":"../x"}')).then(refused("invalid", project=None))


def test_a_record_whose_project_is_null_has_none_and_so_the_default_one() -> None:
    given().when(raw_log('{"project":null}')).then(refused("invalid", project="default"))


@pytest.mark.parametrize(
    ("value", "project"),
    [
        (b"{}", "default"),
        (b'\xef\xbb\xbf{"other":[1,{}]}', "default"),
        (b'{"project":null}', "default"),
        (b'{"project":"acme"}', "acme"),
        (b'{"project":""}', None),
        (b'{"project":"Acme"}', None),
        (b'{"project":7}', None),
        (b'{"project":"acme"', None),
        (b"[" * 10_000, None),
        (b"\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_one_project_is_read_of_a_record_by_all_who_ask(
    value: bytes | None, project: str | None
) -> None:
    assert project_of(value) == project


def test_a_record_without_a_project_is_the_default_projects() -> None:
    given(challenge()).when(log("a", 5)).then(refused("unknown_member", project="default"))


def test_commands_are_checked_like_logs() -> None:
    given().when(
        Sent(MEMBER_COMMANDS, b"{"),
        Sent(MEMBER_COMMANDS, None),
        Sent(MEMBER_COMMANDS, rb'{"type":"upsert-member","externalId":"a\u0000"}'),
        command("upsert-member", externalId="ann", project="A"),
        command("upsert-member"),
        Sent(MEMBER_COMMANDS, b'{"externalId":"ann"}'),
        upsert("ann"),
    ).then(
        refused("malformed"),
        refused("malformed"),
        refused("invalid"),
        refused("invalid", "project"),
        refused("invalid", "externalId"),
        refused("invalid", "type"),
        upserted("ann"),
    )


def test_a_message_quotes_no_more_than_it_must() -> None:
    for text in ("x" * 900_000, " - at `$" * 1000, "missing required field"):
        refusal = given(*world).when(log("a", 5, status=text))
        refusal.then(refused("invalid", "status"))
        assert len(refusal.of("refused")[0]["message"]) < 600


@pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
def test_a_byte_order_mark_before_a_record_is_passed_over(fast_path: MakeFastPath) -> None:
    marked = replace(log("a", 5), value=b"\xef\xbb\xbf" + GOOD).with_headers()
    partition = Partition(fast_path=fast_path)
    given(*world, partition=partition).when(marked).then(recorded(progress(5)))
    broken = raw_log(b"\xef\xbb\xbf{")
    given().when(broken).then(refused("malformed", bytes=broken.value))
