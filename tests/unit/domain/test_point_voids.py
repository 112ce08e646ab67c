"""Voids of events and of what took points (`schemas/README.md#voids`)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from processor.domain.aggregates.points import Taken, given_back
from processor.domain.state_kinds import ANSWER, MOVED, REDEMPTION
from schemas import ids
from tests.event_spec import (
    earned,
    event,
    event_of,
    logged,
    redeem,
    redeemed,
    streak_of,
    tick,
)
from tests.points_spec import (
    adjust,
    adjusted,
    capture,
    captured,
    expired,
    held,
    hold,
    rolling,
    spend,
    wallet_of,
)
from tests.spec import (
    ANN,
    CHALLENGE,
    OTHER_CHALLENGE,
    PROJECT,
    Defined,
    Fact,
    Given,
    Happened,
    Sent,
    ann,
    ben,
    challenge,
    command,
    given,
    milestone,
    progress,
    project_settings,
    refused,
    upsert,
)
from tests.tier_spec import moves, tier_set
from tests.void_spec import (
    event_voided,
    log_voided,
    reopened,
    reversed_,
    revoked,
    void,
    void_event,
    void_of,
)

NOON = "2026-11-21T12:00:00Z"
HALF, THIRD = Decimal("0.5"), Decimal("0.333333333")

giving = event_of("give", type="TRANSACTION", rewardValueField="n", reward={"default": 1})


def give(points: int, key: str = "key-1", at: str = NOON, **fields: Any) -> Sent:
    """An event of Ann's with a key, that gives points when it arrives."""
    known = {"metadata": {"n": points}, "idempotencyKey": key}
    return event("give", at, **(known | fields)).arriving(at)


def world(*things: Defined | Sent) -> Given:
    """Ann since long ago, the event that gives points, and what else there is."""
    return given(giving, ann.arriving("2026-01-01T00:00:00Z"), *things)


def lots_of(data: Mapping[str, Any]) -> list[tuple[int, str | None]]:
    """Return points and end of the lots that an event says have changed."""
    return [(lot["points"], lot["expiresAt"]) for lot in data["lots"]]


def lots_after(happened: Happened) -> list[tuple[int, str | None]]:
    """Return the lots that the only reversal changed."""
    (data,) = happened.of("points.reversed")
    return lots_of(data)


def points_of(happened: Happened) -> dict[str, int]:
    """Return what the answer says of points."""
    ((_, body),) = happened.answers
    points: dict[str, int] = body["points"]
    return points


def taken(reversed_: int, not_recovered: int = 0) -> dict[str, int]:
    return {"reversed": reversed_, "notRecovered": not_recovered}


# Events.


def test_a_voided_event_gives_its_points_back() -> None:
    happened = world(give(7)).when(void_event(actor="Eve"))
    entry = ids.points_entry_id(PROJECT, "event", ids.event_log_id(PROJECT, ANN, "key-1"))
    said = {"reason": "sent back", "actor": "Eve", "portion": 1, "voidedPortion": 1}
    happened.then(
        event_voided(
            7, points=7, eventId="give", id=ids.event_log_id(PROJECT, ANN, "key-1"), **said
        ),
        reversed_(-7, balance=0, reversedEntryId=entry, eventId="give", what="event", **said),
    )
    assert points_of(happened) == taken(7)


def test_an_event_may_be_named_by_its_id() -> None:
    id_ = ids.event_log_id(PROJECT, ANN, "key-1")
    happened = world(give(7)).when(void("event", id=id_))
    happened.then(event_voided(7), reversed_(-7))
    ((status, body),) = happened.answers
    assert (status, body["voided"]["id"]) == (200, id_)


def test_an_event_without_a_key_cannot_be_named() -> None:
    id_ = ids.placed_event_log_id(PROJECT, "events", 0, 0)
    happened = world(give(7, key=None)).when(void("event", id=id_))  # type: ignore[arg-type]
    happened.then(refused("unknown_log", "id"))


