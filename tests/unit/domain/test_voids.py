"""Voids: what a command must say, and how it is answered (`schemas/README.md#voids`)."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from processor.domain.aggregates.void import share
from schemas.amounts import SCALE
from tests.spec import ann, given, refused
from tests.void_spec import void, void_log

ID = "00000000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "id"),
        ({"what": "spend"}, "of"),
        ({"id": ID, "of": {"idempotencyKey": "k"}}, "of"),
        ({"id": "7"}, "id"),
        ({"what": "spend", "id": ID}, "id"),
        ({"of": {"uniqueIdentifier": "log-1"}}, "of.challengeId"),
        ({"of": {"challengeId": "7", "uniqueIdentifier": "log-1"}}, "of.challengeId"),
        ({"what": "event", "of": {"uniqueIdentifier": "log-1"}}, "of.idempotencyKey"),
        ({"what": "activity_log", "of": {"pathwayId": "p"}}, "of.activityId"),
        ({"id": ID, "portion": 0}, "portion"),
        ({"id": ID, "portion": -1}, "portion"),
        ({"id": ID, "portion": Decimal("1.000000001")}, "portion"),
        ({"id": ID, "portion": Decimal("0.0000000001")}, "portion"),
        ({"id": ID, "portion": "1"}, "portion"),
        ({"id": ID, "portion": Raw(b"null")}, "portion"),
        ({"id": ID, "rewards": "all"}, "rewards"),
        ({"id": ID, "what": "milestone"}, "what"),
        ({"id": ID, "what": "void"}, "what"),
        ({"what": "void", "of": {"uniqueIdentifier": "void-1"}}, "what"),
        ({"id": ID, "reason": ""}, "reason"),
        (
            {
                "what": "activity_log",
                "of": {"pathwayId": "p", "activityId": "a", "uniqueIdentifier": "1"},
                "portion": Decimal("0.5"),
            },
            "portion",
        ),
    ],
)  # fmt: skip
def test_a_bad_void_is_refused_with_its_field(fields: dict[str, Any], field: str) -> None:
    given(ann).when(void(**{"what": "challenge_log"} | fields)).then(refused("invalid", field))


def test_a_void_needs_a_reason_and_an_identifier() -> None:
    given(ann).when(void(id=ID, reason=None)).then(refused("invalid", "reason"))
    given(ann).when(void(id=ID, uniqueIdentifier=None)).then(refused("invalid", "uniqueIdentifier"))


def test_a_void_names_a_member_that_is_there() -> None:
    given().when(void_log()).then(refused("unknown_member", "userId"))


@pytest.mark.parametrize(
    ("amount", "portion", "rounded"),
    [
        (10, SCALE // 2, 5),
        (5, SCALE // 2, 3),
        (-5, SCALE // 2, -3),
        (1, SCALE // 2 - 1, 0),
        (7, SCALE, 7),
        (10**30, 1, 10**21),
    ],
)
def test_a_share_is_rounded_half_away_from_zero(amount: int, portion: int, rounded: int) -> None:
    assert share(amount, portion) == rounded
