"""Bodies: whatever is wrong with one, the answer is a 400 that names where."""

from datetime import datetime
from typing import Any

import pytest
from fastapi import Request
from msgspec import UNSET

from api.faces.events.bodies import EventBody
from api.faces.records.bodies import (
    ChallengeLogBody,
    MemberBody,
    MemberPatch,
    RewardLogPatch,
    check_log,
)
from api.http import bodies
from api.http.problems import Problem
from schemas.ids import member_id

CHALLENGE = "00000000-0000-4000-8000-000000000001"
MEMBER = "00000000-0000-4000-8000-0000000000aa"
GOOD: dict[str, str] = {
    "challengeId": f'"{CHALLENGE}"',
    "ownedById": f'"{MEMBER}"',
    "activityAt": '"2026-11-21T10:00:00+01:00"',
    "activityId": '"walk"',
    "uniqueIdentifier": '"one"',
    "activityValue": "1.50",
}


def text(**fields: str | None) -> bytes:
    """A log's JSON with these fields' JSON in place of the good ones; None leaves one out."""
    kept = {name: value for name, value in (GOOD | fields).items() if value is not None}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in kept.items()) + "}").encode(
        errors="surrogatepass"
    )


def read(raw: bytes) -> ChallengeLogBody:
    """Read a log's body as the records face does."""
    body = bodies.convert(raw, ChallengeLogBody, "acme")
    check_log(body, "acme")
    return body


def test_a_good_log_is_read() -> None:
    body = read(text(project='"acme"', challengeId=f'"{CHALLENGE.upper()}"'))
    assert body.challenge_id == CHALLENGE
    assert bytes(body.activity_value) == b"1.50"
    assert body.activity_at.isoformat() == "2026-11-21T09:00:00+00:00"


def test_the_member_comes_from_what_names_it() -> None:
    body = bodies.convert(text(), ChallengeLogBody, "acme")
    assert check_log(body, "acme") == MEMBER
    inline = text(ownedById=None, ownedBy='{"externalId":"ann"}')
    body = bodies.convert(inline, ChallengeLogBody, "acme")
    assert check_log(body, "acme") == member_id("acme", "ann")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"challengeId": None}, "challengeId"),
        ({"challengeId": '"x"'}, "challengeId"),
        ({"challengeId": "5"}, "challengeId"),
        ({"ownedById": '"x"'}, "ownedById"),
        ({"ownedById": None}, "ownedById"),
        ({"ownedBy": '{"externalId":"ann"}'}, "ownedById"),
        ({"ownedById": None, "ownedBy": "{}"}, "ownedBy.externalId"),
        ({"ownedById": None, "ownedBy": '{"externalId":""}'}, "ownedBy.externalId"),
        ({"ownedById": None, "ownedBy": '{"externalId":"a","age":1}'}, "ownedBy.age"),
        ({"ownedById": None, "ownedBy": '{"externalId":"a","groups":[1]}'}, "ownedBy.groups[0]"),
        (
            {"ownedById": None, "ownedBy": '{"externalId":"a","phoneNumber":"123"}'},
            "ownedBy.phoneNumber",
        ),
        ({"ownedById": None, "ownedBy": '{"externalId":"a","timezone":"x"}'}, "ownedBy.timezone"),
        ({"activityAt": '"2026-11-21T10:00:00"'}, "activityAt"),
        ({"activityAt": '"yesterday"'}, "activityAt"),
        ({"activityAt": "1700000000"}, "activityAt"),
        ({"activityAt": '"0001-01-01T00:00:00+14:00"'}, "activityAt"),
        ({"activityId": '""'}, "activityId"),
        ({"activityId": "null"}, "activityId"),
        ({"activityId": '"a\\u0000b"'}, "activityId"),
        ({"activityId": '"\\ud800"'}, "activityId"),
        ({"uniqueIdentifier": '"' + "x" * 513 + '"'}, "uniqueIdentifier"),
        ({"activityValue": "NaN"}, "activityValue"),
        ({"activityValue": "-Infinity"}, "activityValue"),
        ({"status": '"deleted"'}, "status"),
        ({"project": '"another"'}, "project"),
        ({"colour": '"red"'}, "colour"),
    ],
)
def test_the_field_at_fault_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as raised:
        read(text(**fields))
    assert raised.value.status == 400
    assert [name for name, _ in raised.value.errors] == [field]


