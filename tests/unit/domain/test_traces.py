"""The trace of an answer: every rule that was looked at, in order, and what came of it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from processor.domain import trace as trace_of
from schemas import dry_runs
from schemas.topics import FORWARDED, partition_for
from tests.event_spec import (
    all_of,
    any_of,
    condition,
    event,
    event_of,
    purchase_of,
    streak_milestone,
    streak_of,
)
from tests.points_spec import spend, wallet_of
from tests.spec import (
    ANN,
    ASKING,
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    Defined,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    numbered,
    upsert,
)
from tests.tier_spec import tier_set

HIGHER, HIGHEST, DRAFT = numbered(12), numbered(13), numbered(14)


def trace(record: Sent, *things: Any, partition: Partition | None = None) -> list[dict[str, Any]]:
    """Return the trace of a real record, which is that of the dry run before it."""
    asking = replace(record, headers=(*record.headers, dry_runs.TRACED))
    world = given(*things, partition=partition).partition
    tried, real = (
        msgspec.json.decode(effects.answers[0].value)["body"]
        for effects in (world.try_out(asking), world.fold(asking).effects)
    )
    assert list(tried) == [*real, "dryRun"]
    assert tried["trace"] == real["trace"]
    found: list[dict[str, Any]] = real["trace"]
    return found


def boost_of(id_: str, multiplier: int, **fields: Any) -> Defined:
    """Return a boost on everything since the beginning of the month."""
    known = {"id": id_, "name": id_, "multiplier": multiplier, "startsAt": "2026-11-01T00:00:00Z"}
    return Defined("boost", id_, known | fields)


def without_versions(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps without the versions of their definitions."""
    return [{name: v for name, v in step.items() if name != "version"} for step in steps]


def test_a_log_and_its_milestones() -> None:
    world = (
        ann,
        challenge(),
        milestone(10),
        milestone(50, HIGHER),
        milestone(200, HIGHEST),
        milestone(20, DRAFT, status="draft"),
        log("a", 12),
    )
    assert trace(log("b", 40), *world) == [
        {
            "kind": "challenge",
            "id": CHALLENGE,
            "version": 0,
            "outcome": "counted",
            "before": 12,
            "after": 52,
        },
        {"kind": "milestone", "id": MILESTONE, "version": 1, "outcome": "reached_before"},
        {"kind": "milestone", "id": DRAFT, "version": 4, "outcome": "not_live"},
        {"kind": "milestone", "id": HIGHER, "version": 2, "outcome": "reached"},
        {"kind": "milestone", "id": HIGHEST, "version": 3, "outcome": "not_reached"},
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"status": "draft"}, "log_not_live"),
        ({"activityId": "walk"}, "activity_not_listed"),
        ({"activityAt": "2026-11-01T10:00:00Z"}, "outside_dates"),
    ],
)
def test_why_a_log_is_not_counted(fields: dict[str, Any], why: str) -> None:
    bounded = challenge(activityIds=["purchase"], startsAt="2026-11-10T00:00:00Z")
    assert without_versions(trace(log("a", 5, **fields), ann, bounded, milestone(1))) == [
        {"kind": "challenge", "id": CHALLENGE, "outcome": "not_counted", "why": why}
    ]


def test_a_paused_challenge_comes_before_a_paused_member() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    log_of_ann = log("a", 5, activityId="walk")
    whys = [
        trace(log_of_ann, ann, each, paused)[0]["why"]
        for each in (challenge(status="paused"), challenge(activityIds=["purchase"]))
    ]
    assert whys == ["challenge_not_live", "member_not_live"]


def test_of_a_repeat_only_that_is_said() -> None:
    for record in (log("a", 5), event(idempotencyKey="k"), spend(3)):
        world = (ann, challenge(), event_of(), streak_of(), event(), record)
        assert trace(record, *world) == [{"kind": "duplicate"}]


