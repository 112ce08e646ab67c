"""Tiers: by what members earn, have and come to, in windows of time, and by hand (section 13)."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from processor.domain.aggregates import tier as tier_rules
from processor.domain.aggregates.tier import KEPT, Earning
from processor.domain.state_kinds import UNEARNED, due_entry
from schemas.definition_set import Stored
from schemas.instants import format_instant, parse_instant
from tests.event_spec import condition, event, event_of, purchase_of, redeem, tick
from tests.points_spec import adjust, capture, hold, release, spend, wallet_of
from tests.spec import (
    CHALLENGE,
    Given,
    Happened,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    progress,
    project_settings,
    recorded,
    refused,
    upsert,
)
from tests.tier_spec import (
    STATUS,
    YEAR,
    assign,
    changed,
    earn,
    moves,
    rolling,
    tier_set,
    tiers_of,
)
from tests.void_spec import void_event, void_of

BUY = purchase_of(reward={"default": 1}).but(id="buy")


def world(*definitions: Any) -> Given:
    """Ann, who can buy for points, and what else is defined."""
    buy = event_of("buy", type="TRANSACTION", reward={"default": 1}, rewardValueField="amount")
    return given(ann, buy, *definitions)


# By what was ever earned.


def test_a_tier_is_reached_with_its_threshold_and_the_first_change_is_from_null() -> None:
    start = world(tier_set(0, 100, 500))
    first = start.when(earn(99, "2026-11-20"))
    assert moves(first) == [(None, "t0", "earned")]
    second = first.and_when(earn(1, "2026-11-21"))
    (change,) = second.of("tier.changed")
    assert (change["from"], change["to"], change["since"]) == ("t0", "t1", "2026-11-21T12:00:00Z")
    assert (change["value"], change["version"], change["assigned"]) == (100, 2, False)
    assert "until" not in change
    assert moves(second.and_when(earn(1, "2026-11-22"))) == []


def test_a_set_without_a_tier_that_needs_nothing_has_none_until_it_is_reached() -> None:
    start = world(tier_set(100))
    assert moves(start.when(earn(99, "2026-11-20"))) == []
    assert moves(start.when(earn(1, "2026-11-20"))) == [(None, "t0", "earned")]


def test_one_record_may_cross_several_and_is_told_once() -> None:
    assert moves(world(tier_set(0, 100, 500)).when(earn(500, "2026-11-20"))) == [
        (None, "t2", "earned")
    ]


def test_completions_and_milestones_are_earned_and_adjustments_and_redemptions_are_not() -> None:
    start = world(tier_set(0, 10), challenge(pointsOnCompletion=6), milestone(50, points=4))
    given_points = start.when(adjust(1000, "a"), redeem(5, "r"), log("a", 100))
    assert moves(given_points) == [(None, "t1", "earned")]
    assert given_points.of("tier.changed")[0]["value"] == 10


def test_what_was_ever_earned_is_not_lost_by_spending() -> None:
    start = world(tier_set(0, 100))
    start.when(earn(100, "2026-11-20"))
    assert moves(start.when(spend(100, "s"))) == []


def test_points_of_another_wallet_judge_nobody_but_show_a_changed_set() -> None:
    spring = {"type": "earned", "wallet": "spring"}
    bonus = event_of("bonus", challengeGroup="spring", reward={"default": 100})
    start = world(bonus, tier_set(0, 100, basis=spring, downgrade="to_basis"))
    assert moves(start.when(earn(100, "2026-11-20"))) == []
    assert moves(start.when(event("bonus"))) == [(None, "t1", "earned")]
    start.partition.define(tier_set(0, 101, basis=spring, downgrade="to_basis"))
    assert moves(start.when(earn(100, "2026-11-22"))) == [("t1", "t0", "definition")]


def test_a_set_for_life_counts_what_was_earned_before_it_was_defined() -> None:
    wallet = wallet_of("spring", expiry={"type": "rolling", "after": "P10D"}, pendingFor="P2D")
    bonus = event_of("bonus", challengeGroup="spring", reward={"default": 30})
    start = world(wallet, bonus)
    start.when(earn(50, "2026-10-01"), redeem(20, "r"), event("bonus", "2026-10-01T12:00:00Z"))
    start.when(tick("2026-10-20"))  # it counted from the third on, and lapsed
    start.when(adjust(1000, "a"), adjust(-5, "b"), spend(1, "s"), hold(4), capture(points=3))
    start.when(event("bonus", "2026-11-20T12:00:00Z"))  # which waits
    spring = {"type": "earned", "wallet": "spring"}
    start.partition.define(tier_set(0, 111), tier_set(0, 60, id_="spring", basis=spring))
    happened = start.when(earn(1, "2026-11-21"))
    assert moves(happened) == [(None, "t1", "earned")]
    assert happened.of("tier.changed")[0]["value"] == 111
    assert moves(start.when(event("bonus", "2026-11-21T12:00:00Z"))) == [(None, "t1", "earned")]


def test_what_is_voided_was_not_earned_before_a_set_either() -> None:
    keyed = [
        event("buy", "2026-10-01T12:00:00Z", metadata={"amount": n}, idempotencyKey=f"k{n}")
        for n in (50, 30)
    ]
    start = world().and_given(*keyed, spend(70, "s"))
    start.when(void_event("k50", "a"), void_of("spend", "s", "b", portion=Decimal("0.5")))
    start.partition.define(tier_set(0, 31, 32))
    assert moves(start.when(earn(1, "2026-11-21"))) == [(None, "t1", "earned")]
    assert start.when(earn(1, "2026-11-21")).of("points.granted")[0]["balance"] == 37


def test_a_set_for_life_that_changes_counts_what_it_names_now() -> None:
    bonus = event_of("bonus", challengeGroup="spring", reward={"default": 40})
    start = world(bonus, tier_set(0, 100, basis={"type": "earned", "wallet": "spring"}))
    start.when(event("bonus"), earn(60, "2026-11-20"), spend(60, "s"))
    start.partition.define(tier_set(0, 100))
    assert moves(start.when(earn(1, "2026-11-21"))) == [("t0", "t1", "definition")]


def test_a_window_counts_from_the_definition_of_its_set_on() -> None:
    start = world().and_given(earn(100, "2026-11-01"))
    start.partition.define(tier_set(0, 100, window=YEAR))
    assert moves(start.when(earn(1, "2026-11-21"))) == [(None, "t0", "earned")]


def test_whoever_only_earns_has_no_entry_for_what_is_not_earned() -> None:
    start = world().and_given(earn(100, "2026-11-20"), redeem(5, "none", challengeGroup="other"))
    assert not [key for key in start.partition.entries if key[:1] == UNEARNED.prefix]


# By the balance.


def test_a_balance_rises_and_falls_with_what_is_there() -> None:
    start = world(tier_set(0, 100, basis={"type": "balance"}, downgrade="to_basis"))
    happened = [
        start.when(earn(100, "2026-11-20")),
        start.when(spend(1, "s")),
        start.when(adjust(1, "a")),
        start.when(redeem(50, "r")),
    ]
    assert moves(*happened) == [
        (None, "t1", "earned"),
        ("t1", "t0", "earned"),
        ("t0", "t1", "earned"),
        ("t1", "t0", "earned"),
    ]


def test_a_balance_never_falls_by_default() -> None:
    start = world(tier_set(0, 100, basis={"type": "balance"}))
    start.when(earn(100, "2026-11-20"))
    assert moves(start.when(spend(100, "s"))) == []


def test_what_leaves_the_balance_as_it_is_judges_nobody() -> None:
    basis = {"type": "balance", "wallet": "spring"}
    start = world(tier_set(0, 100, basis=basis), tier_set(0, id_="all", basis={"type": "balance"}))
    start.when(earn(50, "2026-11-20"))
    happened = start.when(earn(100, "2026-11-20"), hold(7), release(), redeem(1, "r"))
    assert [each["tierSetId"] for each in happened.of("tier.changed")] == []
    other = world(tier_set(0, id_="all", basis={"type": "balance"}))
    assert moves(other.when(hold(1), redeem(1, "r"))) == []


def test_a_grace_that_ended_is_told_by_the_balance_of_then() -> None:
    basis = {"type": "balance"}
    start = world(tier_set(0, 100, basis=basis, downgrade="to_basis", grace="P1D"))
    start.when(earn(100, "2026-11-01"), spend(100, "s").arriving("2026-11-02T12:00:00Z"))
    late = start.when(adjust(100, "a").arriving("2026-11-05T12:00:00Z"))
    assert moves(late) == [("t1", "t0", "window"), ("t0", "t1", "earned")]
    assert late.of("tier.changed")[0]["since"] == "2026-11-03T12:00:00Z"


# By a challenge's progress.


def test_progress_is_that_of_the_present_period() -> None:
    basis = {"type": "progress", "challengeId": CHALLENGE}
    start = world(challenge(), tier_set(0, 10, basis=basis))
    first = start.when(log("a", 12, activityAt="2026-11-21T10:00:00Z"))
    assert moves(first) == [(None, "t1", "earned")]
    late = start.when(log("b", 50, activityAt="2026-11-20T10:00:00Z"))
    assert moves(late) == []
    fallen = start.when(log("c", -5, activityAt="2026-11-21T11:00:00Z"))
    assert moves(fallen) == [("t1", "t0", "earned")]
    start.when(log("d", 5, activityAt="2026-11-21T11:00:00Z"))
    over = start.when(tick("2026-11-22T00:00:30Z"))
    assert moves(over) == [("t1", "t0", "window")]
    (change,) = over.of("tier.changed")
    assert (change["since"], change["value"]) == ("2026-11-22T00:00:00Z", 0)


def test_the_fast_path_leaves_logs_by_which_tiers_go_to_python() -> None:
    basis = {"type": "progress", "challengeId": CHALLENGE}
    start = world(challenge(), tier_set(0, 10, basis=basis))
    happened = start.when(log("a", 12).with_headers())
    happened.then(recorded(progress(12)), changed(None, "t1"))


# Windows.


def test_a_calendar_year_ends_at_its_end_in_the_project_s_zone() -> None:
    start = world(project_settings(timezone="Europe/Berlin"), tier_set(0, 100, window=YEAR))
    start.when(earn(100, "2026-06-01"))
    assert moves(start.when(tick("2026-12-31T22:59:59Z"))) == []
    over = start.when(tick("2026-12-31T23:00:00Z"))
    assert moves(over) == [("t1", "t0", "window")]
    assert over.of("tier.changed")[0]["since"] == "2026-12-31T23:00:00Z"
    assert over.envelopes[0]["time"] == "2026-12-31T23:00:00Z"


def test_what_was_earned_in_another_year_counts_there() -> None:
    start = world(tier_set(0, 100, window=YEAR))
    assert moves(start.when(earn(100, "2025-12-31", "2026-01-01"))) == [(None, "t0", "earned")]
    ahead = start.when(earn(100, "2027-01-01T05:00:00Z", "2026-12-31T12:00:00Z"))
    assert moves(ahead) == []
    assert moves(start.when(tick("2027-01-01"))) == [("t0", "t1", "window")]


def test_a_day_leaves_a_rolling_window_whole() -> None:
    start = world(tier_set(0, 100, window=rolling("P1M")))
    start.when(earn(60, "2026-10-21T23:59:00Z"), earn(60, "2026-10-25"))
    assert moves(start.when(tick("2026-11-20T23:59:59Z"))) == []
    over = start.when(tick("2026-11-21T00:00:10Z"))
    assert moves(over) == [("t1", "t0", "window")]
    assert over.of("tier.changed")[0]["since"] == "2026-11-21T00:00:00Z"
    assert over.of("tier.changed")[0]["value"] == 60


@pytest.mark.parametrize(
    ("at", "gone"),
    [
        ("2026-09-24T21:59:59Z", "2026-10-23T22:00:00Z"),
        ("2026-09-24T22:00:00Z", "2026-10-24T22:00:00Z"),  # a day of 25 hours begins
        ("2026-09-25T22:00:00Z", "2026-10-25T23:00:00Z"),  # and ends
        ("2027-02-27T23:00:00Z", "2027-03-27T23:00:00Z"),  # a day of 23 hours begins
        ("2027-02-28T23:00:00Z", "2027-03-31T22:00:00Z"),
    ],
)
def test_a_window_s_days_are_those_on_the_wall_when_clocks_change(at: str, gone: str) -> None:
    length = "P1M" if gone != "2027-03-31T22:00:00Z" else "P31D"
    berlin = project_settings(timezone="Europe/Berlin")
    start = world(berlin, tier_set(0, 100, window=rolling(length)))
    start.when(earn(100, at))
    before = format_instant(parse_instant(gone) - timedelta(milliseconds=1))
    assert moves(start.when(tick(before))) == []
    assert moves(start.when(tick(gone))) == [("t1", "t0", "window")]


def test_a_late_event_counts_as_long_as_its_day_is_in_the_window() -> None:
    start = world(tier_set(0, 100, window=rolling("P1M")))
    assert moves(start.when(earn(100, "2026-10-21", "2026-11-21"))) == [(None, "t0", "earned")]
    assert moves(start.when(earn(100, "2026-10-22", "2026-11-21"))) == [("t0", "t1", "earned")]
    assert moves(start.when(tick("2026-11-22T00:00:00Z"))) == [("t1", "t0", "window")]


def test_what_time_did_is_told_first_however_late_somebody_looks() -> None:
    start = world(tier_set(0, 100, window=YEAR))
    start.when(earn(100, "2026-06-01"))
    happened = start.when(earn(100, "2027-02-01"))
    assert moves(happened) == [("t1", "t0", "window"), ("t0", "t1", "earned")]
    assert [each["since"] for each in happened.of("tier.changed")] == [
        "2027-01-01T00:00:00Z", "2027-02-01T12:00:00Z",
    ]  # fmt: skip
    assert start.when(tick("2027-02-02")).facts == []


def test_a_tick_waits_for_the_next_day_that_leaves_alone() -> None:
    start = world(tier_set(0, 100, window=rolling("P1M")))
    start.when(earn(1, "2026-10-21"), earn(1, "2026-10-25"))
    dues = [key for key in start.partition.entries if key.startswith(b"t")]
    assert len(dues) == 1
    start.when(tick("2026-11-21"))
    start.when(tick("2026-11-25"))
    assert not [key for key in start.partition.entries if key.startswith(b"t")]


# Falling.


def test_grace_begins_when_the_basis_falls_and_recovery_ends_it() -> None:
    start = world(tier_set(0, 100, window=YEAR, grace="P1M"))
    start.when(earn(100, "2026-06-01"))
    assert moves(start.when(tick("2027-01-15"))) == []
    assert moves(start.when(earn(100, "2027-01-20"))) == []
    assert moves(start.when(tick("2027-02-02"))) == []
    assert moves(start.when(tick("2028-01-31T23:59:59Z"))) == []
    over = start.when(tick("2028-02-01T00:00:00Z"))
    assert moves(over) == [("t1", "t0", "window")]


def test_one_down_is_one_tier_a_window() -> None:
    start = world(tier_set(0, 100, 200, window=YEAR, downgrade="one_down"))
    start.when(earn(250, "2026-06-01"))
    assert moves(start.when(tick("2027-01-01"))) == [("t2", "t1", "window")]
    assert moves(start.when(earn(10, "2027-05-01"))) == []
    assert moves(start.when(tick("2028-01-01"))) == [("t1", "t0", "window")]


def test_of_many_days_few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    leaves = tier_rules._leaves

    def counted(tier_set: Any, day: int) -> int:
        looked.append(day)
        return leaves(tier_set, day)

    monkeypatch.setattr(tier_rules, "_leaves", counted)
    start = world(tier_set(0, 10_000, window=rolling("P3Y")))
    days = [(date(2024, 1, 1) + timedelta(days=n)).isoformat() for n in range(300)]
    start.when(*(earn(1, day, "2026-11-20") for day in days))
    looked.clear()
    start.when(earn(1, "2026-11-21"))
    assert len(looked) < 200


def test_one_down_goes_on_with_each_year_in_which_nothing_is_earned() -> None:
    start = world(tier_set(0, 100, 200, window=YEAR, downgrade="one_down"))
    start.when(earn(250, "2026-06-01"))
    assert moves(start.when(tick("2027-01-01"))) == [("t2", "t1", "window")]
    assert moves(start.when(tick("2027-12-31"))) == []
    assert moves(start.when(tick("2028-01-01"))) == [("t1", "t0", "window")]
    assert moves(start.when(tick("2029-01-01"))) == []
    assert not start.when(tick("2030-01-01")).counts["dues"]


def test_one_down_goes_on_with_each_day_of_a_rolling_window_that_is_empty() -> None:
    start = world(tier_set(0, 100, 200, 300, window=rolling("P1M"), downgrade="one_down"))
    start.when(earn(300, "2026-10-20"), earn(5, "2026-11-15"))
    assert moves(start.when(tick("2026-11-20"))) == [("t3", "t2", "window")]
    assert moves(start.when(tick("2026-11-20T23:59:59Z"))) == []
    assert moves(start.when(tick("2026-11-21"))) == [("t2", "t1", "window")]
    assert moves(start.when(tick("2026-11-22"))) == [("t1", "t0", "window")]
    start.when(tick("2026-11-23"), tick("2026-12-15"), tick("2026-12-16"))
    assert not [key for key in start.partition.entries if key.startswith(b"t")]


def test_no_tick_comes_each_day_while_a_grace_or_an_assignment_holds() -> None:
    start = world(tier_set(0, 100, 200, window=rolling("P1M"), downgrade="one_down", grace="P3M"))
    start.when(earn(200, "2026-10-20"))
    start.when(tick("2026-11-20"))
    assert moves(start.when(tick("2027-02-20"))) == [("t2", "t1", "window")]
    start.when(tick("2027-02-21"))
    dues = [key for key in start.partition.entries if key.startswith(b"t")]
    assert [due_entry(key)[0] for key in dues] == [parse_instant("2027-05-21T00:00:00Z")]
    start.when(assign("t1", at="2027-02-22"))
    assert not [key for key in start.partition.entries if key.startswith(b"t")]


def test_one_down_goes_on_with_each_period_without_progress() -> None:
    basis = {"type": "progress", "challengeId": CHALLENGE}
    start = world(challenge(), tier_set(0, 10, 20, 30, basis=basis, downgrade="one_down"))
    start.when(log("a", 30, activityAt="2026-11-21T10:00:00Z"))
    assert moves(start.when(tick("2026-11-22T00:00:00Z"))) == [("t3", "t2", "window")]
    assert moves(start.when(tick("2026-11-22T23:59:59Z"))) == []
    assert moves(start.when(tick("2026-11-23T00:00:00Z"))) == [("t2", "t1", "window")]
    assert moves(start.when(tick("2026-11-24T00:00:00Z"))) == [("t1", "t0", "window")]


def test_one_down_by_the_balance_waits_until_that_moves_again() -> None:
    basis = {"type": "balance"}
    start = world(tier_set(0, 100, 200, basis=basis, downgrade="one_down"))
    start.when(earn(250, "2026-06-01"))
    assert moves(start.when(spend(240, "a"))) == [("t2", "t1", "earned")]
    assert moves(start.when(spend(5, "b"))) == [("t1", "t0", "earned")]


# By hand.


def test_an_assignment_holds_whatever_the_basis_says_and_ends_to_it() -> None:
    start = world(tier_set(0, 100, 200))
    first = start.when(assign("t1", until="2026-12-01T00:00:00Z"))
    (change,) = first.of("tier.changed")
    assert moves(first) == [(None, "t1", "assigned")]
    assert (change["assigned"], change["until"]) == (True, "2026-12-01T00:00:00Z")
    assert change["assignedBecause"] == "because"
    ((status, body),) = first.answers
    assert status == 200
    assert body == {
        "userId": "ann", "uniqueIdentifier": "a1", "tierSetId": STATUS, "tierId": "t1",
        "since": "2026-11-21T12:00:00Z", "until": "2026-12-01T00:00:00Z", "assigned": True,
    }  # fmt: skip
    assert moves(start.when(earn(50, "2026-11-22"))) == []
    assert moves(start.when(earn(150, "2026-11-23"))) == [("t1", "t2", "earned")]
    assert moves(start.when(tick("2026-12-01"))) == [("t2", "t2", "assigned")]
    assert moves(start.when(tick("2027-12-01"))) == []


def test_an_assignment_ends_to_what_the_basis_gives_whatever_downgrade_says() -> None:
    start = world(tier_set(0, 100, 200, downgrade="none"))
    start.when(earn(50, "2026-11-20"))
    assert moves(start.when(assign("t2"))) == [("t0", "t2", "assigned")]
    ended = start.when(assign(None, "a2", "2026-11-22"))
    assert moves(ended) == [("t2", "t0", "assigned")]
    assert ended.answers[0][1]["tierId"] == "t0"


def test_ending_what_was_not_assigned_changes_nothing() -> None:
    start = world(tier_set(0, 100))
    start.when(earn(100, "2026-11-20"))
    happened = start.when(assign(None))
    assert moves(happened) == []
    assert happened.answers[0][1]["tierId"] == "t1"


def test_an_assigned_tier_is_never_below_what_is_earned() -> None:
    start = world(tier_set(0, 100, 200))
    start.when(earn(150, "2026-11-20"))
    assert moves(start.when(assign("t0"))) == [("t1", "t1", "assigned")]


def test_a_repeated_command_acts_once_and_has_the_first_answer() -> None:
    start = world(tier_set(0, 100, 200))
    first = start.when(assign("t1"))
    again = start.when(assign("t2"), assign("t2", "a2"))
    assert moves(again) == [("t1", "t2", "assigned")]
    assert again.answers[0] == first.answers[0]


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"tierSetId": "other"}, "unknown_tier_set", "tierSetId"),
        ({"tierId": "t9"}, "unknown_tier", "tierId"),
        ({"userId": "zoe"}, "unknown_member", "userId"),
        ({"until": "2026-11-21T12:00:00Z"}, "invalid", "until"),
        ({"until": "2026-12-21T12:00:00"}, "invalid", "until"),
        ({"reason": ""}, "invalid", "reason"),
        ({"reason": None}, "invalid", "reason"),
        ({"reason": "x" * 257}, "invalid", "reason"),
        ({"uniqueIdentifier": ""}, "invalid", "uniqueIdentifier"),
        ({"tierId": 7}, "invalid", "tierId"),
    ],
)
def test_a_bad_assignment_is_refused(fields: dict[str, Any], reason: str, field: str) -> None:
    identifier = fields.pop("uniqueIdentifier", "a1")
    tier = fields.pop("tierId", "t1")
    world(tier_set(0, 100)).when(assign(tier, identifier, **fields)).then(refused(reason, field))


def test_the_tier_has_to_be_named_or_null() -> None:
    bare = command("assign-tier", userId="ann", tierSetId=STATUS, reason="r", uniqueIdentifier="u")
    world(tier_set(0)).when(bare).then(refused("invalid", "tierId"))


# Definitions that change.


def test_a_changed_set_is_looked_at_with_the_next_grant() -> None:
    start = world(tier_set(0, 100, downgrade="to_basis"))
    start.when(earn(100, "2026-11-20"))
    start.partition.define(tier_set(0, 150, downgrade="to_basis"))
    assert moves(start.when(spend(1, "s"))) == []
    happened = start.when(earn(60, "2026-11-21"))
    assert moves(happened) == [("t1", "t0", "definition"), ("t0", "t1", "earned")]


def test_a_tier_that_is_gone_gives_way() -> None:
    start = world(tier_set(0, 100))
    start.when(earn(100, "2026-11-20"))
    start.partition.define(tier_set(tiers=[{"id": "new", "name": "N", "threshold": 50}]))
    assert moves(start.when(earn(1, "2026-11-21"))) == [("t1", "new", "definition")]


def test_a_set_that_is_deleted_judges_nobody() -> None:
    start = world(tier_set(0, 100, window=YEAR))
    start.when(earn(100, "2026-11-20"))
    start.partition.define(tier_set(0).deleted())
    assert start.when(tick("2027-01-01")).facts == []


# What tiers do.


def test_the_tier_before_a_grant_multiplies_it() -> None:
    start = world(tier_set(tiers=tiers_of(0, 100, multipliers=(None, Decimal("1.5")))))
    first = start.when(earn(100, "2026-11-20")).of("points.granted")[0]
    assert (first["points"], first["base"], first["tier"]) == (100, 100, {STATUS: "t0"})
    second = start.when(earn(101, "2026-11-21"))
    granted = second.of("points.granted")[0]
    assert (granted["points"], granted["base"], granted["bonus"]) == (152, 101, 51)
    assert granted["tier"] == {STATUS: "t1"}
    assert second.of("event.logged")[0]["points"] == 152


def test_several_sets_multiply_together_and_only_where_they_act() -> None:
    double = tiers_of(0, multipliers=(2,))
    start = world(
        tier_set(id_="a", tiers=double),
        tier_set(id_="b", tiers=tiers_of(0, multipliers=(3,))),
        tier_set(id_="c", tiers=tiers_of(0, multipliers=(5,)), wallets=["spring"]),
        tier_set(
            id_="d",
            tiers=tiers_of(0, multipliers=(7,)),
            basis={"type": "earned", "wallet": "spring"},
        ),
    )
    granted = start.when(earn(10, "2026-11-20")).of("points.granted")[0]
    assert (granted["points"], granted["tier"]) == (60, {"a": "t0", "b": "t0"})


def test_a_tier_whose_time_is_over_multiplies_nothing_any_more() -> None:
    tiers = tiers_of(0, 100, multipliers=(None, 2))
    start = world(tier_set(tiers=tiers, window=YEAR))
    start.when(earn(100, "2026-06-01"))
    happened = start.when(earn(10, "2027-01-01T00:00:01Z"))
    assert happened.of("points.granted")[0]["points"] == 10
    assert moves(happened) == [("t1", "t0", "window")]


def test_conditions_may_ask_for_the_tier() -> None:
    special = event_of("special", conditions=condition("member.tier.status", "equals", "t1"))
    start = world(tier_set(0, 100), special)
    assert not start.when(event("special")).of("event.logged")[0]["conditionReached"]
    start.when(earn(100, "2026-11-20"))
    assert start.when(event("special")).of("event.logged")[0]["conditionReached"]


def test_a_member_that_was_never_judged_has_the_tier_that_needs_nothing() -> None:
    special = event_of("special", conditions=condition("member.tier.status", "equals", "t0"))
    start = world(tier_set(0, 100), special)
    assert start.when(event("special")).of("event.logged")[0]["conditionReached"]


def test_a_deleted_member_s_tier_goes_on_under_its_id() -> None:
    start = world(tier_set(0, 100))
    start.when(earn(60, "2026-11-20"))
    back = start.and_given(command("delete-member", userId="ann"), upsert("ann"))
    assert moves(back.when(earn(40, "2026-11-21"))) == [("t0", "t1", "earned")]


def test_a_project_without_tier_sets_keeps_nothing() -> None:
    happened: Happened = world().when(earn(100, "2026-11-20"))
    assert not [key for key in happened.effects.writes if key[:1] == b"y"]


def test_the_days_that_are_kept_are_bounded_and_nobody_loses_early() -> None:
    start = world(tier_set(0, window=rolling("P10Y")))
    (stored,) = start.partition.definitions.of("default", "tier-set")
    assert isinstance(stored, Stored)
    rule = start.partition.definitions.tier_set("default", STATUS)
    assert rule is not None
    state, now = tier_rules.initial(), parse_instant("2026-11-21T00:00:00Z")
    for number in range(KEPT + 200):
        day = parse_instant("2020-01-01T00:00:00Z").toordinal() + 2 * number
        at = parse_instant("2020-01-01T00:00:00Z").fromordinal(day).replace(tzinfo=now.tzinfo)
        state = tier_rules.earn(state, rule, Earning("_default", 1, at), "UTC", now)
    assert len(state.days) == KEPT
    assert sum(points for _, points in state.days) == KEPT + 200
    first = parse_instant("2020-01-01T00:00:00Z")  # its day was merged with a later one
    taken = tier_rules.earn(state, rule, Earning("_default", -1, first), "UTC", now)
    assert sum(points for _, points in taken.days) == KEPT + 199


def test_what_is_taken_back_leaves_the_day_that_has_it() -> None:
    start = world(tier_set(0, window=YEAR), tier_set(0, id_="life"))
    year, life = (start.partition.definitions.tier_set("default", i) for i in (STATUS, "life"))
    assert year is not None
    assert life is not None
    at = parse_instant("2026-11-21T12:00:00Z")
    zone, now = "UTC", at
    for rule, in_all in ((year, 0), (life, -3)):
        state = tier_rules.initial()
        for points in (5, -2, -6):
            state = tier_rules.earn(state, rule, Earning("_default", points, at), zone, now)
        assert (sum(n for _, n in state.days), state.total) == (0, in_all)
        assert tier_rules.earned(state, rule, zone, now).value == 0