@pytest.mark.parametrize("value", ['"n/a"', "true", "1e400", "0.0000000001", "9" * 5000, "[]"])
def test_whether_a_value_is_an_amount_is_for_the_fold_to_say(value: str) -> None:
    """It knows whether the challenge sums; where it counts, the value is ignored."""
    read(text(activityValue=value))


def test_null_counts_as_absent_and_times_are_cut_off() -> None:
    late = '"2026-10-31T23:59:59.9999999Z"'
    assert read(text(status="null", activityAt=late)) == read(
        text(activityAt='"2026-10-31T23:59:59.999999Z"')
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"activityId": "5"}, "activityId: must be a string"),
        ({"status": '"deleted"'}, "status: must be one of the values that it can have"),
        ({"ownedBy": "[]"}, "ownedBy: must be an object or null"),
        ({"ownedBy": '{"externalId":"a","groups":1}'}, "ownedBy.groups: must be a list or null"),
        (
            {"uniqueIdentifier": '"' + "x" * 513 + '"'},
            "uniqueIdentifier: must have at most 512 characters",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words_for_callers(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Problem) as raised:
        read(text(**fields))
    assert raised.value.detail == said


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe{\x00}\x00",
        b'{"a": b}',
        b'"\\ud800"',
        text(activityValue="[" * 100_000),
        text(activityId='"\udc80"'),
    ],
)
def test_what_is_no_json_is_a_400(raw: bytes) -> None:
    with pytest.raises(Problem) as raised:
        read(raw)
    assert raised.value.status == 400


def test_null_counts_as_absent() -> None:
    body = read(text(status="null", activityValue="null", ownedBy="null", project="null"))
    assert body.status == "live"
    inline = read(text(ownedById=None, ownedBy='{"externalId":"a","email":null,"groups":null}'))
    assert inline.owned_by is not None
    assert inline.owned_by.email is UNSET
    assert bodies.convert(b'{"externalId":"a","status":null}', MemberBody, "acme").status is None
    patch = bodies.convert(b'{"status":null,"externalId":null,"city":null}', MemberPatch, "acme")
    assert patch.city is None


@pytest.mark.parametrize("zone", ["Z", "z", "+00:00", "-00:00"])
def test_what_is_finer_than_a_microsecond_is_cut_off(zone: str) -> None:
    body = read(text(activityAt=f'"2026-10-31T23:59:59.9999999{zone}"'))
    assert body.activity_at.isoformat() == "2026-10-31T23:59:59.999999+00:00"
    metadata = b'{"at":"2026-10-31T23:59:59.9999999Z"}'
    raw = b'{"eventId":"e","userId":"u","occurredAt":"2026-10-31T23:59:59.9999999Z","metadata":'
    event = bodies.convert(raw + metadata + b"}", EventBody, "acme")
    assert event.occurred_at is not None
    assert event.occurred_at.microsecond == 999_999
    assert bytes(event.metadata) == metadata
    patch = b'{"rewardExpiryAt":"2026-12-31T23:59:59.999999999Z"}'
    expiry = bodies.convert(patch, RewardLogPatch, "acme").reward_expiry_at
    assert isinstance(expiry, datetime)
    assert expiry.year == 2026


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read(b"\xef\xbb\xbf" + text()).activity_id == "walk"
    assert bodies.object_of(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_what_looks_like_a_place_is_not_taken_for_one() -> None:
    for fields, field in (
        ({"status": '"x - at `$.y`"'}, "status"),
        ({"a - at `$b": "1"}, "a - at `$b"),
    ):
        with pytest.raises(Problem) as raised:
            read(text(**fields))
        assert raised.value.errors[0][0] == field


def test_an_escaped_backslash_hides_no_nul() -> None:
    assert read(text(activityId='"a\\\\u0000"')).activity_id == "a\\u0000"


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert read(text(activityId='"\\ud83d\\ude00"')).activity_id == "\U0001f600"


async def read_nothing(raw: bytes) -> None:
    """Read the body of a call that has no fields."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    await bodies.read_nothing(Request({"type": "http", "headers": []}, receive), "acme")


@pytest.mark.parametrize("raw", [b"", b" \n", b"{}", b"\xef\xbb\xbf{}", b'{"project": "acme"}'])
async def test_a_call_without_fields_needs_no_body(raw: bytes) -> None:
    await read_nothing(raw)


@pytest.mark.parametrize("raw", [b'{"a": 1}', b'{"project": "other"}', b"[]", b"null", b"{"])
async def test_a_call_without_fields_takes_none(raw: bytes) -> None:
    with pytest.raises(Problem) as refused:
        await read_nothing(raw)
    assert refused.value.status == 400