@pytest.mark.parametrize(
    "sent",
    [
        void_event("key-2"),
        void_event("key-1", userId="ben"),
        void("event", id=ids.event_log_id(PROJECT, ANN, "key-1"), userId="ben"),
    ],
)
def test_what_the_member_did_not_do_is_unknown(sent: Sent) -> None:
    happened = world(ben, give(7)).when(sent)
    happened.then(refused("unknown_log"))
    assert [status for status, _ in happened.answers] == [404]


def test_an_event_of_another_project_is_unknown() -> None:
    there = "other"
    away = upsert("ann", project=there)
    sent = void("event", id=ids.event_log_id(PROJECT, ANN, "key-1"), project=there)
    happened = world(project_settings(there), away, give(7)).when(sent)
    happened.then(refused("unknown_log", "id"))


def test_an_event_of_before_voids_is_not_voidable() -> None:
    start = world(give(7))
    for key, value in start.partition.entries.items():
        if key.startswith(ANSWER.prefix):
            logged_ = ANSWER.decode(value)
            start.partition.entries[key] = msgspec.json.encode([logged_.body])
    happened = start.when(void_event())
    happened.then(refused("not_voidable"))
    assert [status for status, _ in happened.answers] == [409]


def test_portions_are_rounded_together_and_never_above_one() -> None:
    start = world(give(5))
    parts = [start.when(void_event(identifier=f"v{n}", portion=THIRD)) for n in range(3)]
    last = start.when(void_event(identifier="last", portion=Decimal("0.000000001")))
    assert [points_of(part)["reversed"] for part in (*parts, last)] == [2, 1, 2, 0]
    parts[1].then(event_voided(3, voidedPortion=Decimal("0.666666666")), reversed_(-1))
    last.then(event_voided(5, voidedPortion=1), reversed_(0))
    over = start.when(void_event(identifier="over", portion=Decimal("0.000000001")))
    over.then(refused("over_voided", "portion"))


def test_a_repeated_void_moves_nothing_and_gets_the_first_answer() -> None:
    start = world(give(5))
    first = start.when(void_event(portion=HALF))
    again = start.when(void_event(portion=HALF))
    again.then()
    assert again.answers == first.answers


def test_what_was_spent_meanwhile_is_not_recovered() -> None:
    happened = world(give(7), spend(5)).when(void_event())
    happened.then(event_voided(7), reversed_(-2, balance=0, notRecovered=5))
    assert points_of(happened) == taken(2, 5)


def test_what_is_held_stays() -> None:
    happened = world(give(7), hold(4)).when(void_event())
    happened.then(event_voided(7), reversed_(-3, balance=4, held=4, available=0, notRecovered=4))


def test_an_event_that_gave_nothing_says_so() -> None:
    happened = world(give(0)).when(void_event())
    happened.then(event_voided(0), reversed_(0))
    assert "notRecovered" not in happened.of("points.reversed")[0]


def test_points_are_as_they_were_given_multipliers_and_caps_included() -> None:
    boost = Defined(
        "boost", "more",
        {"id": "more", "name": "More", "multiplier": Decimal("2.5")}
        | {"startsAt": "2026-01-01T00:00:00Z"},
    )  # fmt: skip
    happened = world(boost, wallet_of(maxBalance=12), give(5)).when(void_event())
    happened.then(event_voided(12), reversed_(-12, balance=0))


def test_a_void_gives_nothing_back_to_a_cap_of_earnings() -> None:
    cap = wallet_of(earnCap={"points": 10, "period": "daily"})
    start = world(cap, give(10))
    start.when(void_event()).then(event_voided(10), reversed_(-10))
    start.when(give(10, "key-2")).then(logged(0), earned(0, cut=10, cutBy="earnCap"))


# The slot of a limit.


def limited(period: str = "daily") -> Defined:
    return giving.but(limit=1, limitPeriod=period)


@pytest.mark.parametrize("period", ["daily", "weekly", "unlimited"])
def test_a_wholly_voided_event_gives_its_slot_back(period: str) -> None:
    start = world(limited(period), give(5))
    start.when(give(5, "key-2")).then(logged(0, limitReached=True))
    start.when(void_event(portion=HALF)).then(event_voided(3), reversed_(-3))
    start.when(give(5, "key-3")).then(logged(0, limitReached=True))
    start.when(void_event(identifier="rest", portion=HALF))
    start.when(give(5, "key-4")).then(logged(5, limitReached=False), earned(5))
    start.when(give(5, "key-5")).then(logged(0, limitReached=True))


