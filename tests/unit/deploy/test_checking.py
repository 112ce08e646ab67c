"""What an import refuses, and where the rest belongs."""

import json

import pytest

from deploy.importing.checking import BadRecord, RecordCheck, with_project
from schemas import ids
from schemas.placement import Home
from schemas.topics import partition_for

NOW = 1_795_000_000_000
"""Some time in November 2026."""

LOG: dict[str, object] = {
    "challengeId": "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01",
    "ownedBy": {"externalId": "joe"},
    "activityAt": "2026-11-17T10:00:00Z",
    "activityId": "run",
    "uniqueIdentifier": "u",
    "activityValue": 1,
}
EVENT: dict[str, object] = {"eventId": "login", "userId": "joe"}
ACTIVITY: dict[str, object] = {
    "pathwayId": "EV67-ZCNS-56AD",
    "activityId": "a",
    "userId": "joe",
    "occurredAt": "2026-11-17T10:00:00Z",
    "uniqueIdentifier": "u",
}
COMMAND: dict[str, object] = {
    "type": "redeem-points",
    "userId": "joe",
    "points": 5,
    "uniqueIdentifier": "u",
}
ADJUSTMENT: dict[str, object] = {
    "type": "adjust-points",
    "points": 5,
    "reason": "opening balance",
    "occurredAt": "2024-03-01T00:00:00Z",
    "expiresAt": "2027-03-01T00:00:00Z",
}
GOOD: dict[str, dict[str, object]] = {
    "challenge-logs": LOG,
    "events": EVENT,
    "activity-logs": ACTIVITY,
    "member-commands": COMMAND,
}


def home_of(topic: str, record: object) -> Home:
    return RecordCheck(topic, 4, NOW).check(json.dumps(record).encode())


@pytest.mark.parametrize("topic", GOOD)
def test_a_record_goes_to_its_members_partition(topic: str) -> None:
    member = ids.member_id("default", "joe")
    home = Home(member.encode(), partition_for(member, 4))
    assert home_of(topic, GOOD[topic]) == home
    other = home_of(topic, GOOD[topic] | {"project": "acme"})
    assert other.key == ids.member_id("acme", "joe").encode()


@pytest.mark.parametrize(
    ("topic", "changes", "message"),
    [
        ("challenge-logs", {"activityAt": "17.11.2026"}, "activityAt: "),
        ("challenge-logs", {"activityAt": "2026-11-17 10:00"}, "activityAt: "),
        ("challenge-logs", {"activityAt": "2026-11-17T10:00:00"}, "activityAt: "),
        ("challenge-logs", {"activityAt": "2027-11-17T10:00:00Z"}, "activityAt: .*24 hours"),
        ("challenge-logs", {"ownedBy": None}, "ownedById: is required"),
        ("challenge-logs", {"ownedBy": {"externalId": "joe", "phoneNumber": "0664"}}, "ownedBy.ph"),
        ("challenge-logs", {"project": "No"}, "project: must match"),
        ("events", {"userId": 7}, "userId: "),
        ("events", {"occurredAt": "2027-11-17T10:00:00Z"}, "occurredAt: .*24 hours"),
        ("events", {"metadata": [1]}, "metadata: must be an object"),
        ("events", {"userId": "a\x00"}, r"U\+0000"),
        ("activity-logs", {"occurredAt": "yesterday"}, "occurredAt: "),
        ("member-commands", {"points": 0}, "points: "),
        ("member-commands", {"type": "fly"}, "type"),
        ("member-commands", ADJUSTMENT | {"points": 0}, "points: must not be 0"),
        ("member-commands", ADJUSTMENT | {"points": -5}, "expiresAt: is for points that are given"),
        ("member-commands", ADJUSTMENT | {"reason": ""}, "reason: "),
        ("member-commands", ADJUSTMENT | {"occurredAt": "2024-03-01"}, "occurredAt: "),
        (
            "member-commands",
            ADJUSTMENT | {"occurredAt": "2027-11-17T10:00:00Z"},
            "occurredAt: .*24 hours",
        ),
    ],
)
def test_what_the_processor_would_refuse_is_refused(
    topic: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(BadRecord, match=message):
        home_of(topic, GOOD[topic] | changes)


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"{", b"7", b'{"eventId":"e"}', b"[" * 999])
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        RecordCheck("events", 4, NOW).check(value)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (b' {"userId":"a"}', b'{"project":"acme","userId":"a"}'),
        (b'{"project":"other","userId":"a"}', b'{"project":"other","userId":"a"}'),
        (b'{"project":null,"userId":"a"} ', b'{"project":null,"userId":"a","project":"acme"}'),
        (b"[]", b"[]"),
        (b"{", b"{"),
    ],
)
def test_a_project_is_written_into_objects_that_name_none(value: bytes, result: bytes) -> None:
    assert with_project(value, "acme") == result


def test_an_opening_balance_is_a_command_like_any_other() -> None:
    assert home_of("member-commands", COMMAND | ADJUSTMENT) == home_of("member-commands", COMMAND)


def test_what_lies_ahead_is_for_the_clock_of_its_project_to_say() -> None:
    value = json.dumps(EVENT | {"occurredAt": "2031-01-01T00:00:00Z"}).encode()
    with pytest.raises(BadRecord, match="occurredAt"):
        RecordCheck("events", 4, NOW, {"lab"}).check(value)
    RecordCheck("events", 4, NOW, {"default"}).check(value)
