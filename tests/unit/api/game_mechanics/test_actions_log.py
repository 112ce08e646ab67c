"""The actions log: windows of time, cursors, and how an action is shown."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from api.faces.game_mechanics.actions_log import cursor_of, shown, window_of
from api.faces.game_mechanics.errors import BAD_VALUE, CallError
from api.faces.game_mechanics.parameters import Parameters
from api.queries.ledger import Action, Position

ACTION = Action(
    occurred_at=datetime(2012, 4, 16, 9, 17, 0, 999_999, tzinfo=UTC),
    sequence=7,
    id=UUID(int=5),
    action_id="_siteLogin",
    points=Decimal(10),
    ip="192.0.2.1",
    challenge_group="books",
    operation="grant",
)


def test_an_action_is_shown_as_the_seed_prints_it() -> None:
    assert msgspec.json.encode(shown([ACTION])) == (
        b'[{"time":"2012-04-16 09:17:00Z","actionID":"_siteLogin","points":10,"ip":"192.0.2.1",'
        b'"challengeID":"books","operation":"grant"}]'
    )


@pytest.mark.parametrize("ip", [None, ""])
def test_what_an_action_does_not_have_is_left_out(ip: str | None) -> None:
    assert b"ip" not in msgspec.json.encode(shown([replace(ACTION, ip=ip)]))


def test_points_of_a_redemption_are_negative_and_whole() -> None:
    taken = replace(ACTION, points=Decimal("-1E+12"), operation="redeem")
    assert b'"points":-1000000000000,' in msgspec.json.encode(shown([taken]))


def test_both_ends_of_a_window_belong_to_it() -> None:
    second = int(datetime(2012, 4, 16, 9, 17, tzinfo=UTC).timestamp())
    window = window_of(Parameters({"startTime": str(second), "endTime": str(second)}))
    assert window.since == datetime(2012, 4, 16, 9, 17, tzinfo=UTC)
    next_second = datetime(2012, 4, 16, 9, 17, 1, tzinfo=UTC)
    assert ACTION.occurred_at < window.before.occurred_at == next_second
    assert window.before.sequence < 0  # nothing of that second itself comes before it
    assert window.limit is None


def test_without_times_everything_is_wanted() -> None:
    window = window_of(Parameters({}))
    assert window.since.year == 1
    assert window.before.occurred_at.year == 9999
    assert window_of(Parameters({"endTime": "253402300799"})).before == window.before


def test_a_cursor_names_a_place() -> None:
    for position in (
        ACTION.position,
        Position(datetime(1, 1, 1, tzinfo=UTC), 0, UUID(int=0)),
        Position(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 2**63 - 1, UUID(int=1)),
    ):
        assert window_of(Parameters({"start": cursor_of(position)})).before == position


def test_a_cursor_does_not_leave_the_window() -> None:
    window = window_of(Parameters({"start": cursor_of(ACTION.position), "endTime": "1000000000"}))
    assert window.before.occurred_at == datetime.fromtimestamp(1_000_000_001, UTC)


@pytest.mark.parametrize(
    "values",
    [
        {"startTime": "2", "endTime": "1"},
        {"startTime": "-1"},
        {"startTime": "2012-04-16"},
        {"startTime": "1.5"},
        {"endTime": "253402300800"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "all"},
        {"start": "1"},
        {"start": "1.2.3"},
        {"start": f"{10**18}.1.{'0' * 32}"},
        {"start": f"{10**17 * 9}.1.{'0' * 32}"},
        {"start": f"1.{2**63}.{'0' * 32}"},
        {"start": f"1.1.{'0' * 32}\n"},
    ],
)
def test_a_window_that_is_none(values: dict[str, str]) -> None:
    with pytest.raises(CallError) as caught:
        window_of(Parameters(values))
    assert caught.value.code == BAD_VALUE


@pytest.mark.parametrize(
    ("operation", "points", "shown_as"),
    [
        ("grant", 5, "grant"),
        ("grant", 0, "grant"),
        ("redeem", -5, "redeem"),
        ("spend", -5, "redeem"),
        ("capture", -5, "redeem"),
        ("expire", -5, "redeem"),
        ("adjust", -5, "redeem"),
        ("adjust", 5, "grant"),
    ],
)
def test_an_entry_is_a_grant_or_a_redemption(operation: str, points: int, shown_as: str) -> None:
    [action] = shown([replace(ACTION, operation=operation, points=Decimal(points))])
    assert action.operation == shown_as