def test_the_slot_is_that_of_the_day_of_the_event_in_the_zone_of_its_member_then() -> None:
    zone = project_settings(timezone="member")
    late = "2026-11-21T23:30:00Z"
    start = given(
        giving, zone, limited(), upsert(timezone="Europe/Berlin").arriving("2026-01-01T00:00:00Z")
    )
    start.when(give(5, at=late)).then(logged(5), earned(5))
    start.when(upsert(timezone="UTC").arriving(late))
    start.when(void_event().arriving(late))
    start.when(upsert(timezone="Europe/Berlin").arriving(late))
    start.when(give(5, "key-2", at=late)).then(logged(5), earned(5))


def test_an_event_that_took_no_slot_gives_none_back() -> None:
    start = world(limited(), give(5), give(5, "key-2"))
    start.when(void_event("key-2")).then(event_voided(0), reversed_(0))
    start.when(give(5, "key-3")).then(logged(0, limitReached=True))


# What the event moved besides.


def feeding(*things: Defined | Sent, **fields: Any) -> Given:
    """A challenge that sums what events give, up to 10 a day, and one that counts them."""
    return world(
        challenge(completionTargetValue=10, eventIds=["give"], valueField="n", **fields),
        challenge(
            OTHER_CHALLENGE, completionTargetValue=9, aggregationMethod="count", eventIds=["give"]
        ),
        *things,
    )


def test_the_logs_that_it_fed_are_voided_with_it() -> None:
    start = feeding(give(4), give(3, "key-2"))
    half = start.when(void_event(portion=HALF))
    half.then(
        event_voided(2),
        reversed_(-2),
        log_voided(progress(5), change=-2, voidedPortion=HALF, counted=True),
        log_voided(progress(2), change=0, voidedPortion=HALF),
    )
    ((_, body),) = half.answers
    assert [each["currentProgressValue"] for each in body["progress"]] == [5]
    rest = start.when(void_event(identifier="rest", portion=HALF))
    rest.then(
        event_voided(4),
        reversed_(-2),
        log_voided(progress(3), change=-2, voidedPortion=1),
        log_voided(progress(1), change=-1, voidedPortion=1),
    )
    ((_, body),) = rest.answers
    assert [each["challengeId"] for each in body["progress"]] == [CHALLENGE, OTHER_CHALLENGE]


def test_logs_that_were_folded_in_one_chunk_with_their_events_say_what_they_did() -> None:
    partition = feeding().partition
    silent = [give(n, f"key-{n}").with_headers() for n in (1, 2, 4)]
    partition.fold(*silent)
    happened = partition.fold(void_event("key-2"))
    happened.then(
        event_voided(2),
        reversed_(-2, balance=5),
        log_voided(progress(5), change=-2),
        log_voided(progress(2), change=-1),
    )


def test_what_falls_short_is_reopened_and_its_points_are_said_with_the_events() -> None:
    start = feeding(milestone(8, points=50), pointsOnCompletion=30)
    start.and_given(give(12))
    happened = start.when(void_event(rewards="revoke"))
    happened.then(
        event_voided(12),
        log_voided(progress(0, "in_progress"), change=-12),
        reopened(),
        log_voided(progress(0), change=-1),
        revoked(),
        reversed_(-12, balance=80),
        reversed_(-30, balance=50),
        reversed_(-50, balance=0),
    )
    assert points_of(happened) == taken(92)
    event_id = ids.event_log_id(PROJECT, ANN, "key-1")
    assert {data["voidedId"] for data in happened.of("points.reversed")} == {event_id}
    assert len({data["id"] for data in happened.of("points.reversed")}) == 3


def test_an_event_that_did_not_live_fed_nothing() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    start = feeding(streak_of(eventIds=["give"]), paused, give(4))
    start.when(void_event()).then(event_voided(0), reversed_(0))


