"""What this face makes of definitions, counts and places."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from api.faces.events.boards import board_of, rank_answer, username
from api.faces.events.definitions import document
from api.faces.events.periods import rolling
from api.faces.events.shapes import EventDefinition, Neighbours, Ranked
from api.faces.events.stats import distributions, global_stats, one_events_stats
from api.http.responses import json_response
from api.queries.event_stats import Day, Share
from api.queries.leaderboards import Board, Rank
from processor.domain.definitions import Definitions
from schemas import definitions as models
from schemas.definition_set import Stored

NOW = datetime(2025, 8, 7, tzinfo=UTC)
SPAN = rolling("7d", 7, date(2025, 8, 7))


def stored(**fields: Any) -> Stored:
    event = models.parse("event", {"eventId": "e", "title": "E", "reward": {"default": 2}} | fields)
    return Stored("acme", "event", "e", event, 0, NOW, NOW)


def test_an_event_is_shown_as_the_seed_prints_it() -> None:
    shown = document(
        stored(
            conditions={
                "type": "AND",
                "conditions": [
                    {"field": "amount", "operator": "greater_than", "value": 0},
                    {"type": "OR", "conditions": [{"field": "x", "operator": "exists"}]},
                ],
            },
            metadataFields=[{"key": "amount", "type": "number", "required": True}],
            limit=10,
            maximumReward=1000,
            requiresApiKey=True,
        )
    )
    assert bytes(json_response(shown).body) == (
        b'{"eventId":"e","title":"E","description":"","status":"ACTIVE","limit":10,'
        b'"maximumReward":1000,"reward":{"default":2},"conditions":{"type":"AND","conditions":['
        b'{"field":"amount","operator":"greater_than","value":0},'
        b'{"type":"OR","conditions":[{"field":"x","operator":"exists"}]}]},'
        b'"metadataFields":[{"key":"amount","type":"number","required":true}],"type":"FIXED"}'
    )


def test_what_an_event_does_not_have_is_null_or_empty() -> None:
    shown = document(stored())
    assert (shown["limit"], shown["maximumReward"], shown["conditions"]) == (None, None, None)
    assert shown["metadataFields"] == []


def test_the_described_fields_are_the_shown_ones() -> None:
    described = [f.encode_name for f in msgspec.structs.fields(EventDefinition)]
    assert described == list(document(stored()))


def day(number: int, events: int, users: int) -> Day:
    return Day(date(2025, 8, number), events, Decimal(10 * events), events - 1, 1, 0, users)


def test_hours_are_spread_over_24_counts() -> None:
    hours = [(date(2025, 8, 1), 0, 2), (date(2025, 8, 1), 23, 3), (date(2025, 8, 2), 9, 1)]
    counts = distributions(hours)
    assert counts[date(2025, 8, 1)] == [2, *[0] * 22, 3]
    assert len(counts[date(2025, 8, 2)]) == 24


def test_all_events_of_some_days() -> None:
    shares = [Share("buy", 6, Decimal(60)), Share("login", 2, Decimal(20))]
    users = {"": 4, "buy": 3}
    hours = [(date(2025, 8, 1), 7, 5), (date(2025, 8, 3), 8, 3)]
    shown = global_stats([day(1, 5, 2), day(3, 3, 3)], shares, users, hours)
    assert (shown.total_events, shown.unique_users, shown.total_points) == (8, 4, 80)
    assert shown.event_breakdown["buy"].users == 3
    assert shown.event_breakdown["login"].users == 0
    assert shown.top_events == ["buy", "login"]
    assert list(shown.daily_data) == ["2025-08-01", "2025-08-03"]
    assert shown.daily_data["2025-08-01"].hourly_distribution[7] == 5
    assert shown.metadata.unique_users_calculation_method == "daily_exact"


def test_a_month_has_no_hours() -> None:
    shown = global_stats([day(1, 5, 2)], [], {"": 2}, None)
    assert shown.daily_data["2025-08-01"].hourly_distribution == []
    assert shown.metadata.unique_users_calculation_method == "monthly_exact"
    assert msgspec.to_builtins(shown)["_metadata"]["uniqueUsersNote"] is None


def test_one_event_and_one_that_never_happened() -> None:
    shown = one_events_stats([day(1, 5, 2), day(2, 1, 1)], 3, [])
    assert (shown.total_count, shown.points_awarded, shown.unique_users) == (6, 60, 3)
    assert (shown.condition_met, shown.condition_failed, shown.limit_reached) == (4, 2, 0)
    never = one_events_stats([], 0, [])
    assert msgspec.to_builtins(never) == {
        "totalCount": 0,
        "uniqueUsers": 0,
        "pointsAwarded": 0,
        "conditionMet": 0,
        "conditionFailed": 0,
        "limitReached": 0,
        "dailyData": {},
    }


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("Ann", "Berg", "Ann B."), ("Ann", None, "Ann"), (None, "Berg", "B."),
        (None, None, "ann@example.org"), ("", "", "ann@example.org"),
    ],
)  # fmt: skip
def test_a_board_shows_no_whole_names(first: str | None, last: str | None, shown: str) -> None:
    place = Rank(UUID(int=1), "ann@example.org", first, last, Decimal(5), 1, 1)
    assert username(place) == shown


def _ranked(user: str) -> Ranked:
    return Ranked(user_id=user, username="B", points=2, rank=1)


def test_a_rank_shows_the_neighbours_of_30_days_first() -> None:
    def neighbours(name: str) -> Neighbours:
        return Neighbours(users_before=[_ranked(f"b{name}")], users_after=[])

    names = ("7d", "30d", "365d")
    shown = {
        **{f"points_{name}": 1 for name in names},
        **{f"rank_{name}": 2 for name in names},
        **{f"neighbours_{name}": neighbours(name) for name in names},
    }
    told = msgspec.to_builtins(rank_answer("ann", None, shown))
    assert [user["userId"] for user in told["usersBefore"]] == ["b30d"]
    assert told["usersAfter"] == []
    assert told["neighbours7d"]["usersBefore"][0]["userId"] == "b7d"


def test_a_board_is_all_points_a_definition_or_a_group() -> None:
    definitions = Definitions()
    definitions.apply(b"acme/leaderboard/top", b'{"id":"top","eventIds":["buy"]}', 0, 0)
    everything = board_of(definitions, "acme", None, SPAN)
    assert (everything.event_ids, everything.groups) == (None, None)
    defined = board_of(definitions, "acme", "top", SPAN)
    assert (defined.event_ids, defined.groups) == (["buy"], None)
    group = board_of(definitions, "other", "top", SPAN)
    assert (group.event_ids, group.groups) == (None, ["top"])


def test_a_board_is_kept_where_all_points_of_a_month_or_of_some_last_days_count() -> None:
    def kept(first: date, last: date, **fewer: list[str]) -> str | None:
        return Board("acme", first, last, **fewer).kept_as

    day = date(2026, 11, 26)
    assert [kept(day - timedelta(days=n - 1), day) for n in (1, 7, 30, 365)] == [
        None, "7d", "30d", "365d",
    ]  # fmt: skip
    assert kept(date(2026, 2, 1), date(2026, 2, 28)) == "2026-02"
    assert kept(date(2026, 11, 1), date(2026, 11, 30)) == "2026-11"
    assert kept(date(2026, 11, 1), date(2026, 11, 29)) is None
    assert kept(date(2026, 2, 1), date(2026, 2, 28), event_ids=["buy"]) is None
    assert kept(date(2026, 2, 1), date(2026, 2, 28), groups=[]) is None
