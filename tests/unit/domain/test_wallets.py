"""Wallets: points that wait, lapse, and have caps (`schemas/README.md#wallets`)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processor.domain.aggregates import wallet as wallet_of_
from processor.domain.handlers.ticks import MAX_DUES
from processor.domain.state_kinds import BALANCES, DUE, GRANTED, LOT, balances_key
from schemas.instants import format_instant, parse_instant
from tests.event_spec import earned, event, event_of, logged, redeem, redeemed, streak_of, tick
from tests.pathway_spec import activity, did, enrolled, pathway
from tests.points_spec import (
    activated,
    adjust,
    adjusted,
    capture,
    captured,
    expired,
    expiring,
    held,
    hold,
    release,
    released,
    rolling,
    spend,
    spent,
    wallet_of,
)
from tests.spec import (
    ANN,
    Defined,
    Given,
    Happened,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    project_settings,
    recorded,
    refused,
    upsert,
)

TODAY = "2026-11-21"
NOON = "2026-11-21T12:00:00Z"


def expiry(type_: str, **fields: Any) -> dict[str, Any]:
    return {"expiry": {"type": type_} | fields}


def grant(points: int, at: str, arriving: str | None = None, group: str = "_default") -> Sent:
    """Points that are granted at a moment; a day alone means its noon, in UTC."""
    when = at if "T" in at else f"{at}T12:00:00Z"
    sent = event("give", when, metadata={"n": points, "group": group})
    return sent.arriving(arriving or when)


giving = event_of("give", type="TRANSACTION", rewardValueField="n", reward={"default": 1})


def with_wallet(wallet: Defined, *more: Defined | Sent) -> Given:
    early = ann.arriving("2026-01-01T00:00:00Z")
    return given(giving, wallet, early, *more)


def lots_of(data: Mapping[str, Any]) -> list[tuple[int, str | None]]:
    """Return points and end of the lots that an event says have changed."""
    return [(lot["points"], lot["expiresAt"]) for lot in data["lots"]]


def end_of_lot(wallet: Defined, at: str) -> str | None:
    """Return when points lapse that were granted at a moment."""
    happened = with_wallet(wallet).when(grant(5, at))
    ((_, end),) = lots_of(happened.of("points.granted")[0])
    return end


def silent(happened: Happened) -> None:
    """Check that nothing was told of points."""
    assert not [fact for fact in happened.facts if fact.type.startswith("points.")]


# When points lapse.


@pytest.mark.parametrize(
    ("fields", "at", "end"),
    [
        (expiry("none"), TODAY, None),
        (expiry("rolling", after="P10D"), TODAY, "2026-12-02T00:00:00Z"),
        (expiry("rolling", after="P1M"), "2027-01-31T10:00:00Z", "2027-03-01T00:00:00Z"),
        (expiry("rolling", after="P12M"), "2028-02-29T10:00:00Z", "2029-03-01T00:00:00Z"),
        (expiry("rolling", after="P1M"), "2026-12-05T10:00:00Z", "2027-01-06T00:00:00Z"),
        (expiry("rolling", after="P11M"), "2026-01-31T10:00:00Z", "2027-01-01T00:00:00Z"),
        (expiry("rolling", after="P1Y1M1W1D"), TODAY, "2027-12-30T00:00:00Z"),
        (expiry("rolling", after="PT1H"), NOON, "2026-11-21T13:00:00Z"),
        (expiry("rolling", after="P1DT0S"), NOON, "2026-11-22T12:00:00Z"),
        (expiry("sliding", after="P10D"), TODAY, "2026-12-02T00:00:00Z"),
        (expiry("calendar", dates=["12-31"]), TODAY, "2027-01-01T00:00:00Z"),
        (expiry("calendar", dates=["12-31", "11-21"]), NOON, "2026-11-22T00:00:00Z"),
        (expiry("calendar", dates=["06-30", "12-31"], after="P2M"), TODAY, "2027-07-01T00:00:00Z"),
        (expiry("calendar", dates=["12-31"], after="P40D"), TODAY, "2027-01-01T00:00:00Z"),
        (expiry("calendar", dates=["12-31"], after="P41D"), TODAY, "2028-01-01T00:00:00Z"),
        (expiry("calendar", dates=["11-22"], after="PT24H"), NOON, "2026-11-23T00:00:00Z"),
        (expiry("calendar", dates=["02-29"]), TODAY, "2028-03-01T00:00:00Z"),
        (expiry("calendar", dates=["02-29"]), "2097-01-01T00:00:00Z", "2104-03-01T00:00:00Z"),
    ],
)
def test_points_lapse_by_their_wallet(fields: dict[str, Any], at: str, end: str | None) -> None:
    assert end_of_lot(wallet_of(**fields), at) == end


@pytest.mark.parametrize(
    ("after", "at", "end"),
    [
        ("P1D", "2026-11-21T22:59:59Z", "2026-11-22T23:00:00Z"),
        ("P1D", "2026-11-21T23:00:00Z", "2026-11-23T23:00:00Z"),
        ("P1D", "2026-10-24T10:00:00Z", "2026-10-25T23:00:00Z"),  # a day of 25 hours
        ("PT24H", "2026-10-24T10:00:00Z", "2026-10-25T10:00:00Z"),
        ("P1DT1H", "2026-10-24T10:00:00Z", "2026-10-25T12:00:00Z"),  # noon on the wall, and 1 h
        ("P1DT0S", "2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z"),  # 02:30 that is none: 03:30
    ],
)
def test_days_are_the_wallet_s(after: str, at: str, end: str) -> None:
    assert end_of_lot(rolling(after, timezone="Europe/Berlin"), at) == end


def test_a_wallet_without_a_zone_has_its_project_s() -> None:
    happened = given(project_settings(timezone="Asia/Tokyo"), giving, rolling("P1D"), ann).when(
        grant(5, NOON)
    )
    assert lots_of(happened.of("points.granted")[0]) == [(5, "2026-11-22T15:00:00Z")]


def test_days_can_be_each_member_s_own() -> None:
    wallet = rolling("P1D", timezone="member", earnCap={"points": 10, "period": "daily"})
    tokyo = upsert(timezone="Asia/Tokyo").arriving("2026-01-01T00:00:00Z")
    world = given(project_settings(timezone="Europe/Berlin"), giving, wallet, tokyo)
    world.when(grant(5, "2026-11-21T14:59:00Z"), grant(9, "2026-11-21T15:00:00Z"))
    happened = world.when(tick("2026-11-22T15:00:00Z"))
    happened.then(expired(-5, balance=9, occurredAt="2026-11-22T15:00:00Z"))
    moved = upsert(timezone=None).arriving("2026-11-22T16:00:00Z")
    happened = world.and_given(moved).when(grant(1, "2026-11-22T16:00:00Z"))
    assert lots_of(happened.of("points.granted")[0]) == [(10, "2026-11-23T23:00:00Z")]


def test_points_lapse_by_a_tick_with_that_end_as_its_time() -> None:
    world = with_wallet(rolling(), grant(5, TODAY))
    silent(world.when(tick("2026-12-01T23:59:59.999Z")))
    happened = world.when(tick("2026-12-02T00:00:40Z"))
    happened.then(
        expired(
            -5,
            userId="ann",
            ownedById=ANN,
            actionId="expire",
            balance=0,
            totalBalance=0,
            held=0,
            available=0,
            occurredAt="2026-12-02T00:00:00Z",
            createdAt="2026-12-02T00:00:40Z",
        )
    )
    assert happened.envelopes[0]["time"] == "2026-12-02T00:00:00Z"
    assert lots_of(happened.of("points.expired")[0]) == [(0, "2026-12-02T00:00:00Z")]
    silent(world.when(tick("2026-12-02T00:00:40Z"), tick("2027-12-02")))
    entries = world.partition.entries
    assert not [key for key in entries if key.startswith((DUE.prefix, LOT.prefix))]


def test_until_its_tick_a_lot_can_be_spent() -> None:
    world = with_wallet(rolling(), grant(5, TODAY))
    late = spend(5).arriving("2026-12-02T00:00:20Z")
    world.when(late, tick("2026-12-02T00:00:40Z")).then(spent(-5, balance=0))


def test_grants_of_one_day_are_one_lot() -> None:
    world = with_wallet(rolling())
    happened = world.when(grant(5, "2026-11-21T01:00:00Z"), grant(7, "2026-11-21T23:00:00Z"))
    assert [lots_of(grant_) for grant_ in happened.of("points.granted")] == [
        [(5, "2026-12-02T00:00:00Z")],
        [(12, "2026-12-02T00:00:00Z")],
    ]
    assert len({g["lots"][0]["id"] for g in happened.of("points.granted")}) == 1
    world.when(tick("2026-12-02")).then(expired(-12, balance=0))


def test_lots_of_one_day_lapse_when_the_later_one_does() -> None:
    world = with_wallet(rolling("PT1H"), grant(5, NOON), grant(7, "2026-11-21T12:30:00Z"))
    silent(world.when(tick("2026-11-21T13:00:00Z")))
    world.when(tick("2026-11-21T13:30:00Z")).then(expired(-12))


def test_points_granted_for_so_long_ago_lapse_at_once() -> None:
    world = with_wallet(rolling(), grant(5, TODAY))
    happened = world.when(grant(7, "2026-10-01", arriving=NOON))
    happened.then(
        logged(7),
        earned(7, balance=12),
        expired(-7, balance=5, occurredAt="2026-10-12T00:00:00Z", createdAt=NOON),
    )
    assert [lots_of(e["data"]) for e in happened.envelopes if "lots" in e["data"]] == [
        [(7, "2026-10-12T00:00:00Z")],
        [(0, "2026-10-12T00:00:00Z")],
    ]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_points_of_any_past_lapse(at: str, zone: str) -> None:
    pending = rolling("P99Y", timezone=zone, pendingFor="P1D")
    happened = with_wallet(pending).when(grant(7, at, arriving="2070-01-01T00:00:00Z"))
    assert happened.of("points.expired")[0]["points"] == -7


def test_points_beyond_the_calendar_live_for_ever() -> None:
    far = "9998-12-31T00:00:00Z"
    wallet = rolling("P2Y", pendingFor="P2Y", noticeDays=[1])
    happened = with_wallet(wallet).when(grant(7, far, arriving=far))
    assert lots_of(happened.of("points.granted")[0]) == [(7, None)]


def test_the_points_of_a_deleted_member_lapse() -> None:
    gone = command("delete-member", userId="ann")
    with_wallet(rolling(), grant(5, TODAY), gone).when(tick("2026-12-02")).then(expired(-5))


# Spending.


def test_what_lapses_first_is_spent_first() -> None:
    world = with_wallet(
        rolling(), grant(5, "2026-11-20"), grant(6, "2026-11-22"), grant(7, "2026-11-21")
    )
    happened = world.when(spend(13).arriving("2026-11-23T00:00:00Z"))
    happened.then(spent(-13, balance=5))
    assert lots_of(happened.of("points.spent")[0]) == [
        (0, "2026-12-01T00:00:00Z"),
        (0, "2026-12-02T00:00:00Z"),
        (5, "2026-12-03T00:00:00Z"),
    ]
    world.when(tick("2026-12-02")).then()
    world.when(tick("2026-12-03")).then(expired(-5))


def test_points_of_before_there_was_a_wallet_live_for_ever_and_are_spent_last() -> None:
    world = given(giving, ann.arriving("2026-01-01T00:00:00Z"), grant(50, "2026-11-01"))
    world.and_given(rolling(), grant(5, "2026-11-20"))
    happened = world.when(spend(7).arriving(NOON))
    happened.then(spent(-7, balance=48))
    assert lots_of(happened.of("points.spent")[0]) == [(0, "2026-12-01T00:00:00Z"), (48, None)]


def test_the_points_of_before_are_told_with_the_first_change() -> None:
    world = given(giving, ann.arriving("2026-01-01T00:00:00Z"), grant(50, "2026-11-01"))
    world.and_given(rolling())
    happened = world.when(grant(5, "2026-11-20"), grant(5, "2026-11-20"))
    first, second = happened.of("points.granted")
    assert lots_of(first) == [(5, "2026-12-01T00:00:00Z"), (50, None)]
    assert lots_of(second) == [(10, "2026-12-01T00:00:00Z")]


def test_a_changed_wallet_acts_on_grants_from_then_on() -> None:
    world = with_wallet(rolling(), grant(5, "2026-11-20"), rolling("P1Y"), grant(6, "2026-11-21"))
    world.and_given(wallet_of(), grant(7, "2026-11-22"), wallet_of().deleted())
    happened = world.when(grant(8, "2026-11-23"))
    assert lots_of(happened.of("points.granted")[0]) == [(15, None)]
    world.when(tick("2028-01-01")).then(expired(-5, balance=21), expired(-6, balance=15))


def test_a_redemption_takes_what_lapses_first_as_far_as_it_is_not_held() -> None:
    world = with_wallet(rolling(), grant(5, "2026-11-20"), grant(6, "2026-11-21"))
    world.and_given(hold(4).arriving(NOON))
    happened = world.when(redeem(20).arriving(NOON))
    happened.then(redeemed(-20, balance=4, held=4))
    assert lots_of(happened.of("points.redeemed")[0]) == [
        (0, "2026-12-01T00:00:00Z"),
        (4, "2026-12-02T00:00:00Z"),
    ]


# What is held.


def test_what_is_held_does_not_lapse_while_it_is() -> None:
    world = with_wallet(rolling(), grant(50, TODAY), grant(7, "2026-11-22"))
    world.and_given(hold(30, until="2027-11-01T00:00:00Z").arriving(NOON))
    world.when(tick("2026-12-02")).then(expired(-20, balance=37, held=30, available=7))
    world.when(tick("2026-12-03")).then(expired(-7, balance=30, held=30, available=0))
    happened = world.when(release().arriving("2026-12-10T00:00:00Z"))
    happened.then(
        released(30, balance=30, held=0, available=30),
        expired(-30, balance=0, occurredAt="2026-12-10T00:00:00Z"),
    ).answering((200, {"points": 30, "balance": 0, "held": 0, "available": 0}))


def test_a_grant_into_a_lot_that_is_over_and_held_gives_it_another_end() -> None:
    world = with_wallet(rolling("PT3H"), grant(5, NOON), hold(4).arriving(NOON))
    world.when(tick("2026-11-21T15:00:00Z")).then(expired(-1, balance=4))
    (data,) = world.when(grant(2, "2026-11-21T16:00:00Z")).of("points.granted")
    assert lots_of(data) == [(6, "2026-11-21T19:00:00Z")]
    silent(world.when(tick("2026-11-21T18:59:59Z")))
    world.when(tick("2026-11-21T19:00:00Z")).then(expired(-2, balance=4))


def test_a_release_lets_lapse_only_what_is_over() -> None:
    world = with_wallet(rolling(), grant(20, TODAY), grant(7, "2026-11-28"))
    world.and_given(hold(10).arriving("2026-12-01T12:00:00Z"))
    world.and_given(hold(5, "hold-2").arriving("2026-12-01T12:00:00Z"))
    world.when(tick("2026-12-02")).then(expired(-5, balance=22, held=15))
    at = "2026-12-03T00:00:00Z"
    world.when(release().arriving(at)).then(
        released(10, balance=22, held=5), expired(-10, balance=12, held=5, occurredAt=at)
    )
    world.when(capture("hold-2").arriving(at)).then(captured(-5, balance=7, held=0))


def test_what_a_hold_loses_by_time_lapses_at_its_end() -> None:
    world = with_wallet(rolling(), grant(20, TODAY))
    world.and_given(hold(10, until="2026-12-05T10:00:00Z").arriving(NOON))
    world.when(tick("2026-12-06")).then(
        expired(-10, balance=10),
        released(10, "lapsed", occurredAt="2026-12-05T10:00:00Z"),
        expired(-10, balance=0, occurredAt="2026-12-05T10:00:00Z"),
    )


def test_a_capture_in_the_second_in_which_the_points_lapse() -> None:
    end = "2026-12-02T00:00:00Z"
    for order, facts in (
        (0, [captured(-10, balance=10, held=0), expired(-10, balance=0)]),
        (1, [expired(-10, balance=10, held=10), captured(-10, balance=0, held=0)]),
    ):
        world = with_wallet(rolling(), grant(20, TODAY), hold(10).arriving("2026-11-30T00:00:00Z"))
        sent = [capture().arriving(end), tick(end)]
        world.when(*(sent[::-1] if order else sent)).then(*facts)


def test_what_a_capture_leaves_lapses_where_it_is_over() -> None:
    world = with_wallet(rolling(), grant(20, TODAY), hold(10).arriving("2026-11-30T00:00:00Z"))
    world.and_given(tick("2026-12-02"))
    happened = world.when(capture(points=4).arriving("2026-12-03T00:00:00Z"))
    happened.then(
        captured(-4, balance=6, held=0), released(6, "captured", balance=6), expired(-6, balance=0)
    ).answering((200, {"points": 4, "balance": 0, "held": 0, "available": 0}))


def test_points_granted_for_long_ago_stay_as_far_as_they_are_held() -> None:
    world = with_wallet(rolling(), grant(20, TODAY), hold(5).arriving(NOON))
    world.when(grant(7, "2026-10-01", arriving=NOON)).then(
        logged(7), earned(7, balance=27), expired(-2, balance=25, held=5)
    )
    world.when(release().arriving(NOON)).then(released(5, balance=25), expired(-5, balance=20))


# Pending.


def test_pending_points_are_in_no_balance_until_they_count() -> None:
    world = with_wallet(rolling(pendingFor="P3D"))
    happened = world.when(grant(5, TODAY))
    happened.then(logged(5), earned(5, balance=0, totalBalance=0, pending=5))
    (lot,) = happened.of("points.granted")[0]["lots"]
    assert (lot["points"], lot["activatesAt"]) == (5, "2026-11-24T12:00:00Z")
    assert lot["expiresAt"] == "2026-12-05T00:00:00Z"
    world.when(spend(1).arriving(NOON)).then().answering((409, {"available": 0}))
    silent(world.when(tick("2026-11-24T11:59:59.999Z")))
    at = "2026-11-24T12:00:00Z"
    happened = world.when(tick("2026-11-24T12:00:50Z"))
    happened.then(activated(5, balance=5, available=5, pending=0, occurredAt=at))
    assert happened.envelopes[0]["time"] == at
    gone, new = happened.of("points.activated")[0]["lots"]
    assert (gone["id"], gone["points"]) == (lot["id"], 0)
    assert (new["points"], new["activatesAt"]) == (5, None)
    world.when(tick("2026-12-05")).then(expired(-5))


def test_a_hold_says_what_waits_besides() -> None:
    world = with_wallet(rolling(pendingFor="P3D"), adjust(9), grant(5, TODAY))
    world.when(hold(4).arriving(NOON)).then(held(4, balance=9, held=4, pending=5))
    world.when(release().arriving(NOON)).then(released(4, balance=9, held=0, pending=5))


def test_points_that_waited_long_enough_count_at_once() -> None:
    happened = with_wallet(rolling(pendingFor="P3D")).when(
        grant(5, "2026-11-18T12:00:00Z", arriving=NOON)
    )
    assert lots_of(happened.of("points.granted")[0]) == [(5, "2026-12-02T00:00:00Z")]
    assert happened.of("points.granted")[0]["balance"] == 5


def test_pending_points_of_one_day_are_one_lot_that_counts_with_the_later() -> None:
    world = with_wallet(wallet_of(pendingFor="P1D"))
    world.and_given(grant(5, "2026-11-21T01:00:00Z"), grant(7, "2026-11-21T20:00:00Z"))
    silent(world.when(tick("2026-11-22T19:59:59Z")))
    world.when(tick("2026-11-22T20:00:00Z")).then(activated(12, balance=12))


def test_a_lot_that_a_late_tick_puts_off_lapses_after_what_comes_before() -> None:
    """Points that come to count join a lot that lapses later by that; a hold ends meanwhile."""
    wallet = rolling("P1DT6H", pendingFor="PT5H")
    world = with_wallet(wallet, grant(23, "2027-02-26T23:30:00Z"))
    world.and_given(
        adjust(10).arriving("2027-02-26T23:30:00Z"),
        hold(4, until="2027-02-28T08:00:00Z").arriving("2027-02-26T23:40:00Z"),
    )
    late = tick("2027-03-30")
    world.when(late).then(
        activated(23, occurredAt="2027-02-27T04:30:00Z", balance=33, held=4),
        released(4, "lapsed", occurredAt="2027-02-28T08:00:00Z", balance=33, held=0),
    )
    end = "2027-02-28T10:30:00Z"
    world.when(late).then(expired(-33, occurredAt=end, balance=0))


def test_what_is_given_by_hand_never_waits() -> None:
    happened = with_wallet(rolling(pendingFor="P3D")).when(
        adjust(5, occurredAt="2026-11-20T00:00:00Z")
    )
    happened.then(adjusted(5, balance=5))
    assert lots_of(happened.of("points.adjusted")[0]) == [(5, "2026-12-01T00:00:00Z")]


# Sliding.


def test_lots_of_a_sliding_wallet_lapse_together() -> None:
    world = with_wallet(wallet_of(**expiry("sliding", after="P10D")), grant(5, "2026-11-01"))
    happened = world.when(grant(7, "2026-11-05"))
    assert lots_of(happened.of("points.granted")[0]) == [
        (0, "2026-11-12T00:00:00Z"),
        (12, "2026-11-16T00:00:00Z"),
    ]
    silent(world.when(tick("2026-11-15T23:59:59Z")))
    world.when(tick("2026-11-16")).then(expired(-12))


def test_a_late_grant_shortens_no_life() -> None:
    world = with_wallet(wallet_of(**expiry("sliding", after="P10D")), grant(5, "2026-11-05"))
    happened = world.when(grant(7, "2026-11-01", arriving="2026-11-05T13:00:00Z"))
    assert lots_of(happened.of("points.granted")[0]) == [(12, "2026-11-16T00:00:00Z")]
    gone = spend(12).arriving("2026-11-06T00:00:00Z")
    happened = world.and_given(gone).when(grant(1, "2026-11-02", arriving="2026-11-07T00:00:00Z"))
    assert lots_of(happened.of("points.granted")[0]) == [(1, "2026-11-16T00:00:00Z")]


def test_a_grant_that_waits_lengthens_lives_at_once() -> None:
    wallet = wallet_of(**expiry("sliding", after="P10D"), pendingFor="P5D")
    world = with_wallet(wallet, grant(5, "2026-11-01"), tick("2026-11-06T12:00:00Z"))
    world.and_given(grant(7, "2026-11-10"))
    world.when(tick("2026-11-20T23:59:59Z")).then(activated(7, balance=12))
    world.when(tick("2026-11-26")).then(expired(-12))


def test_a_grant_that_waits_lengthens_lives_within_the_day() -> None:
    fields = expiry("sliding", after="P1DT6H")
    world = with_wallet(wallet_of(**fields), grant(5, NOON))
    world.and_given(wallet_of(**fields, pendingFor="P1D"))
    happened = world.when(grant(7, "2026-11-21T15:00:00Z"))
    assert lots_of(happened.of("points.granted")[0]) == [
        (5, "2026-11-22T21:00:00Z"),
        (7, "2026-11-23T21:00:00Z"),
    ]
    silent(world.when(tick("2026-11-22T14:59:59Z")))
    world.when(tick("2026-11-22T20:00:00Z")).then(activated(7, balance=12))
    world.when(tick("2026-11-23T21:00:00Z")).then(expired(-12))


def test_points_given_by_hand_put_no_end_off_for_they_are_no_grant() -> None:
    world = with_wallet(wallet_of(**expiry("sliding", after="P10D")), grant(5, "2026-11-01"))
    happened = world.when(adjust(7).arriving("2026-11-05T12:00:00Z"))
    assert lots_of(happened.of("points.adjusted")[0]) == [(12, "2026-11-12T00:00:00Z")]
    world.when(tick("2026-11-12")).then(expired(-12))
    anew = world.when(adjust(3, "again").arriving("2026-11-13T12:00:00Z"))
    assert lots_of(anew.of("points.adjusted")[0]) == [(3, "2026-11-24T00:00:00Z")]


def test_opening_balances_of_a_sliding_wallet_lapse_with_the_latest() -> None:
    early, late = "2026-10-28T12:00:00Z", "2026-11-03T12:00:00Z"
    for first, second in ((early, late), (late, early)):
        world = with_wallet(wallet_of(**expiry("sliding", after="P10D")))
        given_by_hand = adjust(5, "a", occurredAt=first), adjust(7, "b", occurredAt=second)
        world.when(*(each.arriving("2026-11-04T12:00:00Z") for each in given_by_hand))
        silent(world.when(tick("2026-11-13T23:59:59Z")))
        world.when(tick("2026-11-14")).then(expired(-12))


# By hand.


def test_an_opening_balance_lapses_when_it_says() -> None:
    world = with_wallet(rolling(maxBalance=10, earnCap={"points": 1, "period": "daily"}))
    at = "2027-03-31T15:00:00Z"
    happened = world.when(adjust(500, occurredAt="2020-01-01T00:00:00Z", expiresAt=at))
    happened.then(adjusted(500, balance=500))
    assert lots_of(happened.of("points.adjusted")[0]) == [(500, at)]
    world.when(tick(at)).then(expired(-500, occurredAt=at))


def test_an_opening_balance_that_has_lapsed_is_given_and_lapses() -> None:
    happened = with_wallet(rolling()).when(adjust(500, expiresAt="2026-11-20T00:00:00Z"))
    happened.then(adjusted(500, balance=500), expired(-500, balance=0)).answering(
        (200, {"points": 500, "balance": 0, "available": 0})
    )


# Caps.


def test_what_goes_above_the_greatest_balance_is_cut() -> None:
    world = with_wallet(wallet_of(maxBalance=12), grant(10, TODAY))
    happened = world.when(grant(10, TODAY))
    happened.then(logged(2), earned(2, balance=12, cut=8, cutBy="maxBalance"))
    assert happened.answers[0][1]["data"]["points"] == 2
    happened = world.when(grant(10, TODAY))
    happened.then(logged(0), earned(0, balance=12, cut=10, cutBy="maxBalance"))
    world.and_given(spend(5).arriving(NOON)).when(grant(3, TODAY)).then(
        logged(3), earned(3, balance=10)
    )


def test_pending_points_count_towards_the_greatest_balance() -> None:
    world = with_wallet(wallet_of(maxBalance=12, pendingFor="P1D"), grant(10, TODAY))
    world.when(grant(10, TODAY)).then(logged(2), earned(2, balance=0, pending=12, cut=8))


def test_a_period_gives_no_more_than_its_cap() -> None:
    cap = {"points": 12, "period": "daily"}
    world = with_wallet(wallet_of(earnCap=cap, timezone="Europe/Berlin"), grant(10, TODAY))
    world.when(grant(10, TODAY)).then(logged(2), earned(2, cut=8, cutBy="earnCap"))
    world.when(grant(10, "2026-11-21T23:00:00Z")).then(logged(10), earned(10, balance=22))
    late = grant(10, "2026-11-20T22:00:00Z", arriving="2026-11-22T00:00:00Z")
    world.when(late, late).then(
        logged(10), earned(10, balance=32), logged(2), earned(2, cut=8, cutBy="earnCap")
    )


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-10-24T22:00:00Z", "2026-10-25T22:59:59.999Z"),  # 25 hours
        ("2027-03-27T23:00:00Z", "2027-03-28T21:59:59.999Z"),  # 23 hours
    ],
)
def test_a_capped_day_is_the_wall_s_when_clocks_change(first: str, last: str) -> None:
    cap = {"points": 12, "period": "daily"}
    world = with_wallet(wallet_of(earnCap=cap, timezone="Europe/Berlin"), grant(10, first))
    world.when(grant(10, last)).then(logged(2), earned(2, cut=8, cutBy="earnCap"))
    after = format_instant(parse_instant(last) + timedelta(milliseconds=1))
    world.when(grant(10, after)).then(logged(10), earned(10, balance=22))


def test_of_two_caps_the_last_that_cut_is_named() -> None:
    caps: dict[str, Any] = {"earnCap": {"points": 8, "period": "yearly"}, "maxBalance": 5}
    world = with_wallet(wallet_of(**caps))
    world.when(grant(10, TODAY)).then(logged(5), earned(5, cut=5, cutBy="maxBalance"))
    world.and_given(spend(5).arriving(NOON)).when(grant(10, TODAY)).then(
        logged(3), earned(3, cut=7, cutBy="earnCap")
    )


def test_caps_hold_for_what_boosts_made_of_points() -> None:
    double = {"id": "double", "name": "Double", "multiplier": 2, "startsAt": "2026-01-01T00:00:00Z"}
    early = ann.arriving("2026-01-01T00:00:00Z")
    world = given(Defined("boost", "double", double), giving, wallet_of(maxBalance=15), early)
    (granted,) = world.when(grant(10, TODAY)).of("points.granted")
    shown = {name: granted[name] for name in ("points", "base", "bonus", "cut", "cutBy")}
    assert shown == {"points": 15, "base": 10, "bonus": 5, "cut": 5, "cutBy": "maxBalance"}


def test_caps_hold_for_completions_and_milestones() -> None:
    world = given(
        wallet_of(maxBalance=7), ann, challenge(pointsOnCompletion=5), milestone(100, points=5)
    )
    happened = world.when(log(value=100))
    assert [(g["points"], g.get("cut", 0)) for g in happened.of("points.granted")] == [
        (5, 0),
        (2, 3),
    ]


def test_caps_hold_for_streaks_and_pathways() -> None:
    steps = milestone(
        1, linkedSchemaSlug="pathway", linkedSchemaRecordId="EV67-ZCNS-56AD", points=9
    )
    world = given(wallet_of(maxBalance=7), ann, pathway(activity()), steps, enrolled)
    happened = world.when(did("1"))
    (grant_,) = happened.of("points.granted")
    assert (grant_["points"], grant_["cut"]) == (7, 2)
    runs = streak_of(targetLength=1)
    reached = milestone(1, linkedSchemaSlug="streak", linkedSchemaRecordId=runs.id, points=9)
    world = given(wallet_of(maxBalance=7), ann, event_of(reward={"default": 0}), runs, reached)
    (grant_,) = world.when(event()).of("points.granted")
    assert (grant_["points"], grant_["cut"]) == (7, 2)


def test_caps_do_not_hold_for_what_is_given_by_hand() -> None:
    caps: dict[str, Any] = {"earnCap": {"points": 8, "period": "yearly"}, "maxBalance": 5}
    with_wallet(wallet_of(**caps)).when(adjust(100)).then(adjusted(100, balance=100))


def test_a_repeated_event_is_told_what_was_granted_first() -> None:
    world = with_wallet(wallet_of(maxBalance=3))
    sent = event("give", NOON, metadata={"n": 5}, idempotencyKey="k")
    world.when(sent).then(logged(3), earned(3))
    happened = world.when(sent)
    happened.then()
    assert happened.answers[0][1]["data"]["points"] == 3


# Notices.


def test_a_notice_is_given_so_many_local_days_before() -> None:
    world = with_wallet(rolling(noticeDays=[3, 1], timezone="Europe/Berlin"), grant(5, TODAY))
    world.and_given(spend(2).arriving("2026-11-22T00:00:00Z"))
    silent(world.when(tick("2026-11-28T22:59:59Z")))
    happened = world.when(tick("2026-11-28T23:00:10Z"))
    happened.then(
        expiring(
            3,
            3,
            expiresAt="2026-12-01T23:00:00Z",
            occurredAt="2026-11-28T23:00:00Z",
            challengeGroup="_default",
            ownedById=ANN,
        )
    )
    world.when(tick("2026-11-30T23:00:00Z")).then(expiring(3, 1))
    world.when(tick("2026-12-01T23:00:00Z")).then(expired(-3))


def test_a_notice_has_the_time_of_day_of_the_end() -> None:
    """In Berlin 25 October has 25 hours."""
    wallet = rolling("PT72H", noticeDays=[1], timezone="Europe/Berlin")
    world = with_wallet(wallet, grant(5, "2026-10-22T12:00:00Z"))
    silent(world.when(tick("2026-10-24T10:59:59Z")))
    world.when(tick("2026-10-24T11:00:00Z")).then(expiring(5, 1))


def test_a_notice_whose_moment_was_past_is_not_given() -> None:
    world = with_wallet(rolling("P2D", noticeDays=[7, 1]), grant(5, TODAY))
    world.when(tick("2026-11-23")).then(expiring(5, 1))
    world.and_given(grant(7, "2026-11-21", arriving="2026-11-23T12:00:00Z"))
    world.when(tick("2026-11-24")).then(expired(-12))


def test_a_lot_that_is_gone_gives_no_notice() -> None:
    world = with_wallet(rolling(noticeDays=[1]), grant(5, TODAY), spend(5).arriving(NOON))
    assert not [key for key in world.partition.entries if key.startswith(DUE.prefix)]
    world.when(tick("2027-01-01")).then()


def test_pending_points_are_told_of_when_they_count() -> None:
    wallet = rolling("P2D", pendingFor="P20D", noticeDays=[1, 10])
    world = with_wallet(wallet, grant(5, "2026-11-01"), tick("2026-11-21T12:00:00Z"))
    world.when(tick("2026-11-23")).then(expiring(5, 1))


# Bounds.


def days_of_grants(number: int, every: int = 1) -> list[Sent]:
    """Opening balances that lapse on as many days."""
    first = datetime(2027, 1, 1, 12, tzinfo=UTC)
    return [
        adjust(
            1, f"a-{n}", expiresAt=(first + timedelta(days=every * n)).isoformat()
        )
        for n in range(number)
    ]  # fmt: skip


def test_a_member_has_at_most_2000_lots_and_nobody_loses_early() -> None:
    most = wallet_of_.MAX_LOTS
    assert most == 2000
    world = with_wallet(rolling())
    world.when(*days_of_grants(most))
    lots = sum(key.startswith(LOT.prefix) for key in world.partition.entries)
    assert lots == most
    more = days_of_grants(most + 3)[most:]
    happened = world.when(*more)
    assert sum(key.startswith(LOT.prefix) for key in world.partition.entries) == most
    merged = [lots_of(a)[1:] for a in happened.of("points.adjusted")]
    assert merged == [
        [(0, "2027-01-02T12:00:00Z"), (2, "2027-01-03T12:00:00Z")],
        [(0, "2027-01-04T12:00:00Z"), (2, "2027-01-05T12:00:00Z")],
        [(0, "2027-01-06T12:00:00Z"), (2, "2027-01-07T12:00:00Z")],
    ]
    world.when(tick("2027-01-02T12:00:00Z")).then(expired(-1, balance=2002))
    world.when(tick("2027-01-03T12:00:00Z")).then(expired(-2, balance=2000))


def test_ticks_take_a_bounded_number_of_lots() -> None:
    world = with_wallet(rolling())
    world.when(*days_of_grants(MAX_DUES + 5))
    happened = world.when(tick("2040-01-01"))
    assert len(happened.of("points.expired")) == MAX_DUES
    assert happened.effects.more_due
    assert len(world.when(tick("2040-01-01")).of("points.expired")) == 5


def test_a_wallet_that_comes_to_lapse_costs_what_is_granted_and_not_what_is_there() -> None:
    """Nothing that is there is looked at, however much: the first grant makes the first lot."""
    world = with_wallet(wallet_of(expiry={"type": "none"}))
    names = [f"m{number}" for number in range(200)]
    world.when(*(upsert(name) for name in names))
    world.when(*(adjust(10, f"first of {name}", userId=name) for name in names))
    before = dict(world.partition.entries)
    world.and_given(rolling("P1D"))
    world.when(tick("2026-11-21T12:00:00Z")).then_nothing_happened()
    happened = world.when(grant(5, NOON))
    assert lots_of(happened.of("points.granted")[0]) == [(5, "2026-11-23T00:00:00Z")]
    changed = {k for k, v in world.partition.entries.items() if before.get(k) != v}
    assert {key[:1] for key in changed} == {b"b", b"c", b"g", b"o", b"t"}
    assert len(changed) == 5
    over = world.when(tick("2026-11-23")).then(expired(-5, balance=0))
    assert over.counts["dues"] == 1


def test_an_entry_stays_small_whatever_a_member_has() -> None:
    world = with_wallet(rolling(noticeDays=[1, 2, 3, 4, 5], pendingFor="P1D"))
    world.when(*days_of_grants(500), grant(5, NOON), hold(100))
    assert max(len(value) for value in world.partition.entries.values()) < 1000


# Where nothing of it is used.


def test_a_group_without_a_wallet_is_what_it_was() -> None:
    plain = given(giving, ann.arriving("2026-01-01T00:00:00Z"))
    beside = given(giving, rolling(group="spring"), ann.arriving("2026-01-01T00:00:00Z"))
    sent = [grant(5, TODAY), redeem(2).arriving(NOON), grant(7, "2026-11-22")]
    ours, theirs = plain.when(*sent), beside.when(*sent)
    assert [e["data"] | {"definitionVersion": 0} for e in ours.envelopes] == [
        e["data"] | {"definitionVersion": 0} for e in theirs.envelopes
    ]
    assert ours.effects.writes.keys() == theirs.effects.writes.keys()
    kinds = {key[:1] for key in ours.effects.writes}
    assert not kinds & {LOT.prefix, GRANTED.prefix, DUE.prefix}
    assert ours.effects.writes[balances_key(ANN)] == b'[{"_default":10}]'
    assert BALANCES.prefix in kinds


def test_expiry_is_for_a_group_that_has_a_wallet() -> None:
    sent = adjust(5, challengeGroup="spring", expiresAt="2027-01-01T00:00:00Z")
    with_wallet(rolling()).when(sent).then(refused("invalid", "expiresAt"))


def test_a_hold_in_a_wallet_is_as_any_other() -> None:
    world = with_wallet(rolling(), grant(5, TODAY))
    happened = world.when(hold(5).arriving(NOON))
    happened.then(held(5, balance=5, held=5))
    assert "lots" not in happened.of("points.held")[0]


def test_logs_that_give_points_fold_alike_with_and_without_compiled_code() -> None:
    """The driver folds each chunk by the fast path and by Python, and compares."""
    world = given(rolling(), ann, challenge(pointsOnCompletion=5), milestone(50, points=5))
    happened = world.when(log("a", 60), log("b", 60), log("c", 1))
    assert [g["points"] for g in happened.of("points.granted")] == [5, 5]
    assert len(happened.of("challenge_log.recorded")) == 3
    assert recorded().type == "challenge_log.recorded"


# What is compiled: the driver folds each chunk by Python as well, and compares.


def test_a_late_grant_that_lapses_first_is_spent_first() -> None:
    world = with_wallet(rolling(), grant(5, "2026-11-25"), grant(5, "2026-11-26"))
    world.when(spend(1).arriving("2026-11-26T13:00:00Z"))  # the first lot is known from then on
    world.when(grant(5, TODAY, arriving="2026-11-27T12:00:00Z"))
    happened = world.when(spend(6, "spend-2").arriving("2026-11-27T13:00:00Z"))
    assert lots_of(happened.of("points.spent")[0]) == [
        (0, "2026-12-02T00:00:00Z"),
        (3, "2026-12-06T00:00:00Z"),
    ]


@pytest.mark.parametrize(
    "purse",
    [
        b"5",
        b"[5]",
        b"[5,0,0,0,5,0,1]",
        b'[5,0,0,0,5,0,1,0,0,null,true,0,null]',
        b'[5,0,0,0,5,0,1,0,0,null,true,0,null,false]',
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "lot",
    [
        b"[5,%b]",
        b"[5,%b,null,[]]",
        b"[5,%b,null,[],false,false]",
        b"[5,%b,null,[],false,false,0]",
    ],
)
def test_what_an_earlier_version_kept_is_read(purse: bytes, lot: bytes) -> None:
    world = with_wallet(rolling(), grant(5, TODAY))
    entries = world.partition.entries
    (key,) = (key for key in entries if key.startswith(LOT.prefix))
    other = b'"spring":7,' if purse == b"[5]" else b'"spring":[7,2,1],'
    entries[balances_key(ANN)] = b'[{%b"_default":%b}]' % (other, purse)
    entries[key] = lot % b'"2026-12-02T00:00:00Z"'
    (data,) = world.when(grant(2, TODAY)).of("points.granted")
    assert (data["balance"], data["totalBalance"]) == (7, 14)
    assert lots_of(data)[0] == (7, "2026-12-02T00:00:00Z")
    assert entries[key] == b'[7,"2026-12-02T00:00:00Z",null,[],false,false,0]'


def test_a_grant_that_would_begin_one_lot_too_many_makes_one_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wallet_of_, "MAX_LOTS", 2)
    world = with_wallet(rolling(), grant(5, TODAY), grant(5, "2026-11-22"))
    happened = world.when(grant(5, "2026-11-23"))
    assert lots_of(happened.of("points.granted")[0]) == [
        (10, "2026-12-04T00:00:00Z"),
        (0, "2026-12-03T00:00:00Z"),
    ]


@pytest.mark.parametrize("waits", [{}, {"pendingFor": "P2D"}])
def test_who_earns_each_day_beside_lots_far_apart_loses_what_is_over(
    monkeypatch: pytest.MonkeyPatch, waits: dict[str, str]
) -> None:
    """One lot takes the days as far as others lie apart, not all that come: it lapses."""
    monkeypatch.setattr(wallet_of_, "MAX_LOTS", 6)
    world = with_wallet(rolling("P10D", **waits))
    far = [datetime(2027, 6, 1, tzinfo=UTC) + timedelta(days=10 * number) for number in range(5)]
    opening = (adjust(100, f"{at}", expiresAt=format_instant(at)).arriving(NOON) for at in far)
    world.when(*opening)
    gone: dict[str, int] = {}
    for day in range(40):
        at = datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(days=day)
        happened = world.when(grant(1, format_instant(at)), tick(format_instant(at)))
        gone |= {e["occurredAt"][:10]: -e["points"] for e in happened.of("points.expired")}
    assert min(gone) <= "2026-12-13"  # 10 days, and 2 that they waited, after the first one's end
    assert max(gone.values()) <= 11


def test_what_slides_to_a_later_day_stays_there() -> None:
    world = with_wallet(wallet_of(**expiry("sliding", after="P10D")))
    world.when(adjust(5, expiresAt="2027-06-01T12:00:00Z").arriving(NOON))
    granted = world.when(grant(5, "2026-11-22"), grant(5, "2026-11-23")).of("points.granted")
    assert [lots_of(each) for each in granted] == [
        [(10, "2027-06-01T12:00:00Z")],
        [(15, "2027-06-01T12:00:00Z")],
    ]
    world.when(spend(15).arriving("2026-11-24T12:00:00Z"))
    (data,) = world.when(grant(7, "2026-11-25")).of("points.granted")
    assert lots_of(data) == [(7, "2027-06-01T12:00:00Z")]


def test_what_slides_begins_anew_where_all_of_it_was_spent() -> None:
    world = with_wallet(wallet_of(**expiry("sliding", after="P10D")), grant(5, TODAY))
    world.when(spend(5).arriving(NOON))
    (data,) = world.when(grant(7, "2026-11-22")).of("points.granted")
    assert lots_of(data) == [(7, "2026-12-03T00:00:00Z")]


def test_what_is_held_of_a_group_without_a_wallet_stays_held() -> None:
    world = given(giving, rolling(group="spring"), ann.arriving("2026-01-01T00:00:00Z"))
    world.when(grant(5, TODAY), hold(3).arriving(NOON))
    happened = world.when(grant(7, "2026-11-22"))
    happened.then(logged(7), earned(7, balance=12, held=3))