def test_a_hit_goes_with_the_last_event_that_made_it() -> None:
    start = world(streak_of(eventIds=["give"]), give(4), give(3, "key-2"))
    start.when(void_event(portion=HALF)).then(event_voided(2), reversed_(-2))
    start.when(void_event(identifier="v2", portion=HALF)).then(event_voided(4), reversed_(-2))
    happened = start.when(void_event("key-2", "v3"))
    happened.then(
        event_voided(3), reversed_(-3), Fact("streak.reverted", {"periodKey": "2026-11-21"})
    )


# The lot that points went into.


def test_points_are_taken_from_the_lot_that_they_went_into() -> None:
    start = world(rolling("P10D"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(give(5, "b", "2026-11-05T12:00:00Z"))
    happened = start.when(void_event("b").arriving("2026-11-06T12:00:00Z"))
    assert lots_after(happened) == [(0, "2026-11-16T00:00:00Z")]


def test_then_as_a_spend_takes_them() -> None:
    start = world(rolling("P10D"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(spend(3).arriving("2026-11-02T12:00:00Z"))
    for key, day in (("b", "03"), ("c", "04")):
        start.when(give(5, key, f"2026-11-{day}T12:00:00Z"))
    happened = start.when(void_event("a").arriving("2026-11-06T12:00:00Z"))
    happened.then(event_voided(5), reversed_(-5, balance=7))
    assert lots_after(happened) == [(0, "2026-11-12T00:00:00Z"), (2, "2026-11-14T00:00:00Z")]


def test_points_that_lapsed_are_taken_from_others_all_the_same() -> None:
    start = world(rolling("P10D"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(give(9, "b", "2026-11-05T12:00:00Z"))
    start.when(tick("2026-11-12")).then(expired(-5))
    start.when(void_event("a").arriving("2026-11-12T12:00:00Z")).then(
        event_voided(5), reversed_(-5, balance=4)
    )


def test_pending_points_are_taken_from_where_they_wait() -> None:
    wallet = rolling("P10D", pendingFor="P5D")
    start = world(wallet, give(5), give(4, "key-2"))
    start.when(void_event()).then(event_voided(5), reversed_(-5, balance=0, pending=4))
    start.when(tick("2026-11-27"))
    happened = start.when(void_event("key-2", "later").arriving("2026-11-27T12:00:00Z"))
    happened.then(event_voided(4), reversed_(-4, balance=0))


def test_pending_points_that_are_taken_back_are_never_activated() -> None:
    start = world(rolling("P10D", pendingFor="P5D"), give(5), void_event())
    start.when(tick("2026-12-27")).then()


def test_points_that_wait_are_not_taken_for_what_counts_by_now() -> None:
    wallet = rolling("P10D", pendingFor="P1D")
    start = world(wallet, give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(tick("2026-11-03"))
    start.when(spend(5).arriving("2026-11-03T12:00:00Z"))
    start.when(give(5, "b", "2026-11-03T13:00:00Z"))
    start.when(void_event("a").arriving("2026-11-03T14:00:00Z")).then(
        event_voided(5), reversed_(0, pending=5, notRecovered=5)
    )


def test_points_that_moved_on_with_others_are_taken_from_where_those_are() -> None:
    sliding = wallet_of(expiry={"type": "sliding", "after": "P30D"})
    start = world(rolling("P20D"), give(5, "a", "2026-11-21T08:00:00Z")).and_given(sliding)
    for key, day in (("b", "22"), ("c", "23")):
        start.when(give(5, key, f"2026-11-{day}T08:00:00Z"))
    happened = start.when(void_event("b").arriving("2026-11-23T10:00:00Z"))
    assert lots_after(happened) == [(5, "2026-12-24T00:00:00Z")]


def test_points_of_lots_that_were_made_one_are_taken_from_the_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("processor.domain.aggregates.wallet.MAX_LOTS", 3)
    start = world(rolling("P20D"))
    for day in ("01", "05", "06", "12"):
        start.when(give(5, day, f"2026-11-{day}T08:00:00Z"))
    happened = start.when(void_event("05").arriving("2026-11-13T00:00:00Z"))
    assert lots_after(happened) == [(5, "2026-11-27T00:00:00Z")]


def test_points_that_count_by_now_are_found_though_the_member_s_day_is_another() -> None:
    tokyo, los_angeles = (
        upsert("ann", timezone=zone) for zone in ("Asia/Tokyo", "America/Los_Angeles")
    )
    start = world(rolling("P10D", pendingFor="P1D", timezone="member"), tokyo)
    start.when(give(5, "a", "2026-11-22T15:30:00Z"))
    start.when(tick("2026-11-23T15:31:00Z"))
    start.when(give(7, "b", "2026-11-23T15:35:00Z"))
    start.when(los_angeles.arriving("2026-11-23T15:40:00Z"))
    start.when(void_event("a").arriving("2026-11-23T15:50:00Z")).then(
        event_voided(5), reversed_(-5, balance=0, pending=7)
    )


def test_points_of_before_a_wallet_are_taken_from_those_that_live_for_ever() -> None:
    start = world(give(5)).and_given(rolling("P10D"), give(6, "key-2"))
    happened = start.when(void_event())
    assert lots_after(happened) == [(0, None)]


# Tiers.


def test_what_was_voided_is_not_earned() -> None:
    set_ = tier_set(0, 5, 10, downgrade="to_basis")
    start = world(set_, give(11), spend(11))
    happened = start.when(void_event())
    assert moves(happened) == [("t2", "t0", "earned")]


def test_what_was_voided_falls_out_of_the_year_in_which_it_was_earned() -> None:
    year = {"type": "calendar_year"}
    set_ = tier_set(0, 5, window=year)
    start = world(set_, give(9, "a", "2026-11-21T12:00:00Z"), give(7, "b", "2027-01-21T12:00:00Z"))
    assert not moves(start.when(void_event("a").arriving("2027-01-22T12:00:00Z")))
    assert moves(start.when(void_event("b", "v2").arriving("2027-01-22T12:00:00Z"))) == [
        ("t1", "t0", "earned")
    ]


# What took points.


TAKING = pytest.mark.parametrize(
    ("what", "identifier", "sent"),
    [
        ("spend", "spend-1", [spend(5)]),
        ("redemption", "redeem-1", [redeem(5)]),
        ("capture", "capture-1", [hold(6), capture(points=5)]),
    ],
)


@TAKING
def test_what_was_taken_goes_back(what: str, identifier: str, sent: list[Sent]) -> None:
    start = world(give(7), *sent)
    happened = start.when(void_of(what, identifier))
    happened.then(reversed_(5, balance=7, what=what))
    ((_, body),) = happened.answers
    (data,) = happened.of("points.reversed")
    assert body["voided"]["id"] == data["voidedId"] == data["reversedEntryId"]
    assert points_of(happened) == taken(5)
    over = start.when(void_of(what, identifier, "again"))
    over.then(refused("over_voided", "portion"))


@pytest.mark.parametrize("what", ["spend", "redemption", "capture"])
def test_what_was_never_taken_is_unknown(what: str) -> None:
    happened = world(give(7), adjust(-2), ben, spend(1, "x", userId="ann")).when(
        void_of(what, "adjust-1")
    )
    happened.then(refused("unknown_log", "of"))
    assert [status for status, _ in happened.answers] == [404]


@TAKING
def test_portions_of_what_was_taken_are_rounded_together_and_never_above_one(
    what: str, identifier: str, sent: list[Sent]
) -> None:
    start, least = world(give(7), *sent), Decimal("0.000000001")
    parts = [start.when(void_of(what, identifier, f"v{n}", portion=THIRD)) for n in range(3)]
    assert [points_of(part)["reversed"] for part in parts] == [2, 1, 2]
    over = start.when(void_of(what, identifier, "over", portion=2 * least))
    over.then(refused("over_voided", "portion")).answering((409, {"code": "over_voided"}))
    start.when(void_of(what, identifier, "last", portion=least)).then(reversed_(0, balance=7))
    over = start.when(void_of(what, identifier, "over", portion=least))
    over.then(refused("over_voided", "portion"))


def test_a_void_cannot_be_voided_under_any_name() -> None:
    start = world(give(7), spend(5), void_of("spend", "spend-1", "gone"))
    for what in ("spend", "capture", "redemption"):
        start.when(void_of(what, "gone", f"void of {what}")).then(refused("unknown_log", "of"))
    start.when(void_event("gone", "void of event")).then(refused("unknown_log", "of"))


def test_the_largest_and_the_smallest_are_exact() -> None:
    start = given(ann, adjust(10**12), hold(10**12))
    start.when(capture()).then(captured(-(10**12), balance=0, held=0))
    part = start.when(void_of("capture", "capture-1", "v1", portion=Decimal("0.000000001")))
    part.then(reversed_(1_000, balance=1_000))
    rest = start.when(void_of("capture", "capture-1", "v2", portion=Decimal("0.999999999")))
    rest.then(reversed_(10**12 - 1_000, balance=10**12))
    start.when(adjust(-(10**12), "all of it")).then(adjusted(-(10**12), balance=0))


def test_a_redemption_gives_back_what_it_took_not_what_was_written() -> None:
    start = world(give(7), hold(2))
    start.when(redeem(50)).then(redeemed(-50, balance=2))
    start.when(void_of("redemption", "redeem-1")).then(reversed_(5, balance=7, held=2))


def test_a_redemption_that_found_nothing_gives_nothing_back() -> None:
    start = world(redeem(50))
    start.when(void_of("redemption", "redeem-1")).then(reversed_(0, balance=0))


@pytest.mark.parametrize(
    ("what", "kind", "sent"), [("spend", MOVED, spend(5)), ("redemption", REDEMPTION, redeem(5))]
)
def test_what_does_not_say_what_it_took_is_not_voidable(what: str, kind: Any, sent: Sent) -> None:
    start = world(give(7), sent)
    for key, value in start.partition.entries.items():
        if key.startswith(kind.prefix):
            old = replace(kind.decode(value), took=() if kind is MOVED else None)
            start.partition.entries[key] = msgspec.json.encode(old)
    identifier = "spend-1" if what == "spend" else "redeem-1"
    start.when(void_of(what, identifier)).then(refused("not_voidable"))


def test_points_go_back_to_their_lots_the_latest_first() -> None:
    start = world(rolling("P10D"))
    for key, day in (("a", "01"), ("b", "03")):
        start.when(give(5, key, f"2026-11-{day}T12:00:00Z"))
    start.when(spend(8).arriving("2026-11-04T12:00:00Z"))
    happened = start.when(void_of("spend", portion=HALF).arriving("2026-11-05T12:00:00Z"))
    happened.then(reversed_(4, balance=6))
    assert lots_after(happened) == [(1, "2026-11-12T00:00:00Z"), (5, "2026-11-14T00:00:00Z")]
    rest = start.when(
        void_of("spend", "spend-1", "rest", portion=HALF).arriving("2026-11-05T13:00:00Z")
    )
    assert lots_after(rest) == [(5, "2026-11-12T00:00:00Z")]


def test_what_lived_for_ever_does_so_again() -> None:
    start = world(give(5)).and_given(rolling("P10D"), give(5, "key-2"))
    start.when(spend(8))
    happened = start.when(void_of("spend"))
    assert sorted(lots_after(happened), key=str) == [(5, "2026-12-02T00:00:00Z"), (5, None)]


def test_what_would_have_lapsed_meanwhile_lapses_at_once() -> None:
    start = world(rolling("P10D"))
    for key, day in (("a", "01"), ("b", "03"), ("c", "09")):
        start.when(give(5, key, f"2026-11-{day}T12:00:00Z"))
    start.when(spend(12).arriving("2026-11-10T12:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-17T12:00:00Z"))
    happened.then(
        reversed_(12, balance=15),
        expired(-5, balance=10, occurredAt="2026-11-12T00:00:00Z"),
        expired(-5, balance=5, occurredAt="2026-11-14T00:00:00Z"),
    )
    assert [lots_of(data) for data in happened.of("points.expired")] == [
        [(0, "2026-11-12T00:00:00Z")],
        [(0, "2026-11-14T00:00:00Z")],
    ]


def test_what_would_have_lapsed_is_kept_as_far_as_it_is_held() -> None:
    start = world(rolling("P10D"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(give(5, "b", "2026-11-09T12:00:00Z"))
    start.when(spend(5).arriving("2026-11-09T13:00:00Z"))
    start.when(hold(3).arriving("2026-11-11T12:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-17T12:00:00Z"))
    happened.then(reversed_(5, balance=10, held=3), expired(-2, balance=8))


def test_points_whose_lots_moved_on_together_go_where_those_are() -> None:
    sliding = wallet_of(expiry={"type": "sliding", "after": "P10D"})
    start = world(sliding, give(9, "a", "2026-11-01T12:00:00Z"))
    start.when(spend(4).arriving("2026-11-02T12:00:00Z"))
    start.when(give(1, "b", "2026-11-09T12:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-15T12:00:00Z"))
    happened.then(reversed_(4, balance=10))
    assert lots_after(happened) == [(10, "2026-11-20T00:00:00Z")]


@pytest.mark.parametrize("left", [0, 1])
def test_points_whose_lots_lapsed_together_lapse(left: int) -> None:
    sliding = wallet_of(expiry={"type": "sliding", "after": "P10D"})
    start = world(sliding, give(4 + left, "a", "2026-11-01T12:00:00Z"))
    start.when(spend(4).arriving("2026-11-02T12:00:00Z"))
    start.when(tick("2026-11-13"))
    start.when(give(1, "b", "2026-11-14T12:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-15T12:00:00Z"))
    happened.then(
        reversed_(4, balance=5), expired(-4, balance=1, occurredAt="2026-11-12T00:00:00Z")
    )


def test_a_moment_within_the_day_is_kept() -> None:
    start = world(rolling("PT48H"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(spend(5).arriving("2026-11-01T13:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-03T11:00:00Z"))
    assert lots_after(happened) == [(5, "2026-11-03T12:00:00Z")]
    start.when(tick("2026-11-03T12:00:00Z")).then(expired(-5))


def test_what_goes_back_lapses_with_the_lot_of_its_day_though_its_own_moment_was_past() -> None:
    start = world(rolling("PT1H"), give(5, "a", "2026-11-01T12:00:00Z"))
    start.when(spend(5).arriving("2026-11-01T12:30:00Z"))
    start.when(give(1, "b", "2026-11-01T14:00:00Z"))
    happened = start.when(void_of("spend").arriving("2026-11-01T14:30:00Z"))
    assert lots_after(happened) == [(6, "2026-11-01T15:00:00Z")]
    start.when(tick("2026-11-01T15:00:00Z")).then(expired(-6))


def test_no_cap_holds_for_what_goes_back() -> None:
    start = world(wallet_of(maxBalance=10), give(10), spend(8), give(8, "key-2"))
    start.when(void_of("spend")).then(reversed_(8, balance=18))


@pytest.mark.parametrize(
    ("done", "until", "back"),
    [
        (0, 0, []),
        (0, 2, [("b", 2)]),
        (2, 7, [("a", 2), ("b", 3)]),
        (7, 8, [("a", 1)]),
        (0, 8, [("a", 3), ("b", 5)]),
    ],
)
def test_what_was_taken_last_goes_back_first(
    done: int, until: int, back: list[tuple[str, int]]
) -> None:
    took = [Taken("a", 3), Taken("b", 5)]
    assert [(each.lot, each.points) for each in given_back(took, done, until)] == back


def test_a_hold_and_its_capture_are_undone_one_by_one() -> None:
    start = world(give(7))
    start.when(hold(4)).then(held(4))
    start.when(capture())
    start.when(void_of("capture", "capture-1")).then(reversed_(4, balance=7, held=0))
    after = start.when(void_event(identifier="void-2"))
    after.then(event_voided(7), reversed_(-7, balance=0))