def test_a_trace_is_no_part_of_the_first_answer() -> None:
    partition = given(ann, challenge(), event_of()).partition
    trace(event(idempotencyKey="k"), partition=partition)
    assert "trace" not in partition.fold(event(idempotencyKey="k")).answers[0][1]


def test_an_event_its_limit_what_it_feeds_and_its_streak() -> None:
    world = (
        ann,
        event_of(limit=2),
        challenge(eventIds=["visit"], aggregationMethod="count", completionTargetValue=2),
        challenge(OTHER_CHALLENGE, eventIds=["visit"], valueField="amount"),
        streak_of(),
        streak_milestone(1),
        streak_milestone(3, id_=HIGHER),
        event(),
    )
    yesterday = event("visit", "2026-11-20T10:00:00Z")
    assert without_versions(trace(yesterday, *world)) == [
        {"kind": "event", "id": "visit", "outcome": "met"},
        {"kind": "limit", "id": "visit", "outcome": "within", "before": 1, "after": 2},
        {"kind": "challenge", "id": CHALLENGE, "outcome": "counted", "before": 0, "after": 1},
        {
            "kind": "challenge",
            "id": OTHER_CHALLENGE,
            "outcome": "not_counted",
            "why": "no_value",
        },
        {"kind": "streak", "id": "daily-visit", "outcome": "advanced", "before": 1, "after": 2},
        {"kind": "milestone", "id": MILESTONE, "outcome": "reached_before"},
        {"kind": "milestone", "id": HIGHER, "outcome": "not_reached"},
    ]


def test_a_full_limit_and_a_known_period() -> None:
    assert without_versions(trace(event(), ann, event_of(limit=1), streak_of(), event())) == [
        {"kind": "event", "id": "visit", "outcome": "met"},
        {"kind": "limit", "id": "visit", "outcome": "reached", "before": 1, "after": 1},
        {"kind": "streak", "id": "daily-visit", "outcome": "known", "before": 1, "after": 1},
    ]


def test_every_comparison_is_told_whichever_decides() -> None:
    conditions = all_of(
        condition("amount", "greater_than", 100),
        any_of(condition("shop.city", "equals", "Bonn"), condition("coupon", "exists")),
        condition("member.city", "equals", "Bonn"),
        condition("member.tier.status", "equals", "gold"),
    )
    metadata = {"amount": 12.5, "shop": {"city": "Bonn"}}
    world = (upsert("ann", city="Bonn"), event_of(conditions=conditions))
    (step,) = trace(event(metadata=metadata), *world)
    assert step["outcome"] == "not_met"
    assert step["conditions"] == [
        {
            "path": "amount",
            "operator": "greater_than",
            "wanted": 100,
            "found": 12.5,
            "holds": False,
        },
        {
            "path": "shop.city",
            "operator": "equals",
            "wanted": "Bonn",
            "found": "Bonn",
            "holds": True,
        },
        {"path": "coupon", "operator": "exists", "found": None, "holds": False},
        {"path": "member.city", "operator": "equals", "wanted": "Bonn", "holds": True},
        {"path": "member.tier.status", "operator": "equals", "wanted": "gold", "holds": False},
    ]


def test_the_maximum_and_the_caps_of_a_wallet() -> None:
    world = (ann, purchase_of(maximumReward=50), wallet_of(maxBalance=30))
    bought = event("purchase", metadata={"amount": 40})
    assert without_versions(trace(bought, *world))[1:] == [
        {
            "kind": "cap",
            "id": "purchase",
            "outcome": "cut",
            "why": "maximumReward",
            "before": 80,
            "after": 50,
        },
        {
            "kind": "cap",
            "id": "_default",
            "outcome": "cut",
            "why": "maxBalance",
            "before": 50,
            "after": 30,
        },
    ]


