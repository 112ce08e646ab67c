"""Definitions are refused whole, each field at fault named (`schemas/README.md#definitions`)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas import definitions
from schemas.definitions import DefinitionError, TierSet, decode_numbers, encode, parse
from tests.spec import numbered

ID = numbered(1)

GOOD: dict[str, dict[str, Any]] = {
    "project": {"id": "acme"},
    "challenge": {"id": ID, "name": "Spend", "completionTargetValue": 100},
    "milestone": {
        "id": ID, "linkedSchemaRecordId": ID, "name": "Half", "milestoneTargetValue": 50,
    },
    "event": {"id": "visit", "title": "Visit", "reward": {"default": 5}},
    "streak": {"id": "run", "eventIds": ["visit"], "targetLength": 7},
    "leaderboard": {"id": "top"},
    "pathway": {
        "id": "EV67-ZCNS-56AD", "name": "Start",
        "activities": [{"id": "a", "name": "A", "type": "video", "fulfilmentType": "view"}],
    },
    "wallet": {"id": "_default", "name": "Points"},
    "tier-set": {
        "id": "status", "name": "Status", "basis": {"type": "earned"},
        "tiers": [{"id": "gold", "name": "Gold", "threshold": 100}],
    },
    "boost": {
        "id": "double", "name": "Double", "multiplier": 2, "startsAt": "2026-11-01T00:00:00Z",
    },
}  # fmt: skip


def tiers(*thresholds: int, **fields: Any) -> list[dict[str, Any]]:
    """Tiers with these thresholds, and fields that all of them have."""
    return [
        {"id": f"t{n}", "name": "T", "threshold": t, **fields} for n, t in enumerate(thresholds)
    ]


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_required_is_enough_and_comes_back_as_it_was(kind: str) -> None:
    definition = parse(kind, GOOD[kind])
    assert parse(kind, decode_numbers(encode(definition))) == definition


def test_the_kinds_are_the_contract_s() -> None:
    assert set(definitions.KINDS) == set(GOOD)


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("challenge", {"id": "spend"}, "id"),
        ("challenge", {"id": None}, "id"),
        ("challenge", {"name": ""}, "name"),
        ("challenge", {"name": "x" * 257}, "name"),
        ("challenge", {"name": "a\x00b"}, "name"),
        ("challenge", {"name": "\ud800"}, "name"),
        ("challenge", {"description": "x" * 1025}, "description"),
        ("challenge", {"status": "done"}, "status"),
        ("challenge", {"aggregationMethod": "avg"}, "aggregationMethod"),
        ("challenge", {"aggregationPeriod": "hourly"}, "aggregationPeriod"),
        ("challenge", {"completionTargetValue": 0}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": -1}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": "100"}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": True}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": float("nan")}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": float("inf")}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": 10**20}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": 1e300}, "completionTargetValue"),
        ("challenge", {"completionTargetValue": Decimal("1e-10")}, "completionTargetValue"),
        ("challenge", {"timezone": "Mars/Olympus"}, "timezone"),
        ("challenge", {"timezone": "/etc/localtime"}, "timezone"),
        ("challenge", {"startsAt": "2026-01-01T00:00:00"}, "startsAt"),
        ("challenge", {"startsAt": datetime(2026, 1, 1)}, "startsAt"),  # noqa: DTZ001
        ("challenge", {"startsAt": 1763719200}, "startsAt"),
        (
            "challenge",
            {"startsAt": "2026-02-01T00:00:00Z", "endsAt": "2026-02-01T01:00:00+01:00"},
            "endsAt",
        ),
        ("challenge", {"activityIds": "purchase"}, "activityIds"),
        ("challenge", {"activityIds": ["a", 7]}, "activityIds.1"),
        ("challenge", {"pointsOnCompletion": 1.5}, "pointsOnCompletion"),
        ("challenge", {"pointsOnCompletion": -1}, "pointsOnCompletion"),
        ("challenge", {"colour": "red"}, "colour"),
        ("milestone", {"linkedSchemaSlug": "event"}, "linkedSchemaSlug"),
        ("milestone", {"linkedSchemaRecordId": "spend"}, "linkedSchemaRecordId"),
        ("milestone", {"linkedSchemaRecordId": "a/b"}, "linkedSchemaRecordId"),
        ("milestone", {"milestoneTargetValue": None}, "milestoneTargetValue"),
        ("project", {"id": "Acme"}, "id"),
        ("project", {"id": "acme\n"}, "id"),
        ("project", {"timezone": "CET/CEST"}, "timezone"),
        ("event", {"reward": {"gold": 5}}, "reward.default"),
        ("event", {"type": "TRANSACTION"}, "rewardValueField"),
        ("event", {"limit": 0}, "limit"),
        ("event", {"limitPeriod": "yearly"}, "limitPeriod"),
        ("event", {"conditions": {"field": "a", "operator": "like"}}, "conditions.operator"),
        ("event", {"conditions": {"field": "a"}}, "conditions"),
        ("event", {"eventId": "other"}, "eventId"),
        ("streak", {"eventIds": []}, "eventIds"),
        ("streak", {"targetLength": 0}, "targetLength"),
        ("pathway", {"activities": [{"id": "a"}]}, "activities.0.name"),
        ("pathway", {"activities": GOOD["pathway"]["activities"] * 2}, "activities"),
        ("tier-set", {"tiers": []}, "tiers"),
        ("tier-set", {"tiers": tiers(100, 50)}, "tiers.1.threshold"),
        ("tier-set", {"tiers": tiers(0, 100, 100)}, "tiers.2.threshold"),
        ("tier-set", {"tiers": tiers(-1)}, "tiers.0.threshold"),
        ("tier-set", {"tiers": tiers(*range(51))}, "tiers"),
        ("tier-set", {"tiers": tiers(0, 1, id="gold")}, "tiers"),
        ("tier-set", {"tiers": tiers(0, multiplier=0)}, "tiers.0.multiplier"),
        ("tier-set", {"tiers": tiers(0, multiplier=1001)}, "tiers.0.multiplier"),
        ("tier-set", {"basis": {"type": "spent"}}, "basis.type"),
        ("tier-set", {"basis": {"type": "progress"}}, "basis.challengeId"),
        ("tier-set", {"basis": {"type": "progress", "challengeId": "spend"}}, "basis.challengeId"),
        (
            "tier-set",
            {"basis": {"type": "progress", "challengeId": ID, "wallet": "a"}},
            "basis.wallet",
        ),
        ("tier-set", {"basis": {"type": "earned", "challengeId": ID}}, "basis.challengeId"),
        (
            "tier-set",
            {"basis": {"type": "progress", "challengeId": ID}, "window": {"type": "lifetime"}},
            "window",
        ),
        ("tier-set", {"basis": {"type": "balance"}, "window": {"type": "calendar_year"}}, "window"),
        ("tier-set", {"window": {"type": "rolling"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P27D"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P1MT1H"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P10Y1D"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P121M"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P3654D"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P522W"}}, "window.length"),
        ("tier-set", {"window": {"type": "rolling", "length": "P119M32D"}}, "window.length"),
        ("tier-set", {"window": {"type": "lifetime", "length": "P1Y"}}, "window.length"),
        ("tier-set", {"downgrade": "two_down"}, "downgrade"),
        ("tier-set", {"grace": "P0D"}, "grace"),
        ("tier-set", {"wallets": ["a/b"]}, "wallets.0"),
        ("boost", {"multiplier": 0}, "multiplier"),
        ("boost", {"multiplier": Decimal("1000.000000001")}, "multiplier"),
        ("boost", {"multiplier": Decimal("1.0000000001")}, "multiplier"),
        ("boost", {"multiplier": "2"}, "multiplier"),
        ("boost", {"startsAt": None}, "startsAt"),
        ("boost", {"startsAt": "2026-11-01T00:00:00"}, "startsAt"),
        ("boost", {"endsAt": "2026-11-01T00:00:00Z"}, "endsAt"),
        ("boost", {"endsAt": "2026-10-31T23:59:59Z"}, "endsAt"),
        ("boost", {"stacking": "most"}, "stacking"),
        ("boost", {"maxBonus": -1}, "maxBonus"),
        ("boost", {"eventIds": ["a/b"]}, "eventIds.0"),
        (
            "boost",
            {"conditions": {"field": "member.email", "operator": "exists"}},
            "conditions.field",
        ),
        ("wallet", {"id": "a/b"}, "id"),
        ("wallet", {"expiry": {}}, "expiry.type"),
        ("wallet", {"expiry": {"type": "never"}}, "expiry.type"),
        ("wallet", {"expiry": {"type": "rolling"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "sliding", "after": None}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P0D"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "PT0S"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "-P1D"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P1DT"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P1.5D"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P101Y"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": "P\u0661D"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "rolling", "after": 12}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "none", "after": "P1D"}}, "expiry.after"),
        ("wallet", {"expiry": {"type": "calendar"}}, "expiry.dates"),
        ("wallet", {"expiry": {"type": "calendar", "dates": []}}, "expiry.dates"),
        ("wallet", {"expiry": {"type": "calendar", "dates": ["02-30"]}}, "expiry.dates.0"),
        ("wallet", {"expiry": {"type": "calendar", "dates": ["12-31", "1-1"]}}, "expiry.dates.1"),
        ("wallet", {"expiry": {"type": "calendar", "dates": ["W52-1"]}}, "expiry.dates.0"),
        ("wallet", {"expiry": {"type": "none", "dates": ["12-31"]}}, "expiry.dates"),
        ("wallet", {"expiry": {"type": "none", "until": "P1D"}}, "expiry.until"),
        ("wallet", {"pendingFor": "P0D"}, "pendingFor"),
        ("wallet", {"pendingFor": "two weeks"}, "pendingFor"),
        ("wallet", {"maxBalance": 0}, "maxBalance"),
        ("wallet", {"maxBalance": -1}, "maxBalance"),
        ("wallet", {"maxBalance": 1.5}, "maxBalance"),
        ("wallet", {"maxBalance": 10**12 + 1}, "maxBalance"),
        ("wallet", {"earnCap": {"points": 0, "period": "daily"}}, "earnCap.points"),
        ("wallet", {"earnCap": {"points": 5}}, "earnCap.period"),
        ("wallet", {"earnCap": {"points": 5, "period": "hourly"}}, "earnCap.period"),
        ("wallet", {"noticeDays": [1, 2, 3, 4, 5, 6]}, "noticeDays"),
        ("wallet", {"noticeDays": [7, 7]}, "noticeDays"),
        ("wallet", {"noticeDays": [0]}, "noticeDays.0"),
        ("wallet", {"timezone": "Mars/Olympus"}, "timezone"),
        ("quest", {}, "kind"),
    ],
)
def test_a_bad_field_is_named(kind: str, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse(kind, GOOD.get(kind, {}) | fields)
    assert field in [name for name, _ in refusal.value.errors]
    assert all(message for _, message in refusal.value.errors)


@pytest.mark.parametrize("length", ["P1M", "P28D", "P10Y", "P120M", "P119M31D", "P3653D", "P521W"])
def test_a_rolling_window_has_one_month_to_ten_years(length: str) -> None:
    window = {"type": "rolling", "length": length}
    parsed = parse("tier-set", GOOD["tier-set"] | {"window": window})
    assert isinstance(parsed, TierSet)


@pytest.mark.parametrize("kind", GOOD)
def test_each_required_field_is_named_where_it_is_missing(kind: str) -> None:
    for missing in GOOD[kind]:
        if missing == "activities":
            continue
        with pytest.raises(DefinitionError) as refusal:
            parse(kind, {k: v for k, v in GOOD[kind].items() if k != missing})
        assert missing in [name for name, _ in refusal.value.errors]


def test_all_fields_at_fault_are_named_at_once() -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse("challenge", {"id": "x", "name": 7, "completionTargetValue": 0})
    assert {f for f, _ in refusal.value.errors} == {"id", "name", "completionTargetValue"}


@pytest.mark.parametrize(
    "unknown",
    [
        {f"k{n}": n for n in range(20_000)},
        {"k" * 250_000: 1},
        {"reward": {"default": 1, "k" * 250_000: "one"}},
        {"conditions": {"type": "AND", "conditions": [{"field": 1}] * 20_000}},
    ],
    ids=["many", "long", "nested", "listed"],
)
def test_a_refusal_is_short_whatever_was_sent(unknown: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse("event", GOOD["event"] | unknown)
    assert len(str(refusal.value)) < 4_000
    assert len(refusal.value.errors) <= 21


def test_a_challenge_has_the_contract_s_defaults() -> None:
    assert definitions.wire_fields(parse("challenge", GOOD["challenge"])) == {
        "id": ID,
        "name": "Spend",
        "description": "",
        "status": "live",
        "aggregationMethod": "sum",
        "aggregationPeriod": "daily",
        "completionTargetValue": 100,
        "timezone": None,
        "startsAt": None,
        "endsAt": None,
        "activityIds": None,
        "eventIds": None,
        "valueField": None,
        "pointsOnCompletion": None,
        "challengeGroup": "_default",
    }


def test_numbers_are_exact_from_json_and_as_written_from_yaml() -> None:
    exact = decode_numbers(b'{"completionTargetValue": 99999999999999999999.999999999}')
    definition = parse("challenge", GOOD["challenge"] | exact)
    assert b'"completionTargetValue":99999999999999999999.999999999' in encode(definition)
    tenth = parse("challenge", GOOD["challenge"] | {"completionTargetValue": 0.1})
    assert b'"completionTargetValue":0.1,' in encode(tenth)


def test_ids_of_challenges_and_milestones_are_kept_in_lower_case() -> None:
    upper = "ABCDEF00-0000-4000-8000-000000000001"
    assert parse("challenge", GOOD["challenge"] | {"id": upper}).id == upper.lower()


def test_events_and_streaks_may_be_named_by_their_own_field() -> None:
    for kind, alias in (("event", "eventId"), ("streak", "streakId")):
        fields = {k: v for k, v in GOOD[kind].items() if k != "id"}
        assert parse(kind, fields | {alias: "mine"}).id == "mine"
        assert parse(kind, fields | {alias: "mine", "id": "mine"}).id == "mine"


def test_times_may_come_from_yaml_as_times() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    definition = parse("challenge", GOOD["challenge"] | {"startsAt": at})
    assert definitions.wire_fields(definition)["startsAt"] == at


def test_conditions_nest_16_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        condition: dict[str, Any] = {"field": "a", "operator": "exists"}
        for _ in range(depth - 1):
            condition = {"type": "AND", "conditions": [condition]}
        return condition

    parse("event", GOOD["event"] | {"conditions": nested(16)})
    for depth in (17, 100_000):
        with pytest.raises(DefinitionError):
            parse("event", GOOD["event"] | {"conditions": nested(depth)})


@pytest.mark.parametrize(
    "key", ["", "a", "a/challenge", "a/challenge/", "A/challenge/x", "a/quest/x"]
)
def test_a_key_is_project_kind_and_id(key: str) -> None:
    with pytest.raises(DefinitionError):
        definitions.split_key(key)
    assert definitions.split_key("a/event/x") == ("a", "event", "x")