def test_tiers_and_boosts() -> None:
    world = (
        ann,
        event_of(),
        tier_set(100),
        boost_of("a", 2),
        boost_of("b", 2, conditions=condition("channel", "equals", "app")),
        boost_of("c", 2, stacking="highest"),
        boost_of("d", 3, stacking="highest"),
        boost_of("e", 3, startsAt="2026-12-01T00:00:00Z"),
    )
    steps = [s for s in trace(event(), *world) if s["kind"] in ("tier", "boost")]
    assert [(s["kind"], s["id"], s["outcome"], s.get("why")) for s in steps] == [
        ("tier", "status", "not_applied", "no_tier"),
        ("boost", "a", "applied", None),
        ("boost", "b", "not_applied", "conditions_not_met"),
        ("boost", "c", "not_applied", "not_highest"),
        ("boost", "d", "applied", None),
    ]
    assert [step["version"] for step in steps] == [1, 2, 3, 4, 5]


def test_an_end_user_is_told_neither_conditions_nor_versions_nor_what_is_not_live() -> None:
    world = (
        ann,
        event_of(conditions=condition("channel", "not_equals", "web")),
        challenge(eventIds=["visit"], aggregationMethod="count"),
        challenge(OTHER_CHALLENGE, eventIds=["visit"], status="paused"),
        milestone(1),
        milestone(2, HIGHER, status="draft"),
    )
    own = event(metadata={"channel": "app"}, byEndUser=True)
    assert trace(own, *world) == [
        {"kind": "event", "id": "visit", "outcome": "met"},
        {"kind": "challenge", "id": CHALLENGE, "outcome": "counted", "before": 0, "after": 1},
        {"kind": "milestone", "id": MILESTONE, "outcome": "reached"},
    ]


def test_an_event_of_a_paused_member_moves_nothing() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    world = (ann, event_of(), challenge(eventIds=["visit"]), paused)
    assert [(s["kind"], s["outcome"], s.get("why")) for s in trace(event(), *world)] == [
        ("event", "met", None),
        ("challenge", "not_counted", "member_not_live"),
    ]


def test_an_event_without_a_key_meets_no_other_that_has_none() -> None:
    world = (ann, event_of(), challenge(eventIds=["visit"]))
    kinds = [step["kind"] for step in trace(event(), *world, event())]
    assert kinds == ["event", "challenge"]


def test_a_refusal_has_a_trace_as_well() -> None:
    assert trace(event("nothing"), ann) == []
    assert trace(log("a"), ann, challenge()) == []


def test_a_trace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_of, "MAX_BYTES", 330)
    conditions = any_of(*(condition("a", "equals", "x" * 50) for _ in range(20)))
    world = (ann, event_of(conditions=conditions), challenge(eventIds=["visit"]))
    steps = trace(event(metadata={"a": "x" * 50}), *world, milestone(1), milestone(2, HIGHER))
    assert [step["kind"] for step in steps] == ["event", "challenge", "milestone"]
    assert "conditions" not in steps[0]


def test_a_trace_ends_before_the_first_step_that_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace_of, "MAX_BYTES", 200)
    long = trace_of.Trace()
    for id_ in ("a", "b" * 200, "c"):
        long.add("milestone", id_, 1, "reached")
    assert [step["id"] for step in msgspec.json.decode(long.json())] == ["a"]
    long.repeat()
    assert msgspec.json.decode(long.json()) == [{"kind": "duplicate"}]


def test_what_was_found_is_left_out_where_it_is_long() -> None:
    world = (ann, event_of(conditions=condition("a", "exists")))
    (step,) = trace(event(metadata={"a": "x" * 2000}), *world)
    assert step["conditions"] == [{"path": "a", "operator": "exists", "holds": True}]


def test_a_record_that_was_forwarded_has_its_trace() -> None:
    home = partition_for(ANN, 4)
    away, at_home = Partition((home + 1) % 4, 4), Partition(home, 4)
    asking = log("a", 5).with_headers(*ASKING, dry_runs.TRACED)
    (forward,) = given(challenge(), partition=away).when(asking).forwards
    moved = Sent(FORWARDED, forward.value, forward.key, headers=tuple(forward.headers))
    ((_, body),) = given(ann, challenge(), partition=at_home).when(moved).answers
    assert [step["outcome"] for step in body["trace"]] == ["counted"]
